from __future__ import annotations

import json
from pathlib import Path

import places
import pytest

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.readers.calls import api_bank
from crosslift.corpora.readers.math import gsm8k, mgsm
from crosslift.discover import member
from crosslift.evaluation.task import task
from crosslift.languages.language import language

DATA = places.DATA
real = pytest.mark.skipif(not DATA.exists(), reason="needs the real data")

ELEVEN = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
EIGHT = ("en", "de", "es", "fr", "ja", "ru", "sw", "zh")


def read(reader: str, path: Path, languages: tuple[str, ...], split: str, **further) -> ParallelCorpus:
    name = "api_calling" if reader == "api_bank" else "math"
    source = Source(name="c", reader=reader, task=name, languages=languages, split=split, path=path, **further)
    return member("reader", reader).read(source)


def content(corpus: ParallelCorpus, item: int, tag: str, message: int) -> str:
    return corpus.rows["messages"][corpus.row(item, tag)].to_list()[message]["content"]


# --- MGSM


def write_mgsm(folder: Path, lines: dict[str, list[str]]) -> Path:
    for tag, questions in lines.items():
        (folder / f"mgsm_{tag}.tsv").write_text("".join(f"{line}\n" for line in questions), "utf-8")
    return folder


@pytest.fixture
def two_items(monkeypatch) -> None:
    monkeypatch.setattr(mgsm, "NUM_ITEMS", 2)


def test_mgsm_lines_are_items(tmp_path, two_items):
    write_mgsm(tmp_path, {"en": ['Say "how many"?\t2,125', "And?\t3"], "sw": ["Ngapi?\t2,125", "Na?\t3"]})
    corpus = read("mgsm", tmp_path, ("sw", "en"), "test")
    assert corpus.rows["item_id"].to_list() == ["mgsm-0001"] * 2 + ["mgsm-0002"] * 2
    assert corpus.rows["answer"].to_list() == ["2125", "2125", "3", "3"]
    assert content(corpus, 0, "en", 0) == 'Say "how many"?'
    assert content(corpus, 0, "sw", 1) == "2,125"


@pytest.mark.parametrize(
    ("swahili", "complaint"),
    [
        (["Ngapi?\t2", "Na?\t4"], "line 2: the answer is 4 here and 3 in mgsm_en.tsv"),
        (["Ngapi? 2", "Na?\t3"], "line 1: is not a question, a tab and a number"),
        (["Ngapi?\t2", "Na?\ttatu"], "line 2: is not a question"),
        (["Ngapi?\t2"], "has 1 lines and must have 2"),
    ],
)
def test_a_bad_mgsm_file_is_named_with_its_line(tmp_path, two_items, swahili, complaint):
    write_mgsm(tmp_path, {"en": ["How many?\t2", "And?\t3"], "sw": swahili})
    with pytest.raises(CorpusError, match=complaint) as caught:
        read("mgsm", tmp_path, ("en", "sw"), "test")
    assert "mgsm_sw.tsv" in str(caught.value)


def test_a_missing_language_and_an_unknown_split_say_so(tmp_path, two_items):
    write_mgsm(tmp_path, {"en": ["How many?\t2", "And?\t3"]})
    with pytest.raises(CorpusError, match=r"no mgsm_ko.tsv"):
        read("mgsm", tmp_path, ("en", "ko"), "test")
    with pytest.raises(CorpusError, match="no split 'validation'"):
        read("mgsm", tmp_path, ("en",), "validation")


def test_the_revision_is_the_content_of_the_files(tmp_path, two_items):
    write_mgsm(tmp_path, {"en": ["How many?\t2", "And?\t3"]})
    revision = read("mgsm", tmp_path, ("en",), "test").revision
    assert read("mgsm", tmp_path, ("en",), "test", revision=revision).revision == revision
    write_mgsm(tmp_path, {"en": ["How many??\t2", "And?\t3"]})
    with pytest.raises(CorpusError, match="Restore the old files"):
        read("mgsm", tmp_path, ("en",), "test", revision=revision)


@real
def test_mgsm_has_250_items_in_eleven_languages():
    corpus = read("mgsm", DATA / "mgsm", ELEVEN, "test")
    assert (corpus.num_items, corpus.rows.height) == (250, 2750)
    assert {"2125", "114200", "276000", "5600"} <= set(corpus.rows["answer"])


@real
@pytest.mark.parametrize("tag", ELEVEN)
def test_every_gold_answer_of_mgsm_scores_in_every_language(tag):
    corpus = read("mgsm", DATA / "mgsm", (tag,), "test")
    for row in corpus.rows.iter_rows(named=True):
        for answer in (row["messages"][1]["content"], f"{language(tag).answer_cue} {row['answer']}."):
            assert task("math").score(answer, row["answer"], language(tag)).values["accuracy"] == 1


