"""What is prepared follows the study."""

from __future__ import annotations

import json
import re
import shutil

import polars as pl
import pytest

from crosslift.corpora.corpus import CorpusError
from crosslift.errors import StudyError
from crosslift.execution.phases.examples import examples_of, validation_of
from crosslift.execution.phases.joined import taken
from crosslift.execution.phases.preflight import preflight
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.worker import work


def change(folder, old, new):
    text = (folder / "study.toml").read_text()
    assert old in text
    (folder / "study.toml").write_text(text.replace(old, new, 1))


def quiet(line):
    pass


def test_a_prepared_study_is_not_prepared_again(study, graph_of):
    said = []
    prepare(graph_of(study), say=said.append)
    assert said == []


def test_models_with_the_same_tokenizer_share_tokens(study, graph_of):
    shutil.copytree(study / "model", study / "twin")
    change(study, "[corpora.train]", '[models.twin]\npath = "./twin"\n\n[corpora.train]')
    prepare(graph_of(study), say=quiet)
    assert len(list((study / "tokens").iterdir())) == 1
    assert set(graph_of(study).store.manifests()["en"]["tokens"]) == {"tiny", "twin"}


def test_another_template_is_another_tokenizer(study, graph_of):
    change(study, 'path = "./model"', 'path = "./model"\ntemplate = "plain"')
    prepare(graph_of(study), say=quiet)
    assert len(list((study / "tokens").iterdir())) == 1
    assert len(list((study / "earlier" / "tokens").iterdir())) == 1


def test_the_prepared_follows_the_study_and_what_it_was_is_kept(study, graph_of):
    change(study, 'path = "train.jsonl"', 'path = "train.jsonl"\nmax_items = 35')
    prepare(graph_of(study), say=quiet)
    assert graph_of(study).corpus("train")["num_items"] == 35
    change(study, "\nmax_items = 35", "")
    said = []
    prepare(graph_of(study), say=said.append)
    assert said == []  # nothing is read again
    assert graph_of(study).corpus("train")["num_items"] == 40


def test_a_touched_file_with_the_same_content_is_the_same_file(study, graph_of):
    (study / "test.jsonl").write_text((study / "test.jsonl").read_text())
    said = []
    prepare(graph_of(study), say=said.append)
    assert said == []


def test_a_language_more_leaves_the_other_languages_done(study, graph_of):
    work(graph_of(study).study, ["tiny.base"])
    change(
        study, '[evaluations.math]\ncorpus = "test"', '[evaluations.math]\ncorpus = "test"\nlanguages = ["en", "es"]'
    )
    graph = graph_of(study)
    assert graph.state(graph.runs["tiny.base"]).done


def test_examples_are_those_of_the_mixture_in_its_order(study, graph_of):
    graph = graph_of(study)
    table = examples_of(graph, graph.runs["tiny.en-sw.s0"])
    examples = pl.read_parquet(study / "mixtures" / "en-sw" / "examples.parquet")
    rows = pl.read_parquet(study / "corpora" / "train" / "rows.parquet")
    assert [table.languages[i] for i in table.language] == examples["language"].to_list()
    texts = rows[examples["row"].to_list()]["messages"].list.last().struct.field("content").to_list()
    assert [len(text.encode()) for text in texts] == table.completion_bytes.tolist()
    assert int(table.offsets[-1]) == len(table.ids)


def test_a_check_that_is_set_to_stop_stops_a_study_that_was_read_before(study, graph_of):
    rows = (study / "train.jsonl").read_text()
    (study / "train.jsonl").write_text(rows.replace('"answer": "0"', '"answer": "1"', 1))
    prepare(graph_of(study), say=quiet)
    change(study, 'path = "train.jsonl"\n', 'path = "train.jsonl"\nchecks = { answers = "stop" }\n')
    for seeds in ("[0, 1]", "[0]"):  # nothing else is edited, and something that reads no corpus again
        change(study, re.search(r"seeds = .*", (study / "study.toml").read_text())[0], f"seeds = {seeds}")
        with pytest.raises(CorpusError, match=r"corpora\.train: answers: 'i0' in .* or change the policy of its check"):
            prepare(graph_of(study), say=quiet)
    change(study, 'checks = { answers = "stop" }\n', "")
    prepare(graph_of(study), say=quiet)


def test_examples_of_several_corpora_keep_the_mixtures_order(study, graph_of):
    shutil.copy(study / "test.jsonl", study / "more.jsonl")
    change(
        study,
        "[mixtures.en]",
        '[corpora.more]\nreader = "jsonl"\ntask = "math"\npath = "more.jsonl"\nlanguages = ["en", "sw"]\n'
        "[mixtures.both]\ncomponents = [{ corpus = 'train', counts = { en = 9, es = 3 } }, "
        "{ corpus = 'more', counts = { sw = 5 } }]\npairing = 'shared'\n\n[mixtures.en]",
    )
    prepare(graph_of(study), say=quiet)
    graph = graph_of(study)
    table = examples_of(graph, graph.runs["tiny.both.s0"])
    examples = pl.read_parquet(study / "mixtures" / "both" / "examples.parquet")
    for number, (corpus, row) in enumerate(examples.select("corpus", "row").iter_rows()):
        rows = pl.read_parquet(study / "corpora" / corpus / "rows.parquet")
        text = rows[row, "messages"][-1]["content"]
        assert table.completion_bytes[number] == len(text.encode())
        assert table.languages[table.language[number]] == rows[row, "language"]


