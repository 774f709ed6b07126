"""Data sets as they lie on the hub are recognized by their columns, and read back as they were written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import places
import pytest
from published_formats import CHAT, EXPECTED, ITEMS, PUBLISHED, UNKNOWN, write_published
from typer.testing import CliRunner

import crosslift
from crosslift.cli import app
from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.formats.conversations import transcript
from crosslift.corpora.formats.file_names import language_of_name, split_of_name
from crosslift.corpora.readers.choices import belebele
from crosslift.discover import member
from crosslift.evaluation.task import task
from crosslift.evaluation.tasks import multiple_choice
from crosslift.languages.language import language

CHOICES = [name for name, (reader, *_) in PUBLISHED.items() if hasattr(member("reader", reader), "FORMAT")
           and member("reader", reader).FORMAT.task == "multiple_choice"]  # fmt: skip


def whole(found: crosslift.api.corpora.Recognized) -> ParallelCorpus:
    return member("reader", found.source.reader).read(found.source)


def test_there_are_twenty_formats():
    assert len(EXPECTED) == 20


@pytest.mark.parametrize("name", EXPECTED)
def test_every_format_is_recognized_and_its_table_reads_it(tmp_path, name):
    place = write_published(name, tmp_path)
    found = crosslift.recognize_corpus(place)
    assert found.source.reader == EXPECTED[name]
    assert 0 < found.rows.height <= 10
    (table,) = tomllib.loads(found.table(tmp_path))["corpora"].values()
    assert tmp_path / table["path"] == place
    corpus = crosslift.read_corpus(
        table["reader"], place, languages=table["languages"], task=table["task"], split=table["split"],
        incomplete="error",
    ).corpus  # fmt: skip
    assert corpus.rows["language"].unique().sort().to_list() == sorted(found.source.languages)
    assert corpus.rows.head(1)["messages"].to_list() == found.rows.head(1)["messages"].to_list()


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_items_of_the_task_in_every_language(tmp_path, name):
    corpus = whole(crosslift.recognize_corpus(write_published(name, tmp_path)))
    assert corpus.num_items == ITEMS
    for row in corpus.rows.iter_rows(named=True):
        asked = multiple_choice.request(
            row["messages"], row["answer"], language(row["language"]), "full", shots=(), chat=False
        )
        assert json.loads(row["answer"])["gold"] == 1
        assert len(asked.choices) == len(json.loads(row["answer"])["choices"])


def test_a_split_that_is_trained_on_has_the_right_choice_as_its_answer(tmp_path):
    place = write_published("xstorycloze", tmp_path)
    (place / "es/eval").rename(place / "es/train")
    found = crosslift.recognize_corpus(place, languages=["es"], split="train")
    assert found.rows["messages"][0][-1] == {"role": "assistant", "content": "Good."}


def test_questions_have_the_words_of_the_harness(tmp_path):
    def first(name: str) -> tuple[str, list[str]]:
        row = whole(crosslift.recognize_corpus(write_published(name, tmp_path))).rows.row(0, named=True)
        return row["messages"][0]["content"], json.loads(row["answer"])["choices"]

    assert first("xcopa") == ("it rain fell quindi", ["a one", "b two"])
    premise, choices = first("xnli")
    assert premise + choices[0] == "de rain 0, richtig? Ja, It is wet."
    assert first("belebele")[0] == "P: deu_Latn text\nQ: who?"
    assert first("xstorycloze")[0] == "es 1. es 2. es 3. es 4."


@pytest.mark.parametrize("name", CHAT)
def test_chat_data_are_read_as_the_same_conversation(tmp_path, name):
    corpus = whole(crosslift.recognize_corpus(write_published(name, tmp_path)))
    said = [[one["content"] for one in messages] for messages in corpus.rows["messages"].to_list()]
    assert said == [["ask 0", "say 0"], ["ask 1", "say 1"]]
    assert task(corpus.task).present(corpus.rows["messages"].to_list()[0], language("en"), "bare")


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_no_known_format_is_refused_with_one_sentence(tmp_path, name):
    content, reason = UNKNOWN[name]
    (tmp_path / name).write_text(content)
    ended = CliRunner().invoke(app, ["read", str(tmp_path / name)])
    assert isinstance(ended.exception, CorpusError)
    assert reason in str(ended.exception)
    assert "\n" not in str(ended.exception)


def test_the_command_shows_rows_and_writes_the_table(tmp_path):
    place = write_published("global-mmlu", tmp_path)
    ended = CliRunner().invoke(
        app, ["read", str(place), "--languages", "sw", "--output", str(tmp_path / "corpus.toml")]
    )
    assert ended.exit_code == 0, ended.output
    assert "Format: global_mmlu" in ended.output
    assert "sw 0" in ended.output
    table = tomllib.loads((tmp_path / "corpus.toml").read_text())["corpora"]["global-mmlu"]
    assert table == {"reader": "global_mmlu", "task": "multiple_choice", "split": "test", "path": "global-mmlu",
                     "languages": ["sw"]}  # fmt: skip


def test_a_set_of_the_hub_is_read_at_its_revision(tmp_path, monkeypatch):
    place = write_published("messages", tmp_path).parent
    asked = []

    def folder(source, name, patterns):
        asked.append((name, source.revision, list(patterns)))
        return place, f"{name}@{'c' * 40}"

    monkeypatch.setattr(hub, "listing", lambda source, name: ["README.md", "train.jsonl"])
    monkeypatch.setattr(hub, "folder", folder)
    found = crosslift.recognize_corpus("someone/chats", revision="main")
    table = tomllib.loads(found.table())["corpora"]["chats"]
    assert (table["hub"], table["revision"], "path" in table) == ("someone/chats", "c" * 40, False)
    assert asked[-1] == ("someone/chats", "main", ["train.jsonl"])
    assert whole(found).revision == f"someone/chats@{'c' * 40}"


def test_a_place_without_a_language_asks_for_it(tmp_path):
    (tmp_path / "chats.jsonl").write_text(json.dumps({"prompt": "ask", "response": "say"}) + "\n")
    with pytest.raises(CorpusError, match="--languages en"):
        crosslift.recognize_corpus(tmp_path / "chats.jsonl")
    assert crosslift.recognize_corpus(tmp_path / "chats.jsonl", languages=["en"]).source.languages == ("en",)
    with pytest.raises(CorpusError, match="no such file or folder"):
        crosslift.recognize_corpus(tmp_path / "none.jsonl")


def test_a_reader_names_missing_columns_and_invalid_rows(tmp_path):
    place = write_published("belebele", tmp_path)
    file = place / "data/deu_Latn.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("\n".join(json.dumps(row | {"correct_answer_num": "7"}) for row in rows))
    source = Source(name="c", reader="belebele", task="multiple_choice", languages=("de",), split="test", path=place)
    with pytest.raises(CorpusError, match=r"row 1: names the choice 7 as the right one of 4"):
        belebele.read(source)
    file.write_text(json.dumps({"question": "x"}))
    with pytest.raises(CorpusError, match=r"has no columns link.*it has question"):
        belebele.read(source)


@pytest.mark.parametrize(
    ("name", "tag", "split"),
    [
        ("zho_Hant.devtest", "zh-Hant", "devtest"),
        ("Albanian/test-00000-of-00001.parquet", "sq", "test"),
        ("xquad.de.json", "de", None),
        ("data/train_sft-00000-of-00003.parquet", None, "train"),
        ("my_data.jsonl", None, None),
        ("my.jsonl", "my", None),
        ("toy.jsonl", None, None),
        ("pt_BR/dev.tsv", "pt", "dev"),
    ],
)
def test_languages_and_splits_of_file_names(name, tag, split):
    assert language_of_name(name) == tag
    assert split_of_name(name, {"train", "test", "dev", "devtest"}) == split


def test_a_transcript_ends_with_its_last_answer():
    text = "\n\nHuman: a\n\nb\n\nAssistant: c\n\nHuman: d"
    assert transcript(text) == [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "c"}]
    assert transcript("No speaker.") is None


@pytest.mark.skipif(not (places.DATA / "xquad").exists(), reason="needs the real data")
def test_the_release_of_xquad_is_recognized():
    found = crosslift.recognize_corpus(Path(places.DATA / "xquad"), languages=["de", "th"])
    corpus = whole(found)
    assert (found.source.reader, corpus.num_items) == ("xquad", 1190)
    assert corpus.rows["cluster"].n_unique() == 240


@pytest.mark.skipif(not (places.DATA / "ntrex").exists(), reason="needs the real data")
def test_the_release_of_ntrex_is_recognized():
    found = crosslift.recognize_corpus(Path(places.DATA / "ntrex"), languages=["de", "sw"])
    corpus = whole(found)
    assert (found.source.reader, corpus.task, corpus.num_items) == ("ntrex_sentences", "perplexity", 1997)
    assert corpus.rows["cluster"].n_unique() == 123
