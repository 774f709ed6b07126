"""crosslift against lm-evaluation-harness itself: the same items, prompts and model, verdict by verdict.

`make harness` installs the harness and runs these tests; without it they are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed; make harness installs it")

from harness_tasks import pocket_rows, write_harness_tasks

from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.harness import find_task, load_task
from crosslift.corpora.readers.general import lm_eval as reader
from crosslift.errors import EvaluationError
from crosslift.evaluation.generators.hf import Generator
from crosslift.evaluation.scoring import predict, score
from crosslift.evaluation.task import task
from crosslift.evaluation.tasks import lm_eval as harness_task
from crosslift.pocket import checkpoints

TAGS = ("en", "de", "sw")
NUM_ITEMS = 20
MODEL = checkpoints.folder("qwen3-s")
NORMALISATIONS = {
    "acc": "accuracy",
    "acc_norm": "accuracy_characters",
    "acc_bytes": "accuracy_bytes",
    "acc_mutual_info": "accuracy_unconditional",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_harness_tasks(tmp_path_factory.mktemp("tasks"), TAGS, num_items=NUM_ITEMS, num_solved=6)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(MODEL, device="cpu")


@pytest.fixture(scope="module")
def harness_model():
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(MODEL), device="cpu", dtype="float32", batch_size=16)


def source(folder: Path, name: str, **options) -> Source:
    return Source(
        name=name,
        reader="lm_eval",
        task="lm_eval",
        split="test",
        languages=TAGS,
        path=folder,
        options={"harness_task": f"{name}_{{language}}", **options},
    )


def by_harness(model, folder: Path, name: str, tag: str) -> list[dict]:
    """The harness's own samples, one per document and filter."""
    from lm_eval.evaluator import evaluate

    one = load_task(source(folder, name), tag)
    found = evaluate(
        lm=model, task_dict={"tasks": {one.task_name: one}, "groups": {}, "group_map": {}}, bootstrap_iters=0
    )
    return found["samples"][one.task_name]


def by_crosslift(generator: Generator, folder: Path, name: str, tag: str, **options) -> pl.DataFrame:
    corpus = reader.read(source(folder, name, **options))
    rows = corpus.rows.filter(language=tag)
    return predict(generator, task("lm_eval"), rows, prompt="bare", source=source(folder, name, **options))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(("name", "prompt"), [("reading", "full"), ("letters", "letters"), ("next", "answer")])
def test_multiple_choice_is_right_where_the_harness_is(generator, harness_model, folder, tag, name, prompt):
    theirs = by_harness(harness_model, folder, name, tag)
    asked = [json.loads(line) for line in (folder / "data" / f"{name}_{tag}.jsonl").read_text().splitlines()]
    if name == "next":
        rows = [
            {"question": one["question"].removesuffix("\nAnswer:"), "choices": one["choices"], "gold": one["gold"]}
            for one in asked
        ]
    else:
        rows = [
            {"question": row["messages"][0]["content"], **json.loads(row["answer"])}
            for row in pocket_rows("multiple_choice", tag, NUM_ITEMS)
        ]
    frame = pl.DataFrame(
        {
            "item_id": [f"{place}" for place in range(len(rows))],
            "language": tag,
            "messages": [[{"role": "user", "content": row["question"]}] for row in rows],
            "answer": [json.dumps({"choices": row["choices"], "gold": row["gold"]}) for row in rows],
            "cluster": [f"{place}" for place in range(len(rows))],
            "origin": "grammar",
        }
    )
    ours = predict(generator, task("multiple_choice"), frame, prompt=prompt)
    scores = score(task("multiple_choice"), ours, run="r", evaluation="e", task_name="multiple_choice")
    for metric, own in NORMALISATIONS.items():
        assert scores.filter(metric=own)["value"].to_list() == [one[metric] for one in theirs], metric
    for row, sample in zip(ours["continuations"], theirs, strict=True):
        values = [response[0][0] for response in sample["resps"][: len(row)]]
        assert [one["log_probability"] for one in row] == pytest.approx(values, abs=1e-3)


