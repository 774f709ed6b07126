"""Rows that come back keep their structure, or are set aside with the reason; nothing is paid twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import places
import polars as pl
import pytest
from endpoints import FaultyServer, serving
from typer.testing import CliRunner

from crosslift.api.tools import translate
from crosslift.cli import app
from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.discover import member
from crosslift.errors import EndpointError, StoreError, StudyError
from crosslift.evaluation.calls import parse_calls
from crosslift.remote import endpoint
from crosslift.translation import translate as work
from crosslift.translation.recipe import load_recipe, load_service
from crosslift.translation.rows import value_kind

pytest.importorskip("openai")

NUM_ITEMS = 40
RECIPE = """
[source]
reader = "pocket"
task = "math"
languages = ["en"]
max_items = 40

[translation]
languages = ["sw", "de"]
prompt = "{language}|{text}"
"""
NAMES = {"Swahili": "sw", "German": "de"}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


@pytest.fixture(scope="module")
def references() -> dict[tuple[str, str], str]:
    """(language, English text) -> its exact translation: the grammar of the pocket world knows it."""
    source = Source(name="toy", reader="pocket", task="math", languages=("en", "sw", "de"), max_items=NUM_ITEMS)
    rows = pocket.read(source).rows.rows(named=True)
    found = {}
    for english, *others in zip(*[iter(rows)] * 3, strict=True):
        for other in others:
            for before, after in zip(english["messages"], other["messages"], strict=True):
                found[other["language"], before["content"]] = after["content"]
    return found


def knowing(references: dict[tuple[str, str], str]):
    def answer(question: str) -> str:
        name, _, text = question.partition("|")
        return references[NAMES[name], text]

    return answer


def translated(folder: Path, server: FaultyServer, recipe: str = RECIPE, **options: object) -> work.Outcome:
    (folder / "recipe.toml").write_text(recipe)
    asked = load_recipe(folder / "recipe.toml")
    corpus = pocket.read(asked.source)
    settings = {"base_url": server.base_url, "model": "toy", "timeout_seconds": 0.5, **options}
    translator = member("translator", "endpoint").Translator(settings, place="site.toml")
    return work.translate(asked, work.items_of(corpus), translator, folder / "out", origin="grammar")


def test_a_translated_corpus_is_the_one_that_the_grammar_writes(tmp_path: Path, references):
    with serving(knowing(references)) as server:
        outcome = translated(tmp_path, server)
    source = Source(name="toy", reader="pocket", task="math", languages=("en", "sw", "de"), max_items=NUM_ITEMS)
    wanted = pocket.read(source).rows.sort("language", "item_id")
    found = outcome.rows.sort("language", "item_id")
    assert found["messages"].to_list() == wanted["messages"].to_list()
    assert found["answer"].to_list() == wanted["answer"].to_list()
    assert set(found["origin"]) == {"grammar", "mt:toy"}
    assert outcome.set_aside == []
    assert outcome.scores["in_language"].all()


def test_faults_change_nothing_in_the_result(tmp_path: Path, references):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with serving(knowing(references)) as server:
        calm = translated(tmp_path / "a", server)
    with serving(knowing(references), fault_every=20) as server:
        stormy = translated(tmp_path / "b", server)
        assert sum(server.faults.values()) >= NUM_ITEMS * 4 // 20
    assert calm.rows.equals(stormy.rows)


def test_a_killed_translation_goes_on_and_never_sends_a_finished_text_again(tmp_path: Path, references):
    class Killed(Exception):
        pass

    seen = []

    def dying(question: str) -> str:
        return knowing(references)(question)

    with serving(dying) as server:
        (tmp_path / "recipe.toml").write_text(RECIPE)
        asked = load_recipe(tmp_path / "recipe.toml")
        items = work.items_of(pocket.read(asked.source))
        settings = {"base_url": server.base_url, "model": "toy", "concurrency": 2}
        translator = member("translator", "endpoint").Translator(settings, place="site.toml")
        whole = translator.translate

        def until(requests, done):
            def counted(place, found):
                seen.append(place)
                if len(seen) == 30:
                    raise Killed
                done(place, found)

            whole(requests, counted)

        translator.translate = until
        with pytest.raises(Killed):
            work.translate(asked, items, translator, tmp_path / "out", origin="grammar")
        journal = tmp_path / "out" / "journal.jsonl"
        kept = len(journal.read_text().splitlines())
        assert kept == 29
        journal.write_text(journal.read_text() + '{"key": "half')  # a power cut in the middle of a line
        finished = {json.loads(line)["text"] for line in journal.read_text().splitlines()[:kept]}
        server.asked.clear()
        outcome = translated(tmp_path, server)
        again = [text for text in server.asked if references[NAMES[text.split("|")[0]], text.split("|")[1]] in finished]
    assert again == []
    assert outcome.num_known >= kept
    assert outcome.set_aside == []


def test_a_refused_text_is_asked_again_with_the_reason_and_then_set_aside(tmp_path: Path, references):
    stubborn = next(text for tag, text in references if tag == "sw" and "?" in text)
    complaints = []

    def answer(question: str) -> str:
        name, _, text = question.partition("|")
        text, _, complaint = text.partition("\n\n(An earlier")
        if text == stubborn and NAMES[name] == "sw":
            complaints.append(complaint)
            return "bila namba"
        return references[NAMES[name], text]

    with serving(answer) as server:
        outcome = translated(tmp_path, server)
    (aside,) = outcome.set_aside
    assert aside["language"] == "sw"
    assert "missing" in aside["reason"] or "length" in aside["reason"]
    assert len(complaints) == 3
    assert complaints[0] == "" and "refused" in complaints[1]
    assert outcome.rows.filter(language="sw").height == NUM_ITEMS - 1
    assert outcome.rows.filter(language="de").height == NUM_ITEMS


def test_a_call_keeps_its_structure_and_the_dialogue_says_what_the_call_holds(tmp_path: Path):
    german = {"green tea": "grüner Tee", "Please order <1> for me.": "Bitte bestelle <1> für mich."}
    (tmp_path / "corpus.jsonl").write_text(
        json.dumps(
            {
                "item_id": "1",
                "language": "en",
                "prompt": "Please order green tea for me.",
                "completion": "API-Request: [Order(item='green tea', count='5', shop='Rewe')]",
                "answer": "[Order(item='green tea', count='5', shop='Rewe')]",
            }
        )
        + "\n"
    )
    (tmp_path / "recipe.toml").write_text(
        '[source]\nreader = "jsonl"\ntask = "api_calling"\npath = "corpus.jsonl"\nlanguages = ["en"]\n'
        '[translation]\nlanguages = ["de"]\nprompt = "{text}"\n'
    )
    with serving(german.__getitem__) as server:
        (tmp_path / "site.toml").write_text(
            f'[translation]\nbase_url = "{server.base_url}"\nmodel = "toy"\nprices = [1.0, 2.0]\n'
        )
        arguments = [str(tmp_path / "recipe.toml"), str(tmp_path / "out"), "--site", str(tmp_path / "site.toml")]
        dry = CliRunner().invoke(app, ["translate", *arguments, "--dry-run"])
        assert "2 texts" in dry.output and "prices" in dry.output and not server.asked
        done = CliRunner().invoke(app, ["translate", *arguments])
    assert done.exit_code == 0, done.output
    assert "1 rows, 0 set aside" in done.output
    (row,) = pl.read_ndjson(tmp_path / "out" / "de.jsonl").to_dicts()
    assert row["messages"][0]["content"] == "Bitte bestelle grüner Tee für mich."
    (call,) = parse_calls(row["messages"][1]["content"])
    assert (call.name, dict(call.arguments)) == ("Order", {"item": "grüner Tee", "count": "5", "shop": "Rewe"})
    assert parse_calls(row["answer"]) == [call]


@pytest.mark.parametrize(
    ("value", "kind"),
    [("2023-10-15", "neutral"), ("5", "neutral"), ("New York", "name"), ("green tea", "text"), ("緑茶", "text")],
)
def test_kinds_of_values(value: str, kind: str):
    assert value_kind(value) == kind


def test_all_problems_of_a_recipe_are_told_at_once(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text(
        '[source]\nreader = "no"\ntask = "math"\nlanguages = ["en"]\n'
        '[translation]\nlanguages = ["en", "xx"]\nprompt = "without"\n'
    )
    with pytest.raises(StudyError) as caught:
        load_recipe(tmp_path / "recipe.toml")
    assert len(caught.value.problems) == 4


def test_a_site_without_a_translator_says_what_to_add(tmp_path: Path):
    (tmp_path / "site.toml").write_text('executor = "local"\n')
    with pytest.raises(StudyError, match="configures the translator"):
        load_service(tmp_path / "site.toml")


def test_a_server_that_refuses_stops_and_keeps_what_there_is(tmp_path: Path, references, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with serving(knowing(references), key="right") as server, pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        translated(tmp_path, server)
    assert (tmp_path / "out" / "journal.jsonl").read_text() == ""


def test_a_shipped_recipe_reads_api_bank_and_tells_what_it_would_cost(tmp_path: Path):
    folder = places.DATA / "api_bank"
    if not folder.exists():
        pytest.skip("needs API-Bank")
    site = tmp_path / "site.toml"
    site.write_text('[translation]\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\nprices = [0.15, 0.6]\n')
    arguments = ["api-bank-test", str(tmp_path / "out"), "--site", str(site), "--data", str(folder), "--dry-run"]
    said = CliRunner().invoke(app, ["translate", *arguments])
    assert said.exit_code == 0, said.output
    assert "399 items into es, ja, bn, sw, te" in said.output
    assert "at the site's prices" in said.output


def test_two_starts_at_once_take_turns_and_pay_once(tmp_path: Path, references):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    with serving(knowing(references)) as server:
        site = f'[translation]\ntranslator = "endpoint"\nbase_url = "{server.base_url}"\nmodel = "toy"\n'
        (tmp_path / "site.toml").write_text(site)
        arguments = ["translate", "recipe.toml", "out", "--site", "site.toml"]
        command = [sys.executable, "-m", "crosslift", *arguments]
        environment = os.environ | {"PYTHONPATH": str(places.REPOSITORY / "src")}
        starts = [subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [start.wait() for start in starts] == [0, 0]
        assert set(server.asked.values()) == {1}
    assert not list((tmp_path / "out").glob("lease.*"))


def test_a_folder_that_is_moved_away_before_the_work_begins_is_not_made_anew(tmp_path: Path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "recipe.toml").write_text(RECIPE)
    (place / "site.toml").write_text('[translation]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "toy"\n')

    def move(line: str) -> None:
        place.rename(tmp_path / "away")

    with pytest.raises(StoreError, match="has been moved, removed or unmounted"):
        translate(place / "recipe.toml", place / "out", site=place / "site.toml", progress=move)
    assert not place.exists()