def test_validation_is_in_the_mixtures_own_languages(study, graph_of):
    shutil.copy(study / "test.jsonl", study / "dev.jsonl")
    change(
        study,
        "[mixtures.en]",
        '[corpora.dev]\nreader = "jsonl"\ntask = "math"\nsplit = "validation"\npath = "dev.jsonl"\n'
        'languages = ["en", "es", "sw"]\n\n[mixtures.en]',
    )
    change(study, "[training]", '[training]\nvalidation = { corpora = ["dev"], max_items = 5 }')
    prepare(graph_of(study), say=quiet)
    graph = graph_of(study)
    table = validation_of(graph, graph.runs["tiny.en-sw.s0"])
    assert [table.languages[i] for i in table.language] == ["en", "sw"] * 5
    assert validation_of(graph, graph.runs["tiny.base"]) is None


def test_check_reports_all_problems_at_once_and_touches_nothing(study, graph_of):
    shutil.rmtree(study / "corpora")
    lines = [json.loads(line) for line in (study / "test.jsonl").read_text().splitlines()]
    (study / "test.jsonl").write_text("\n".join(json.dumps(line) for line in lines[1:]) + "\n")
    change(study, "budget = { amount = 32 }", "budget = { amount = 3200 }")
    before = sorted(study.rglob("*"))
    with pytest.raises(StudyError) as error:
        preflight(graph_of(study), say=quiet)
    assert len(error.value.problems) == 2
    assert "lack a language" in error.value.problems[0]
    assert "3160 too few" in error.value.problems[1]
    assert sorted(study.rglob("*")) == before


def test_examples_that_are_too_long_are_told_by_language_before_anything_trains(study, graph_of):
    change(study, "epochs = 1.0", "epochs = 1.0\nmax_length = 30")
    with pytest.raises(StudyError) as error:
        prepare(graph_of(study), say=quiet)
    told = str(error.value)
    assert "training.max_length is 30" in told and "corpora.train, tokenizer of tiny: " in told
    assert "en 32 of 32 (longest" in told and "sw " in told and not re.search(r"\bes \d", told)
    assert "Nothing has been trained" in told and not list((study / "runs").glob("*/train/*"))
    needed = int(re.search(r"Set max_length = (\d+)", told)[1])
    change(study, "max_length = 30", f"max_length = {needed}")
    prepare(graph_of(study), say=quiet)
    change(study, f"max_length = {needed}", "max_length = 45\ntruncate = true")
    prepare(graph_of(study), say=quiet)  # they keep a part of their answers


def joined(study, other_first=1000):
    """The test corpus split by language: en and es in one file, sw in another."""
    rows = [json.loads(line) for line in (study / "test.jsonl").read_text().splitlines()]
    parts = {"test": [row for row in rows if row["language"] != "sw"], "swahili": []}
    parts["swahili"] = [
        row | {"item_id": f"i{int(row['item_id'][1:]) - 1000 + other_first}"} for row in rows if row["language"] == "sw"
    ]
    for name, part in parts.items():
        (study / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in part))
    change(
        study, 'path = "test.jsonl"\nlanguages = ["en", "es", "sw"]', 'path = "test.jsonl"\nlanguages = ["en", "es"]'
    )
    more = '[corpora.swahili]\nreader = "jsonl"\ntask = "math"\nsplit = "test"\npath = "swahili.jsonl"\n'
    change(study, "[mixtures.en]", more + 'languages = ["sw"]\n\n[mixtures.en]')
    change(study, 'corpus = "test"', 'corpus = ["test", "swahili"]')


def test_an_evaluation_joins_corpora_with_the_same_items(study, graph_of):
    joined(study)
    prepare(graph_of(study), say=quiet)
    graph = graph_of(study)
    steps = graph.steps(next(iter(graph.runs.values()))).evaluations
    assert [one.language for one in steps] == ["en", "es", "sw"]
    assert set(graph.evaluated_on()) == {"test", "swahili"}
    inputs = {one.language: one.step.inputs["evaluation"]["corpus"]["path"] for one in steps}
    assert inputs == {"en": "test.jsonl", "es": "test.jsonl", "sw": "swahili.jsonl"}


def test_corpora_with_other_items_cannot_be_joined(study, graph_of):
    joined(study, other_first=2000)
    with pytest.raises(StudyError, match=r"evaluations.math.corpus: 'test' and 'swahili' hold different items"):
        preflight(graph_of(study), say=quiet)
    with pytest.raises(StudyError, match="Give equal items equal ids"):
        prepare(graph_of(study), say=quiet)


def test_joined_corpora_may_lack_items_that_are_then_left_out_in_every_language(study, graph_of):
    joined(study)
    lines = (study / "swahili.jsonl").read_text().splitlines()
    (study / "swahili.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(StudyError, match='set incomplete = "drop" in one of them'):
        prepare(graph_of(study), say=quiet)
    change(study, 'path = "swahili.jsonl"\n', 'path = "swahili.jsonl"\nincomplete = "drop"\n')
    said = []
    prepare(graph_of(study), say=said.append)
    assert any(
        f"1 of {len(lines)} items are not in all of 'test' and 'swahili' and are left out" in line for line in said
    )
    graph = graph_of(study)
    rows = pl.read_parquet(study / "corpora" / "test" / "rows.parquet")
    kept = taken(graph, ("test", "swahili"), rows)
    assert set(rows["item_id"]) - set(kept["item_id"]) == {json.loads(lines[0])["item_id"]}
    assert taken(graph, ("test",), rows) is rows

    def english(graph):
        return graph.steps(next(iter(graph.runs.values()))).evaluations[0].step.fingerprint

    before = english(graph)
    (study / "swahili.jsonl").write_text("\n".join(lines[2:]) + "\n")
    prepare(graph_of(study), say=quiet)
    assert english(graph_of(study)) != before  # the English evaluation asks one item less
