"""Inputs that somebody made to break a reader or a parser, from a seed: text of hostile pieces, damaged files.

`KINDS` maps a kind of input to a function that makes one from a random generator and gives it to the code that reads
such inputs. What that code may raise is the project's own error, or the ValueError that parsers of gold answers
document; anything else is a bug.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import Source
from crosslift.discover import member
from crosslift.errors import CrossliftError
from crosslift.evaluation.calls import parse_calls
from crosslift.evaluation.scoring import MAX_CHARACTERS, score
from crosslift.evaluation.task import task
from crosslift.judging import forms
from crosslift.languages.language import language
from crosslift.scores import PREDICTIONS
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.plan import plan

Random = random.Random

PIECES = [
    "a", "Z", "é", "ж", "三", "十", "万", "ক", "৫", "٣", "½", "\u202e", "\u200d", "\x00", "\x1b[31m", "\r", "\n", "\t",
    " ", "0", "7", "42", "1.5", "1,234", "1.234,5", "-", "\u2013", "+", "×", "x", "/", "%", "=", "^", "$", "\u20ac",
    "(", ")", "[", "]", "{", "}", "<", ">", "<<", ">>", "'", '"', "`", "```", "\\", "\\boxed{", "\\frac{1}{2}",
    "\\times", "####", ":", ",", ";", ".", "!", "?", "¿", "¡", "*", "**", "***", "******", "#", "_", "|", "&", "@",
    "://", "http://", "e", "e9", "10^", "million", "lakh", "The answer is", "Answer:", "答案是", "API-Request:",
    "[a(x='", "Name(key=", "f(", ", k=", "true", '{"name": "f", "arguments": {', '"a": 1', "}}", "<tool_call>",
    "null", "1e300", "9" * 400, "rating: ", "Rating: 5", "Better: A", "better", "P.S.", "1.", "- ", "* ", "\n\n",
    "[[", "tie", "\U0001f600", "\ufeff", "\u2028", "=1+1",
]  # fmt: skip


def text(rng: Random, *, longest: int = MAX_CHARACTERS) -> str:
    """Mostly short; one in twenty is a few pieces over and over, up to the longest."""
    if rng.random() < 0.05:
        unit = "".join(rng.choices(PIECES, k=rng.randint(1, 4)))
        length = rng.choice([1000, 20_000, longest])
        return (rng.choice(["", "API-Request: [", "Answer:", '{"', "["]) + unit * (length // len(unit) + 1))[:length]
    return "".join(rng.choices(PIECES, k=rng.choice([0, 1, 3, 10, 40, 200])))


def value(rng: Random, depth: int = 0) -> Any:
    """A value of JSON or TOML."""
    if depth < 4 and rng.random() < 0.3:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
        return {text(rng, longest=100)[:50] or "k": value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    return rng.choice(
        [0, 1, -1, 10**12, 2**63 - 1, 10**30, 0.5, -1.5, 1e308, 5e-324, True, False, "", "en", "train", "math",
         "x" * 300, text(rng, longest=2000)]
    )  # fmt: skip


def damaged(rng: Random, data: bytes) -> bytes:
    """Some bytes changed, taken out, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not changed:
            break
        place = rng.randrange(len(changed))
        match rng.randrange(6):
            case 0:
                changed[place] = rng.randrange(256)
            case 1:
                del changed[place : place + rng.randint(1, 50)]
            case 2:
                changed[place:place] = rng.choice(PIECES).encode("utf-8", "surrogatepass")
            case 3:
                changed = changed[:place]
            case 4:
                changed[place:place] = bytes([rng.randrange(256)]) * rng.choice([1, 100, 5000])
            case _:
                changed[place:place] = rng.choice([b"[" * 5000, b'{"a":' * 3000, b"\\ud800", b"9" * 5000, b"1e999"])
    return bytes(changed)


# ------------------------------------------------------------------------------------------------------- what is read


def study_damaged(rng: Random, folder: Path, study: bytes) -> None:
    (folder / "study.toml").write_bytes(damaged(rng, study))
    plan(load(folder, data="optional"))