# --- GSM8K


@pytest.fixture
def gsm8k_folder(tmp_path, monkeypatch) -> Path:
    """Four items; German lacks the second and leaves the third in English."""
    monkeypatch.setattr(gsm8k, "NUM_ITEMS", {"train": 4, "test": 1})
    items = [{"question": f"Q{n}?", "answer": f"It is {n}*2=<<{n}*2={2 * n}>>{2 * n}.\n#### 1,00{n}"} for n in range(4)]
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k/train.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "gsm8k/test.jsonl").write_text(json.dumps(items[0]) + "\n")
    (tmp_path / "gsm8k_translated_questions").mkdir()
    (tmp_path / "gsm8k_translated_questions/train.de").write_text("F0?\nQ2?\nF3?\n")
    (tmp_path / "gsm8k_translated_questions/gsm8k_train_ids.tsv").write_text(
        "lang\tline\tgsm8k_train_index\nde\t0\t0\nde\t1\t2\nde\t2\t3\nsw\t0\t0\n"
    )
    return tmp_path


def test_translated_questions_meet_their_english_solution(gsm8k_folder):
    corpus = read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop")
    assert corpus.item_ids.to_list() == ["gsm8k-train-0001", "gsm8k-train-0003", "gsm8k-train-0004"]
    assert content(corpus, 2, "de", 0) == "F3?"
    assert content(corpus, 2, "de", 1) == content(corpus, 2, "en", 1) == "It is 3*2=6.\n#### 1,003"
    assert corpus.rows["answer"].to_list() == ["1000"] * 2 + ["1002"] * 2 + ["1003"] * 2
    assert "de: 1 of 4 questions are not translated and remain in English." in corpus.notes
    assert any("1 of 4 items were dropped" in note for note in corpus.notes)


def test_the_published_pairs_of_files_read_the_same(gsm8k_folder):
    derived = read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop")
    folder = gsm8k_folder / "gsm8k_translated_questions"
    (folder / "de-en").mkdir()
    (folder / "train.de").rename(folder / "de-en/train.de")
    (folder / "gsm8k_train_ids.tsv").unlink()
    (folder / "de-en/train.en").write_text("Q0?\nQ2? \nQ3?\n")
    assert read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop").rows.equals(derived.rows)
    (folder / "de-en/train.en").write_text("Q0?\nQ2?\nQ9?\n")
    with pytest.raises(CorpusError, match=r"train.en, line 3: is no question"):
        read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop")


def test_incomplete_items_are_an_error_unless_asked_to_be_dropped(gsm8k_folder):
    with pytest.raises(CorpusError, match=r"'gsm8k-train-0002' \(de\)"):
        read("gsm8k", gsm8k_folder, ("en", "de"), "train")


def test_untranslated_questions_can_be_left_out(gsm8k_folder):
    corpus = read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop", options={"untranslated": "drop"})
    assert corpus.item_ids.to_list() == ["gsm8k-train-0001", "gsm8k-train-0004"]


def test_validation_items_are_no_training_items(gsm8k_folder):
    parts = [
        set(read("gsm8k", gsm8k_folder, ("en",), split, options={"num_validation": 1}).item_ids)
        for split in ("train", "validation")
    ]
    assert [len(part) for part in parts] == [3, 1]
    assert not parts[0] & parts[1]
    with pytest.raises(CorpusError, match="num_validation is 0"):
        read("gsm8k", gsm8k_folder, ("en",), "validation")


def test_the_test_split_is_english(gsm8k_folder):
    assert read("gsm8k", gsm8k_folder, ("en",), "test").num_items == 1
    with pytest.raises(CorpusError, match="English only"):
        read("gsm8k", gsm8k_folder, ("en", "de"), "test")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("gsm8k/train.jsonl", '{"question": "Q?"}\n', r"train.jsonl, line 1: answer must be a text"),
        ("gsm8k/train.jsonl", '{"question": "Q?", "answer": "7"}\n', r"line 1: the solution does not end"),
        ("gsm8k/train.jsonl", "{\n", r"line 1: is not JSON"),
        ("gsm8k/train.jsonl", '{"question": "Q?", "answer": "#### 7"}\n', r"has 1 lines and must have 4"),
        ("gsm8k_translated_questions/train.de", "F0?\n\nF3?\n", r"train.de, line 2: is empty"),
        ("gsm8k_translated_questions/train.de", "F0?\n", r"has 1 lines and its list of items has 3"),
        ("gsm8k_translated_questions/gsm8k_train_ids.tsv", "h\nde\t0\t2\nde\t1\t1\n", "line 3: is not the next"),
        ("gsm8k_translated_questions/gsm8k_train_ids.tsv", "h\nde\t0\t9\n", "line 2: is not the next"),
    ],
)  # fmt: skip
def test_a_bad_gsm8k_file_is_named_with_its_line(gsm8k_folder, file, text, complaint):
    (gsm8k_folder / file).write_text(text)
    with pytest.raises(CorpusError, match=complaint):
        read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop")


