"""Twenty data sets in small, made by hand as they lie on the hub, and five that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

ITEMS = 2


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(file)
    elif file.suffix == ".json":
        file.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    else:
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _options(number: int) -> dict[str, str]:
    return {f"option_{letter}": f"choice {letter} {number}" for letter in "abcd"}


def _turns(number: int) -> list[tuple[str, str]]:
    return [("user", f"ask {number}"), ("assistant", f"say {number}")]


def _messages(number: int) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in _turns(number)]


def _belebele(n: int, tag: str) -> dict[str, Any]:
    answers = {f"mc_answer{k}": f"{tag} {k}" for k in range(1, 5)}
    return {"link": f"https://a/{n // 2}", "question_number": n, "flores_passage": f"{tag} text", "dialect": tag,
            "question": "who? ", **answers, "correct_answer_num": "2", "ds": "2023-05-03"}  # fmt: skip


def _global_mmlu(n: int, tag: str) -> dict[str, Any]:
    return {"sample_id": f"law/test/{n}", "subject": "law", "subject_category": "Humanities", "question": f"{tag} {n}",
            **_options(n), "answer": "B", "required_knowledge": "[]", "cultural_sensitivity_label": "-"}  # fmt: skip


def _mmlu_prox(n: int, tag: str) -> dict[str, Any]:
    choices = {f"option_{k}": f"{tag} {k}" if k < 4 else None for k in range(10)}
    return {"question_id": 70 + n, "question": f"{tag}?", **choices, "answer": "B", "answer_index": 1,
            "cot_content": "", "category": "law", "src": "x", "question_id_src": 1}  # fmt: skip


def _include(n: int, tag: str) -> dict[str, Any]:
    return {"language": tag, "country": "x", "domain": "STEM", "subject": "Law", "regional_feature": "Agnostic",
            "level": "Academic", "question": f"{tag} {n}", **_options(n), "answer": 1}  # fmt: skip


def _xcopa(n: int, tag: str) -> dict[str, Any]:
    return {"premise": f"{tag} rain fell.", "choice1": "A one", "choice2": "B two", "question": "effect", "label": 1,
            "idx": n, "changed": False}  # fmt: skip


def _xstorycloze(n: int, tag: str) -> dict[str, Any]:
    story = {f"input_sentence_{k}": f"{tag} {k}." for k in range(1, 5)}
    return {"story_id": f"s{n}", **story, "sentence_quiz1": "Bad.", "sentence_quiz2": "Good.", "answer_right_ending": 2}


def _xnli(n: int, tag: str) -> dict[str, Any]:
    return {"premise": f"{tag} rain {n}", "hypothesis": "It is wet.", "label": 1}


def _flores(n: int, tag: str) -> dict[str, Any]:
    code, script = tag.split("_")
    return {"id": n, "iso_639_3": code, "iso_15924": script, "glottocode": "x", "text": f"{tag} {n}.",
            "url": "https://a", "domain": "wikinews", "topic": "x", "has_image": "no"}  # fmt: skip


def _msvamp(n: int, tag: str) -> dict[str, Any]:
    return {"m_query": f"{tag}: 1 + {n}?", "response": float(1 + n)}


def _xquad(n: int, tag: str) -> dict[str, Any]:
    return {"id": f"q{n}", "context": f"{tag} context", "question": "who?",
            "answers": {"text": [f"{tag} she"], "answer_start": [0]}}  # fmt: skip


PUBLISHED: dict[str, tuple[str, str, tuple[str, ...], Any]] = {
    "belebele": ("belebele", "data/{}.jsonl", ("deu_Latn", "swh_Latn"), _belebele),
    "global-mmlu": ("global_mmlu", "{}/test-00000-of-00001.parquet", ("de", "sw"), _global_mmlu),
    "mmlu-prox": ("mmlu_prox", "{}/test-00000-of-00001.parquet", ("de", "sw"), _mmlu_prox),
    "include": ("include", "{}/test-00000-of-00001.parquet", ("German", "Albanian"), _include),
    "xcopa": ("xcopa", "{}/test-00000-of-00001.parquet", ("it", "sw"), _xcopa),
    "xstorycloze": ("xstorycloze", "{}/eval/0000.parquet", ("es", "sw"), _xstorycloze),
    "xnli": ("xnli", "{}/test-00000-of-00001.parquet", ("de", "sw"), _xnli),
    "flores-plus": ("flores", "devtest/{}.parquet", ("deu_Latn", "zho_Hant"), _flores),
    "msvamp": ("msvamp", "test_{}.json", ("German", "Swahili"), _msvamp),
    "xquad": ("xquad", "xquad.{}/validation-00000-of-00001.parquet", ("de", "es"), _xquad),
}
"""Data set -> reader, names of files, codes of languages, row."""


def _chat(name: str, n: int) -> dict[str, Any]:
    pairs = [{"from": {"user": "human", "assistant": "gpt"}[role], "value": text} for role, text in _turns(n)]
    said, other = _messages(n), [_messages(n)[0], {"role": "assistant", "content": "bad"}]
    return {
        "messages": {"prompt": f"ask {n}", "prompt_id": f"p{n}", "messages": _messages(n), "language": "English"},
        "conversations": {"id": f"p{n}", "conversations": pairs, "lang": "en"},
        "prompt-response": {"prompt": f"ask {n}", "response": f"say {n}", "language": "en"},
        "alpaca": {"instruction": f"ask {n}", "input": "", "output": f"say {n}", "language": "en"},
        "preferences": {"prompt": f"ask {n}", "chosen": said, "rejected": other, "language": "en"},
        "transcripts": {
            "chosen": f"\n\nHuman: ask {n}\n\nAssistant: say {n}",
            "rejected": f"\n\nHuman: ask {n}\n\nAssistant: bad",
            "language": "en",
        },
    }[name]


CHAT = {
    "messages": "messages",
    "conversations": "conversations",
    "prompt-response": "prompt_response",
    "alpaca": "instruction_output",
    "preferences": "preferences",
    "transcripts": "preferences",
}
"""Data set -> reader."""
FURTHER = {"flores-release": "flores", "xquad-release": "xquad", "mgsm": "mgsm", "own": "jsonl"}
EXPECTED = {name: reader for name, (reader, *_) in PUBLISHED.items()} | CHAT | FURTHER
"""Data set -> reader, for all twenty."""


def write_published(name: str, folder: Path) -> Path:
    """Write a data set below a folder and return its path, a file or a folder."""
    place = folder / name
    if name in PUBLISHED:
        _, file, codes, row = PUBLISHED[name]
        for code in codes:
            _write(place / file.format(code), [row(number, code) for number in range(ITEMS)])
        return place
    place.mkdir(parents=True)
    if name in CHAT:
        file = place / ("train.json" if name == "alpaca" else "train.jsonl")
        _write(file, [_chat(name, number) for number in range(ITEMS)])
        return file
    if name == "flores-release":
        for code in ("deu_Latn", "swh_Latn"):
            (place / "devtest").mkdir(exist_ok=True)
            (place / "devtest" / f"{code}.devtest").write_text("Eins.\nZwei.\n")
    elif name == "xquad-release":
        asked = [{"id": f"q{n}", "question": "who?", "answers": [{"text": "she", "answer_start": 0}]} for n in range(2)]
        squad = {"data": [{"title": "T", "paragraphs": [{"context": "c", "qas": asked}]}], "version": "1.1"}
        for code in ("de", "es"):
            (place / f"xquad.{code}.json").write_text(json.dumps(squad, indent=1))
    elif name == "mgsm":
        for code in ("de", "sw"):
            (place / f"mgsm_{code}.tsv").write_text("".join(f"1 + {n}?\t{n + 1}\n" for n in range(250)))
    else:
        rows = [{"item_id": n, "language": "sw", "messages": _messages(n), "answer": f"say {n}"} for n in range(2)]
        _write(place / "mine.jsonl", rows)
        return place / "mine.jsonl"
    return place


UNKNOWN = {
    "numbers.csv": ("date,price\n2020-01-01,3\n", "has the columns date, price, which are those of no known format"),
    "notes.txt": ("Some notes.\n", "has no file of a known format"),
    "broken.json": ('[{"messages": ', "is not JSON"),
    "empty.jsonl": ("", "is empty"),
    "tools.jsonl": (
        json.dumps({"messages": [{"role": "function", "content": "x"}], "language": "en"}) + "\n",
        "is no conversation",
    ),
}
"""File -> its content, and what is said of it."""