@pytest.mark.parametrize("name", ["reading", "solving", "text"])
def test_a_task_of_the_harness_has_the_values_of_its_own_model(generator, harness_model, folder, name):
    theirs = by_harness(harness_model, folder, name, "de")
    ours = [json.loads(text) for text in by_crosslift(generator, folder, name, "de")["text"]]
    documents = {sample["doc_id"] for sample in theirs}
    assert len(ours) == len(documents)
    for sample in theirs:
        for metric in sample["metrics"]:
            key = metric if sample["filter"] == "none" else f"{metric},{sample['filter']}"
            value = sample[metric]
            if metric == "bits_per_byte":
                value = -value[0] / value[1] / 0.6931471805599453
            elif metric == "byte_perplexity":
                continue  # a value of the whole set
            assert ours[sample["doc_id"]]["metrics"][key] == pytest.approx(value, abs=1e-4)


def test_a_text_has_a_share_beside_its_bits(generator, folder):
    rows = by_crosslift(generator, folder, "text", "en")
    scores = score(task("lm_eval"), rows, run="r", evaluation="e", task_name="lm_eval:text")
    values = dict(scores.filter(item_id="0").select("metric", "value").iter_rows())
    assert values["byte_probability"] == pytest.approx(2 ** -values["bits_per_byte"])


def test_items_have_the_ids_and_clusters_that_the_study_names(folder):
    rows = reader.read(source(folder, "reading", item="{id}", cluster="{gold}")).rows
    assert rows["item_id"][0].startswith("multiple_choice-test-")
    assert set(rows["cluster"]) <= {"0", "1", "2", "3"}
    with pytest.raises(CorpusError, match="Their fields: id, question"):
        reader.read(source(folder, "reading", item="{number}"))


def test_a_task_that_does_not_exist_is_refused_with_all_names_that_were_tried(folder):
    with pytest.raises(CorpusError, match="no task nothing_en or nothing_eng_Latn or nothing_eng"):
        reader.read(source(folder, "nothing"))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("belebele_{language}", {"de": "belebele_deu_Latn", "zh": "belebele_zho_Hans", "ko": "belebele_kor_Hang"}),
        ("belebele_{language}", {"sw": "belebele_swh_Latn", "ar": "belebele_arb_Arab", "ja": "belebele_jpn_Jpan"}),
        ("mgsm_direct_{language}", {"de": "mgsm_direct_de", "sw": "mgsm_direct_sw"}),
        ("xcopa_{language}", {"th": "xcopa_th"}),
        ("xnli_{language}", {"en": "xnli_en", "ur": "xnli_ur"}),
    ],
)
def test_the_name_of_a_task_is_found_from_the_tag_of_the_language(wanted, names):
    for tag, name in names.items():
        one = Source(name="x", reader="lm_eval", task="lm_eval", languages=(tag,), options={"harness_task": wanted})
        assert find_task(one, tag)[0] == name


def test_codes_of_a_data_set_stand_for_languages(folder):
    renamed = Source(
        name="x",
        reader="lm_eval",
        task="lm_eval",
        languages=("fr",),
        path=folder,
        options={"harness_task": "reading_{language}", "codes": {"fr": "de"}},
    )
    assert load_task(renamed, "fr").task_name == "reading_de"


def test_documents_that_changed_since_they_were_prepared_are_an_error(generator, folder):
    rows = reader.read(source(folder, "reading")).rows.filter(language="en")
    spoilt = rows.with_columns(answer=pl.col("answer").str.replace('"hash": ".', '"hash": "x'))
    with pytest.raises(EvaluationError, match="not those that were prepared"):
        predict(generator, task("lm_eval"), spoilt, prompt="bare", source=source(folder, "reading"))


def test_a_metric_that_the_task_lacks_or_that_falls_with_quality_is_refused_by_check(folder):
    assert harness_task.problems(source(folder, "reading"), "acc_bytes") == []
    assert "no metric 'f1'" in harness_task.problems(source(folder, "reading"), "f1")[0]
    assert "lower" in harness_task.problems(source(folder, "text"), "byte_perplexity")[0]


def test_data_without_a_network_come_from_the_tasks_own_arguments(folder):
    local = Source(
        name="x",
        reader="lm_eval",
        task="lm_eval",
        split="test",
        languages=("en",),
        path=folder,
        options={
            "harness_task": "reading_{language}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": "data/letters_{language}.jsonl"}},
        },
    )
    assert reader.read(local).rows["messages"][0][0]["content"].endswith("Answer:")
