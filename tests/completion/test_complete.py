"""Completions have exactly the wanted number in every language, are paid once, and say where they are from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from endpoints import FaultyServer, serving
from typer.testing import CliRunner

import crosslift
from crosslift.cli import app
from crosslift.completion.recipe import load_recipe, load_service, recipe_names
from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.readers.chat import prompts as prompts_reader
from crosslift.corpora.readers.general import jsonl
from crosslift.errors import EndpointError, StudyError
from crosslift.remote import endpoint

pytest.importorskip("openai")

QUESTIONS = {
    "en": "Please explain in simple words how the weather changes in the month number {}.",
    "de": "Bitte erkläre mit einfachen Worten, wie sich das Wetter im Monat Nummer {} verändert.",
    "ja": "{}月の天気がどのように変わるかを、簡単な言葉で説明してください。",
}
ANSWERS = {
    "en": "The weather gets warmer because the sun stands higher in the sky every day.",
    "de": "Das Wetter wird wärmer, weil die Sonne jeden Tag höher am Himmel steht.",
    "ja": "太陽が毎日高くなるので、天気は暖かくなります。",
}
NUM_PROMPTS = 30


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


class Model(FaultyServer):
    """Answers in the language of the question; numbers that end in 3 are cut off, in 5 empty, in 7 in English."""

    bodies: list[dict]

    def reply(self, body: dict, text: str) -> tuple[str, str]:
        self.bodies = [*getattr(self, "bodies", []), body]
        number, tag = number_of(text), spoken(text)
        if number % 10 == 5:
            return " \n", "stop"
        said = ANSWERS["en" if number % 10 == 7 else tag]
        return f"{said} ({number})", "length" if number % 10 == 3 else "stop"


def number_of(text: str) -> int:
    return int(re.findall(r"\d+", text)[0])


def spoken(text: str) -> str:
    return "en" if "month" in text else "de" if "Monat" in text else "ja"


def write_prompts(folder: Path, *, one_file: bool = False) -> Path:
    """ShareGPT's turns; in one file, languages are mixed and not named."""
    rows = {
        tag: [
            {
                "id": f"{tag}-{number}" if one_file else str(number),
                "conversations": [
                    {"from": "human", "value": words.format(number)},
                    {"from": "gpt", "value": "an answer that is not used"},
                    {"from": "human", "value": "a second question"},
                ],
            }
            for number in range(NUM_PROMPTS)
        ]
        for tag, words in QUESTIONS.items()
    }
    if one_file:
        mixed = [one for three in zip(*rows.values(), strict=True) for one in three]
        mixed.append({"id": "half", "conversations": [{"from": "gpt", "value": "The second half of a conversation."}]})
        mixed.append({"id": "russian", "conversations": [{"from": "human", "value": "Расскажи мне о погоде в мае."}]})
        (folder / "prompts.json").write_text(json.dumps(mixed))
        return folder / "prompts.json"
    (folder / "prompts").mkdir()
    for tag, found in rows.items():
        (folder / "prompts" / f"{tag}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    return folder / "prompts"


def recipe(folder: Path, path: Path, **settings: object) -> Path:
    asked = {"items": 8, "num_validation": 2, "max_tokens": 50, **settings}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in asked.items())
    file = folder / "recipe.toml"
    file.write_text(
        f'[source]\nreader = "prompts"\ntask = "open_ended"\nsplit = "test"\npath = "{path}"\nlicence = "CC0"\n'
        f'languages = ["en", "de", "ja"]\n[completion]\n{lines}\n'
    )
    return file