def test_a_file_that_is_not_utf8_is_named_with_its_line(gsm8k_folder):
    (gsm8k_folder / "gsm8k_translated_questions/train.de").write_bytes("F0?\nF\xfcr?\nF3?\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"train.de, line 2: is not UTF-8"):
        read("gsm8k", gsm8k_folder, ("en", "de"), "train", incomplete="drop")


@real
def test_gsm8k_has_7342_items_in_all_eight_languages_and_says_what_is_missing():
    corpus = read("gsm8k", DATA, EIGHT, "train", incomplete="drop")
    assert corpus.num_items == 7342
    assert "fr: 377 of 7473 questions are not translated and remain in English." in corpus.notes
    assert "131 of 7473 items were dropped because they lack one of en, de, es, fr, ja, ru, sw, zh." in corpus.notes
    assert any(note.startswith("zh: ") and "contain steps" in note for note in corpus.notes)
    assert not corpus.rows["messages"].list.last().struct.field("content").str.contains("<<").any()


@real
def test_every_english_solution_of_gsm8k_scores_against_its_own_answer():
    rows = read("gsm8k", DATA, ("en",), "train").rows.gather_every(5)
    scores = [
        task("math").score(row["messages"][1]["content"], row["answer"], language("sw")).values["accuracy"]
        for row in rows.iter_rows(named=True)
    ]
    assert set(scores) == {1.0}


# --- API-Bank


def write_api_bank(folder: Path, items: list[dict]) -> Path:
    (folder / "level-1-api.json").write_text(json.dumps(items))
    return folder


def api_item(dialogue: str, said: str, call: str) -> dict:
    return {
        "file": f"{dialogue}.jsonl",
        "id": 0,
        "instruction": "\nWrite a call.",
        "input": f"User: {said}\nGenerate API Request:\n",
        "expected_output": f"API-Request: {call}",
    }


def test_items_of_one_dialogue_are_a_cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(api_bank, "FILES", {"test": ("level-1-api.json", 3, "expected_output")})
    calls = ["[Get(a='1')]", "[Set(xs='['p', 'q']')]", "[Get(a='1')]"]
    items = [api_item(*row) for row in zip(["d1", "d1", "d2"], ["x", "y", "x"], calls, strict=True)]
    corpus = read("api_bank", write_api_bank(tmp_path, items), ("en",), "test")
    assert corpus.rows["cluster"].to_list() == ["d1", "d1", "d2"]
    assert corpus.rows["answer"].to_list() == calls
    assert content(corpus, 0, "en", 0) == "Write a call.\n\nUser: x\nGenerate API Request:\n"
    assert content(corpus, 0, "en", 1) == "API-Request: [Get(a='1')]"
    assert corpus.notes == ("1 of 3 items repeat the prompt of another item.",)


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([api_item("d", "x", "nothing")], r"level-1-api.json, item 1: expected_output is not"),
        ([{"file": "d"}], r"item 1: instruction, input, expected_output must be a text"),
        (["x"], "item 1: is not an object"),
        ([api_item("d", "x", "[F()]")], "has 1 items and must have 399"),
        ({"a": 1}, "is not a list of items"),
    ],
)
def test_a_bad_api_bank_file_is_named_with_its_item(tmp_path, items, complaint):
    with pytest.raises(CorpusError, match=complaint):
        read("api_bank", write_api_bank(tmp_path, items), ("en",), "test")


def test_api_bank_is_english(tmp_path):
    with pytest.raises(CorpusError, match="English only"):
        read("api_bank", tmp_path, ("en", "sw"), "test")


@real
def test_api_bank_has_399_items_in_212_dialogues_that_share_their_beginning():
    corpus = read("api_bank", DATA / "api_bank", ("en",), "test")
    assert (corpus.num_items, corpus.rows["cluster"].n_unique()) == (399, 212)
    before: dict[str, str] = {}
    for item in range(corpus.num_items):
        prompt = content(corpus, item, "en", 0).removesuffix("Generate API Request:\n")
        begun = before.setdefault(corpus.rows["cluster"][item], prompt)
        assert prompt.split("\n\nUser:")[1].startswith(begun.split("\n\nUser:")[1])


@real
@pytest.mark.parametrize("split", ["test", "train"])
def test_every_gold_call_of_api_bank_scores_one_against_itself(split):
    corpus = read("api_bank", DATA / "api_bank", ("en",), split, options={"level": 3})
    for row in corpus.rows.iter_rows(named=True):
        outcome = task("api_calling").score(row["messages"][-1]["content"], row["answer"], language("en"))
        assert set(outcome.values.values()) == {1.0}
