"""Reader of xSID (arXiv 2105.07316): requests to an assistant, as calls with intents as names and slots as arguments.

`path` is the folder of the release with `<language>.{valid,test}.conll`. Sentences are aligned with English by their
`# text-en` and its number of occurrence, not by line number, because one file is shuffled and English texts repeat.
Values are words of the request in its language. The prompt lists all calls in the English file with their arguments.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines

OPTIONS: dict[str, type] = {"bavarian": str}
"""bavarian: file for "bar": "de-muc" (Munich, default), "de-ba" (Upper Bavaria) or "de-st" (South Tyrol)."""
NEEDS_PATH = True
LICENCE = "CC BY-SA 4.0"
_SPLITS = {"validation": "valid", "test": "test"}
_NOT_A_NAME = re.compile(r"\W+")


@dataclass(frozen=True, kw_only=True)
class Request:
    text: str
    english: str
    intent: str
    slots: tuple[tuple[str, str], ...]


def read(source: Source) -> ParallelCorpus:
    """Read a split in the requested languages.

    Raises:
        CorpusError: Missing files, sentences without an intent, or texts without an English counterpart.
    """
    part = _SPLITS[choose_split(source, *_SPLITS)]
    english = _read(source, find_file(source, f"en.{part}.conll"))
    keys = _numbered(english)
    numbers = {key: number for number, key in enumerate(keys, start=1)}
    offered = _offered(english)
    rows: list[dict[str, Any]] = []
    files: list[Path] = []
    notes: list[str] = []
    for tag in source.languages:
        code = str(source.options.get("bavarian", "de-muc")) if tag == "bar" else tag
        file = find_file(source, f"{code}.{part}.conll")
        files.append(file)
        requests = english if tag == "en" else _read(source, file)
        problems = Problems(source, file)
        for number, (key, request) in enumerate(zip(_numbered(requests), requests, strict=True), start=1):
            if key not in numbers:
                what = f"'{request.english:.60}' is not a request of the English file"
                if source.incomplete == "drop":
                    notes.append(f"{file.name}, sentence {number}: {what}.")
                else:
                    problems.add(number, f'{what}. Correct it, or set incomplete = "drop".', unit="sentence")
                continue
            call = f"[{written(request)}]"
            rows.append(
                {
                    "item_id": f"xsid-{part}-{numbers[key]:03d}",
                    "language": tag,
                    "messages": message(f"{offered}\n\n{request.text}", call),
                    "answer": call,
                    "cluster": key[0],
                    "origin": "human",
                }
            )
        problems.stop()
    return build(source, rows, files, licence=LICENCE, notes=notes)


def _numbered(requests: list[Request]) -> list[tuple[str, int]]:
    """Return, for each request, its English text and the number of its occurrence, from 1."""
    seen: Counter[str] = Counter()
    keys = []
    for request in requests:
        text = " ".join(_NOT_A_NAME.sub(" ", request.english.casefold()).split())  # punctuation differs in one file
        seen[text] += 1
        keys.append((text, seen[text]))
    return keys


def _name(label: str) -> str:
    return _NOT_A_NAME.sub("_", label).strip("_")


def written(request: Request) -> str:
    """Format a request as a call. The value of a repeated slot is a list."""
    values: dict[str, list[str]] = {}
    for slot, value in request.slots:
        values.setdefault(_name(slot), []).append(value)
    arguments = ", ".join(f"{key}={(given[0] if len(given) == 1 else given)!r}" for key, given in values.items())
    return f"{_name(request.intent)}({arguments})"


def _offered(requests: list[Request]) -> str:
    known: dict[str, set[str]] = {}
    for request in requests:
        known.setdefault(_name(request.intent), set()).update(_name(slot) for slot, _ in request.slots)
    calls = "\n".join(f"{name}({', '.join(sorted(keys))})" for name, keys in sorted(known.items()))
    return f"Write the call that does what is asked, with words of the request for values.\n{calls}"


def _read(source: Source, file: Path) -> list[Request]:
    problems = Problems(source, file)
    requests: list[Request] = []
    block: list[str] = []
    for number, line in enumerate([*read_lines(source, file), ""], start=1):
        if line.strip():
            block.append(line)
            continue
        if not block:
            continue
        request = _request(block)
        if request is None:
            problems.add(
                number - len(block), "is the start of a sentence without text or intent. Download the file again."
            )
        else:
            requests.append(request)
        block = []
    problems.stop()
    if not requests:
        raise CorpusError(f"{source.place}, {file.name}: is empty. Download the file again.")
    return requests


def _request(block: list[str]) -> Request | None:
    facts = dict(line[1:].strip().split(" = ", 1) for line in block if line.startswith("#") and " = " in line)
    if "text" not in facts or "intent" not in facts:
        return None
    slots: list[tuple[str, list[str]]] = []
    for line in block:
        cells = line.split("\t")
        if line.startswith("#") or len(cells) < 4:
            continue
        kind, _, slot = cells[3].partition("-")
        if kind == "B":
            slots.append((slot, [cells[1]]))
        elif kind == "I" and slots:
            slots[-1][1].append(cells[1])
    return Request(
        text=facts["text"],
        english=facts.get("text-en", facts["text"]),
        intent=facts["intent"],
        slots=tuple((slot, " ".join(words)) for slot, words in slots),
    )