def site(folder: Path, server: FaultyServer, **settings: object) -> Path:
    given = {"base_url": server.base_url, "model": "toy", "concurrency": 4, "prices": [2.0, 10.0], **settings}
    file = folder / "site.toml"
    file.write_text("[completion]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items()))
    return file


def rows_of(folder: Path, split: str = "train") -> pl.DataFrame:
    source = Source(name="c", reader="jsonl", task="open_ended", languages=("en", "de", "ja"), path=folder / split)
    return jsonl.read(source).rows


def test_every_language_has_the_wanted_number_and_nothing_else_was_asked(tmp_path):
    with serving(str, server=Model) as server:
        done = crosslift.complete(
            recipe(tmp_path, write_prompts(tmp_path)), tmp_path / "out", site=site(tmp_path, server)
        )
    assert {tag: (one["train"], one["validation"]) for tag, one in done.counts.items()} == dict.fromkeys(
        ("en", "de", "ja"), (8, 2)
    )
    # 0 1 2 4 6 8 9 10 11 12 in German and Japanese; in English, 7 is good as well
    assert {tag: one["asked"] for tag, one in done.counts.items()} == {"en": 12, "de": 13, "ja": 13}
    assert sum(server.asked.values()) == len(server.asked) == 38
    assert done.counts["de"]["dropped"] == {"empty": 1, "truncated": 1, "wrong_language": 1}
    assert done.counts["en"]["dropped"] == {"empty": 1, "truncated": 1}
    train, validation = rows_of(tmp_path / "out"), rows_of(tmp_path / "out", "validation")
    assert (train.height, validation.height) == (24, 6)
    assert set(train["origin"]) == {"model:toy"}
    first = validation.row(0, named=True)
    assert [one["role"] for one in first["messages"]] == ["user", "assistant"]
    assert first["messages"][0]["content"] == QUESTIONS["en"].format(0)
    assert first["answer"] == first["messages"][1]["content"] == f"{ANSWERS['en']} (0)"


def test_the_manifest_says_where_the_texts_are_from_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(str, server=Model, key="sk-secret") as server:
        where = site(tmp_path, server)
        crosslift.complete(recipe(tmp_path, write_prompts(tmp_path)), tmp_path / "out", site=where)
    found = json.loads((tmp_path / "out/manifest.json").read_text())
    assert found["source"]["licence"] == "CC0"
    assert (found["model"], found["endpoint"]) == ("toy", "127.0.0.1")
    assert found["sampling"] == {"temperature": 0.0, "top_p": None, "max_tokens": 50, "seed": 0}
    places = pl.read_ndjson(tmp_path / "out/prompts.jsonl")
    assert places.filter(language="de", split="train")["prompt_id"].to_list() == [
        "2",
        "4",
        "6",
        "8",
        "9",
        "10",
        "11",
        "12",
    ]
    assert pl.read_ndjson(tmp_path / "out/dropped.jsonl").height == 8
    written = "".join(file.read_text() for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert not any(secret in written for secret in ("sk-secret", str(tmp_path)))


def test_the_name_of_an_endpoint_has_neither_user_nor_key(tmp_path):
    (tmp_path / "site.toml").write_text(
        '[completion]\nbase_url = "https://user:word@api.example.org:8000/v1?key=hidden"\nmodel = "toy"\n'
    )
    assert load_service(tmp_path / "site.toml").host == "api.example.org"


def test_a_killed_command_goes_on_and_pays_nothing_twice(tmp_path):
    file = recipe(tmp_path, write_prompts(tmp_path))
    with serving(str, server=Model, fault_every=7) as server:
        where = site(tmp_path, server, timeout_seconds=0.5)
        crosslift.complete(file, tmp_path / "whole", site=where)
    whole = {one.relative_to(tmp_path / "whole"): one.read_bytes() for one in (tmp_path / "whole").rglob("*.jsonl")}
    replies = (tmp_path / "whole/journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/journal.jsonl").write_bytes(b"".join(replies[:17]) + replies[17][:20])  # power failed
    with serving(str, server=Model) as server:
        expected = crosslift.complete(file, tmp_path / "out", site=site(tmp_path, server), dry_run=True).estimate
        assert expected.num_known == 17 and not server.asked
        done = crosslift.complete(file, tmp_path / "out", site=site(tmp_path, server))
        assert sum(server.asked.values()) == 38 - 17 == done.outcome.num_requests
        again = crosslift.complete(file, tmp_path / "out", site=site(tmp_path, server))
        assert again.outcome.num_requests == 0
    for name, content in whole.items():
        if name.name != "journal.jsonl":
            assert (tmp_path / "out" / name).read_bytes() == content, name
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == json.loads(
        (tmp_path / "whole/manifest.json").read_text()
    )


def test_languages_of_mixed_prompts_are_identified(tmp_path):
    path = write_prompts(tmp_path, one_file=True)
    with serving(str, server=Model) as server:
        done = crosslift.complete(
            recipe(tmp_path, path, prompt_languages="identified", items=20, num_validation=0), tmp_path / "out",
            site=site(tmp_path, server),
        )  # fmt: skip
    assert [done.counts[tag]["train"] for tag in ("en", "de", "ja")] == [20, 20, 20]
    rows = rows_of(tmp_path / "out")
    assert all(spoken(row["messages"][0]["content"]) == row["language"] for row in rows.iter_rows(named=True))
    assert json.loads((tmp_path / "out/manifest.json").read_text())["source"]["notes"] == [
        "1 rows were left out: they do not begin with a question."
    ]


def test_the_same_items_are_kept_in_all_languages_if_wanted(tmp_path):
    with serving(str, server=Model) as server:
        crosslift.complete(
            recipe(tmp_path, write_prompts(tmp_path), pairing="item", items=10, num_validation=0), tmp_path / "out",
            site=site(tmp_path, server),
        )  # fmt: skip
    ids = rows_of(tmp_path / "out")["item_id"].unique(maintain_order=True).to_list()
    assert ids == ["0", "1", "2", "4", "6", "8", "9", "10", "11", "12"]
    dropped = pl.read_ndjson(tmp_path / "out/dropped.jsonl").filter(prompt_id="7")
    assert dict(zip(dropped["language"], dropped["reason"], strict=True)) == {
        "en": "other_language_dropped", "de": "wrong_language", "ja": "wrong_language",
    }  # fmt: skip


def test_too_few_prompts_are_told_before_anything_is_paid(tmp_path):
    with serving(str, server=Model) as server:
        for items, num_asked in ((40, 0), (26, 90)):
            file = recipe(tmp_path, tmp_path / "prompts", items=items, num_validation=0)
            if not (tmp_path / "prompts").exists():
                write_prompts(tmp_path)
            with pytest.raises(CorpusError, match="too few prompts"):
                crosslift.complete(file, tmp_path / "out", site=site(tmp_path, server))
            assert sum(server.asked.values()) <= num_asked
    assert not (tmp_path / "out/manifest.json").exists()


def test_the_cost_is_told_without_asking(tmp_path):
    file = recipe(tmp_path, write_prompts(tmp_path))
    with serving(str, server=Model) as server:
        where = site(tmp_path, server)
        arguments = ["complete", str(file), str(tmp_path / "out"), "--site", str(where)]
        ended = CliRunner().invoke(app, [*arguments, "--dry-run"])
        assert not server.asked
        assert not (tmp_path / "out").exists()
        done = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    assert "30 requests" in ended.output and "at most 1,500 completion tokens, at most 0.0" in ended.output
    assert done.exit_code == 0, done.output
    assert (
        "de: 8 to train on, 2 for validation, of 13 asked; dropped: 1 empty, 1 truncated, 1 wrong_language"
        in done.output
    )


def test_sampling_settings_are_sent_and_another_setting_is_another_request(tmp_path):
    path = write_prompts(tmp_path)
    with serving(str, server=Model) as server:
        where = site(tmp_path, server)
        asked = {"items": 1, "num_validation": 0}
        crosslift.complete(recipe(tmp_path, path, **asked), tmp_path / "out", site=where)
        assert "seed" not in server.bodies[-1] and "top_p" not in server.bodies[-1]
        crosslift.complete(
            recipe(tmp_path, path, **asked, temperature=0.7, top_p=0.9, seed=5, system="Be brief."),
            tmp_path / "out", site=where,
        )  # fmt: skip
        sent = server.bodies[-1]
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["max_tokens"]) == (0.7, 0.9, 5, 50)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len(server.bodies) == 6


def test_prompts_that_are_excluded_long_repeated_or_in_another_language_are_not_asked(tmp_path):
    folder = tmp_path / "prompts"
    folder.mkdir()
    english = [QUESTIONS["en"].format(number) for number in (0, 0, 1, 2, 4)]
    for tag in ("en", "de", "ja"):
        texts = english if tag == "en" else [QUESTIONS[tag].format(number) for number in (0, 1, 2)]
        texts = [*texts[:2], QUESTIONS["en"].format(9), "x" * 5000, *texts[2:]] if tag == "de" else texts
        (folder / f"{tag}.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    with serving(str, server=Model) as server:
        done = crosslift.complete(
            recipe(tmp_path, folder, items=3, num_validation=0),
            tmp_path / "out", site=site(tmp_path, server),
        )  # fmt: skip
    assert done.counts["en"]["prompts_dropped"] == {"prompt_repeated": 1}
    assert done.counts["de"]["prompts_dropped"] == {"prompt_in_another_language": 1, "prompt_too_long": 1}


def test_a_prompt_that_gets_no_reply_stops_the_command_until_it_is_excluded(tmp_path):
    class Broken(Model):
        def handle(self, request):
            body = request.rfile.peek()
            if b"number 4." in body:
                request.rfile.read(int(request.headers["content-length"]))
                return self.send(request, 500, {"error": {"message": "no"}})
            return super().handle(request)

    path = write_prompts(tmp_path)
    with serving(str, server=Broken) as server:
        where = site(tmp_path, server, max_attempts=2)
        with pytest.raises(EndpointError, match=r"1 of \d+ prompts have no reply, such as '4' in en"):
            crosslift.complete(recipe(tmp_path, path), tmp_path / "out", site=where)
        done = crosslift.complete(recipe(tmp_path, path, exclude=["4"]), tmp_path / "out", site=where)
    assert done.counts["en"]["train"] == 8
    assert done.counts["en"]["prompts_dropped"] == {"excluded": 1}


def test_all_problems_of_a_recipe_are_told_at_once(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        '[source]\nreader = "promts"\ntask = "open_ended"\nlanguages = ["en", "xx"]\n'
        '[completion]\nitems = 3\npairing = "item"\nprompt_languages = "identified"\n'
    )
    with pytest.raises(StudyError) as caught:
        load_recipe(file)
    text = str(caught.value)
    assert "source.reader" in text and "source.languages" in text and "completion.pairing" in text


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_valid(name):
    found = load_recipe(Path(name))
    assert found.num_items >= 1000 and found.num_validation >= 50
    assert found.source.languages == ("en", "es", "fr", "ja", "zh")


def test_the_reader_of_prompts_reads_first_questions_and_says_what_it_left_out(tmp_path):
    rows = [
        {"id": 1, "language": "English", "conversation": [{"role": "user", "content": "Why?", "toxic": False}]},
        {"id": 2, "language": "German", "conversation": [{"role": "user", "content": "Warum?"}]},
        {"id": 3, "language": "English", "conversation": [{"role": "assistant", "content": "Because."}]},
        {"id": 4, "language": "English", "conversation": [
            {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}]},
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(name="p", reader="prompts", task="open_ended", languages=("en",), split="test",
                    path=tmp_path / "rows.jsonl")  # fmt: skip
    corpus = prompts_reader.read(source)
    assert corpus.item_ids.to_list() == ["1", "4"]
    assert [one["content"] for one in corpus.rows["messages"].to_list()[1]] == ["Be kind.", "Who?"]
    assert corpus.notes == ("1 rows were left out: they do not begin with a question.",)


def test_prompts_that_were_translated_are_answered_item_by_item(tmp_path):
    """A translation of prompts has the questions alone, which nothing could be trained on."""
    folder = tmp_path / "translated"
    folder.mkdir()
    for tag, words in QUESTIONS.items():
        rows = [
            {"item_id": f"q{number}", "language": tag, "messages": [{"role": "user", "content": words.format(number)}],
             "answer": words.format(number), "cluster": f"q{number}", "origin": "human" if tag == "en" else "mt:toy"}
            for number in range(NUM_PROMPTS)
        ]  # fmt: skip
        (folder / f"{tag}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = recipe(tmp_path, folder, items=6, num_validation=1, pairing="item")
    file.write_text(file.read_text().replace('reader = "prompts"', 'reader = "jsonl"'))
    with serving(str, server=Model) as server:
        crosslift.complete(file, tmp_path / "out", site=site(tmp_path, server))
    rows = rows_of(tmp_path / "out")
    assert rows["item_id"].unique(maintain_order=True).to_list() == ["q1", "q2", "q4", "q6", "q8", "q9"]
    assert rows_of(tmp_path / "out", "validation")["item_id"].unique().to_list() == ["q0"]
