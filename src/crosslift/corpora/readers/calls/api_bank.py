"""API-Bank (arXiv 2304.08244): calls that a dialogue asks for, English.

`path` is the folder of the release with

    level-1-api.json      399 items, split "test": a dialogue with the APIs that it may need, the next call to make
    lv3-api-train.json    907 items, split "train": tasks that need several calls, found through a tool search

Instruction and input are one user message, since many base models know no system message; the assistant's message is
the call as published, `answer` the call without its prefix. Items of one dialogue share their text and often their
values, so a dialogue is a cluster: 212 of them in the test set (its `file`), 333 tasks in the training set (the user's
request). Some gold calls hold quotes inside quotes, many training calls bare values; the scorer's own parser reads all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines, unknown_keys
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "Apache-2.0"
FILES = {"test": ("level-1-api.json", 399, "expected_output"), "train": ("lv3-api-train.json", 907, "output")}

_CALL = re.compile(r"API-Request:\s*(\[\w+\(.*\)\]|\w+\(.*\))", re.DOTALL)  # two calls stand without brackets
_NEXT_STEP = re.compile(r"\n(?:API-Request|Generate API Request):")


def read(source: Source) -> ParallelCorpus:
    """Read a split; the only language is English.

    Raises:
        CorpusError: another language, a missing file, a bad item or the wrong number of them.
    """
    split = choose_split(source, *FILES)
    foreign = [tag for tag in source.languages if tag != "en"]
    if foreign:
        raise CorpusError(f"{source.place}: API-Bank is English only; {', '.join(foreign)} is not. Take it out.")
    name, num_items, output = FILES[split]
    file = find_file(source, name)
    rows = _read(source, file, split, output)
    if len(rows) != num_items:
        raise CorpusError(
            f"{source.place}, {name}: has {len(rows)} items and must have {num_items}. Download the file again."
        )
    prompts = {row["messages"][0]["content"] for row in rows}
    notes = [f"{len(rows) - len(prompts)} of {len(rows)} items repeat the prompt of another one."]
    return build(source, rows, [file], licence=LICENCE, notes=notes)


def _read(source: Source, file: Path, split: str, output: str) -> list[dict[str, Any]]:
    try:
        items = parse_json("\n".join(read_lines(source, file)))
    except ValueError as error:
        raise CorpusError(f"{source.place}, {file.name}: is not JSON ({error}). Download the file again.") from error
    if not isinstance(items, list):
        raise CorpusError(f"{source.place}, {file.name}: is not a list of items. Download the file again.")
    problems = Problems(source, file)
    keys = ("instruction", "input", output, *(["file"] if split == "test" else []))
    tasks: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        wrong = unknown_keys(item, keys)
        call = None if wrong else _CALL.fullmatch(item[output].strip())
        if call is None:
            what = wrong or f"{output} is not 'API-Request: [Name(...)]'. Download the file again."
            problems.add(number, what, unit="item")
            continue
        request = _NEXT_STEP.split(item["input"])[0]
        rows.append(
            {
                "item_id": f"api-bank-{split}-{number:04d}",
                "language": "en",
                "messages": message(
                    f"{item['instruction'].strip()}\n\n{item['input'].strip()}\n", item[output].strip()
                ),
                "answer": call.group(1),
                "cluster": item["file"].removesuffix(".jsonl")
                if split == "test"
                else tasks.setdefault(request, f"task-{len(tasks) + 1:04d}"),
                "origin": "human" if split == "test" else "llm",
            }
        )
    problems.stop()
    return rows