def study_values(rng: Random, folder: Path, study: bytes) -> None:
    """Another value in a line `key = value` of the study."""
    lines = study.decode().splitlines()
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(lines))
        key, equals, _ = lines[place].partition("=")
        if equals:
            lines[place] = f"{key}= {toml(value(rng))}"
        elif lines[place].startswith("["):
            kind = lines[place].strip("[]").split(".")[0]
            lines[place] = f"[{kind}.{json.dumps(text(rng, longest=500)[:200])}]"
    (folder / "study.toml").write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    plan(load(folder, data="optional"))


def toml(given: Any) -> str:
    if isinstance(given, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in given.items()) + " }"
    if isinstance(given, list):
        return "[" + ", ".join(map(toml, given)) + "]"
    if isinstance(given, bool):
        return str(given).lower()
    return json.dumps(given) if isinstance(given, str) else repr(given)


def row(rng: Random, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"item_id": f"i{number // 2}", "language": ["en", "sw"][number % 2], "answer": "7"}
    found |= {"prompt": text(rng, longest=20_000) or "?", "completion": text(rng, longest=2000) or "7"}
    if rng.random() < 0.2:
        found[rng.choice([*found, "messages", "cluster", "origin", "x"])] = value(rng)
    return found


def read_corpus(folder: Path, reader: str, name: str) -> None:
    source = Source(
        name="train", reader=reader, task="math", languages=("en", "sw"), path=folder / name, incomplete="drop"
    )
    from crosslift.corpora.quality import run_checks

    run_checks(member("reader", reader).read(source))


def jsonl(rng: Random, folder: Path, study: bytes) -> None:
    lines = "\n".join(json.dumps(row(rng, number)) for number in range(rng.randint(1, 12))).encode()
    (folder / "x.jsonl").write_bytes(damaged(rng, lines) if rng.random() < 0.5 else lines)
    read_corpus(folder, "jsonl", "x.jsonl")


def parquet(rng: Random, folder: Path, study: bytes) -> None:
    rows = [row(rng, number) for number in range(rng.randint(1, 12))]
    rows = [{key: str(one)[:2000].encode("utf-8", "replace").decode() for key, one in r.items()} for r in rows]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "x.parquet")
    if rng.random() < 0.6:
        (folder / "x.parquet").write_bytes(damaged(rng, (folder / "x.parquet").read_bytes()))
    read_corpus(folder, "parquet", "x.parquet")


def sharegpt(rng: Random, folder: Path, study: bytes) -> None:
    (folder / "gpt").mkdir(exist_ok=True)
    for tag in ("en", "sw"):
        items = []
        for number in range(rng.randint(1, 6)):
            turns = [
                {
                    "from": rng.choice(["human", "gpt", "system", text(rng, longest=50)]),
                    "value": text(rng, longest=5000),
                }
                for _ in range(rng.randint(0, 5))
            ]
            item: Any = {"id": f"i{number}", "conversations": turns}
            if rng.random() < 0.2:
                item[rng.choice(["id", "conversations", "x"])] = value(rng)
            items.append(item)
        whole = json.dumps(items) if rng.random() < 0.5 else "\n".join(map(json.dumps, items))
        data = whole.encode()
        (folder / "gpt" / f"{tag}.json").write_bytes(damaged(rng, data) if rng.random() < 0.5 else data)
    read_corpus(folder, "sharegpt", "gpt")


def scored(rng: Random, name: str, answer: str, said: str) -> None:
    """Through the scoring of a study: an exception of a parser is a row of status "error"."""
    tag = rng.choice(["en", "de", "sw", "zh", "ja", "ar", "bn", "es", "fr"])
    given = {"sample_id": "i.x", "item_id": "i", "cluster": "i", "language": tag, "prompt": "", "text": said,
             "finish": "stop", "num_prompt_tokens": 1, "num_completion_tokens": 1, "answer": answer}  # fmt: skip
    failures: list[Exception] = []
    score(
        task(name), pl.DataFrame([given], schema=PREDICTIONS), run="r", evaluation="e", task_name=name,
        report=lambda failure: failures.append(failure.error),
    )  # fmt: skip
    if failures:
        raise failures[0]


def math(rng: Random, folder: Path, study: bytes) -> None:
    scored(rng, "math", rng.choice(["42", "1/3", "-3.5", "2,125"]) if rng.random() < 0.9 else text(rng), text(rng))


CALLS = ("[Order(item='tea', count='5')]", "[f()]", '[{"order": {"item": ["tea", ""], "count": [5]}}]', "[]")


def calls(rng: Random, folder: Path, study: bytes) -> None:
    said = text(rng)
    parse_calls(said)
    scored(rng, "api_calling", rng.choice(CALLS) if rng.random() < 0.9 else text(rng, longest=2000), said)


DEMANDS = {
    "words": ["apple", "pear"], "number": 2, "layout": "commas", "emphasis": "capitals", "first": "apple",
    "without": "plum",
}  # fmt: skip


def instructions(rng: Random, folder: Path, study: bytes) -> None:
    wanted = dict(rng.sample(sorted(DEMANDS.items()), k=rng.randint(1, 6)))
    scored(rng, "instruction_following", json.dumps(wanted), text(rng))


CONSTRAINTS: list[tuple[str, dict[str, Any]]] = [
    ("detectable_format:title", {}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}),
    ("detectable_format:json_format", {}),
    ("combination:two_responses", {}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}),
    ("length_constraints:number_words", {"num_words": 20, "relation": "less than"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "a"}),
    ("keywords:existence", {"keywords": ["apple"]}),
    ("keywords:frequency", {"keyword": "a", "frequency": 3, "relation": "at least"}),
    ("change_case:english_lowercase", {}),
    ("change_case:english_capital", {}),
    ("change_case:capital_word_frequency", {"capital_frequency": 3, "capital_relation": "at least"}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}),
    ("startend:end_checker", {"end_phrase": "done"}),
    ("startend:quotation", {}),
    ("punctuation:no_comma", {}),
]


def constraints(rng: Random, folder: Path, study: bytes) -> None:
    name, arguments = rng.choice(CONSTRAINTS)
    answer = json.dumps({"instruction_id_list": [f"en:{name}"], "kwargs": [arguments]})
    scored(rng, "ifeval", answer, text(rng, longest=20_000))


def overlap(rng: Random, folder: Path, study: bytes) -> None:
    scored(rng, "summarization", "A short summary of a text in a few words.", text(rng, longest=20_000))


def replies(rng: Random, folder: Path, study: bytes) -> None:
    """Of judges."""
    said = text(rng)
    forms.read_rating(said)
    forms.read_comparison(said)


KINDS: dict[str, Callable[[Random, Path, bytes], None]] = {
    "study, damaged": study_damaged,
    "study, other values": study_values,
    "corpus, jsonl": jsonl,
    "corpus, parquet": parquet,
    "corpus, sharegpt": sharegpt,
    "answer, math": math,
    "answer, calls": calls,
    "answer, word lists": instructions,
    "answer, constraints": constraints,
    "answer, summaries": overlap,
    "reply of a judge": replies,
}


def accepted(error: Exception) -> bool:
    """Is it an error that is told to a person? Gold answers that are none raise ValueError, as tasks document."""
    return isinstance(error, CrossliftError) or type(error) is ValueError


def languages_are_loaded() -> None:
    """What is read once and slowly is no part of the first input's time."""
    for tag in ("en", "de", "sw", "zh", "ja", "ar", "bn", "es", "fr"):
        language(tag)
    rng = Random(0)
    for name, answer in (("math", "42"), ("api_calling", "[f()]"), ("summarization", "a summary")):
        scored(rng, name, answer, "The answer is forty-two and some more words in a sentence.")
    for name, arguments in CONSTRAINTS:
        given = json.dumps({"instruction_id_list": [f"en:{name}"], "kwargs": [arguments]})
        scored(rng, "ifeval", given, "Some words in a sentence, and another one. And more!")
