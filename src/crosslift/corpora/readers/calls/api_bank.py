"""Reader of API-Bank (arXiv 2304.08244): API calls in dialogues, English.

`path` is a folder of the release; without `path`, `liminghao1630/API-Bank` is read from the hub, which has the same
files in `test-data/` and `training-data/`:

    level-1-api.json      399 items, split "test": a dialogue with the available APIs; the answer is the next call
    lv1-api-train.json    split "train": the same kind of items, written by a language model
    lv3-api-train.json    907 items, split "train" with level = 3: tasks that need several calls, with a tool search

Instruction and input form one user message, since many base models do not support system messages. The assistant
message is the call as published, and `answer` is the call without its prefix. Items of one dialogue share their text
and often their values, so a dialogue is a cluster: 212 in the test set (by `file`); in the training files, items with
the same text before the first call. Some gold calls contain nested quotes, and many training calls contain unquoted
values; the parser of the scorer accepts both.

arXiv 2604.13286 trains on 3,174 calls of level 1. Items of this file whose output is no call are left out, and a note
counts them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines, unknown_keys
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {"level": int}
"""level: 1 (default) or 3, the file of the split "train"."""
NEEDS_PATH = None
HUB = "liminghao1630/API-Bank"
LICENCE = "Apache-2.0"
LICENCE_OF_HUB = "Apache-2.0 (the card of the data set on the hub: MIT)"
FILES: dict[str, tuple[str, int | None, str]] = {
    "test": ("level-1-api.json", 399, "expected_output"),
    "train": ("lv1-api-train.json", None, "output"),
}
"""Split -> file, number of items (None: any) and key of the call."""
LEVEL_3: tuple[str, int | None, str] = ("lv3-api-train.json", 907, "output")
NUM_STUDIED = 3174
"""Calls of level 1 that arXiv 2604.13286 counts."""

_CALL = re.compile(r"API-Request:\s*(\[\w+\(.*\)\]|\w+\(.*\))", re.DOTALL)  # two calls have no brackets
_NEXT_STEP = re.compile(r"\n(?:API-Request|Generate API Request):")


def read(source: Source) -> ParallelCorpus:
    """Read a split, in English.

    Raises:
        CorpusError: A language other than English, a missing file, an invalid item or a wrong number of items.
    """
    split = choose_split(source, *FILES)
    foreign = [tag for tag in source.languages if tag != "en"]
    if foreign:
        raise CorpusError(f"{source.place}: API-Bank is English only. Remove {', '.join(foreign)} from languages.")
    level = source.options.get("level", 1)
    if level not in (1, 3):
        raise CorpusError(f"{source.place}: level must be 1 or 3, not {level}. Change it.")
    one = split == "train" and level == 1
    name, num_items, output = LEVEL_3 if level == 3 and split == "train" else FILES[split]
    inside = f"{'test' if split == 'test' else 'training'}-data/{name}"
    folder, commit = hub.folder(source, HUB, [inside])
    file = find_file(source, name, inside, folder=folder)
    notes: list[str] = []
    rows = _read(source, file, split, output, notes, skip=one)
    if num_items is not None and len(rows) != num_items:
        raise CorpusError(
            f"{source.place}, {name}: has {len(rows)} items and must have {num_items}. Download the file again."
        )
    if one and len(rows) != NUM_STUDIED:
        notes.append(f"{len(rows):,} calls; arXiv 2604.13286 counts {NUM_STUDIED:,}.")
    prompts = {row["messages"][0]["content"] for row in rows}
    notes.append(f"{len(rows) - len(prompts)} of {len(rows)} items repeat the prompt of another item.")
    licence = LICENCE if commit is None else LICENCE_OF_HUB
    return build(source, rows, [file], licence=licence, notes=notes, hub=commit)


def _read(source: Source, file: Path, split: str, output: str, notes: list[str], *, skip: bool) -> list[dict[str, Any]]:
    """Return the rows of a file. With `skip`, items without a call are left out and counted in a note."""
    try:
        items = parse_json("\n".join(read_lines(source, file)))
    except ValueError as error:
        raise CorpusError(f"{source.place}, {file.name}: is not JSON ({error}). Download the file again.") from error
    if not isinstance(items, list):
        raise CorpusError(f"{source.place}, {file.name}: is not a list of items. Download the file again.")
    problems = Problems(source, file)
    keys = ("instruction", "input", output, *(["file"] if split == "test" else []))
    skipped = 0
    tasks: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for number, found in enumerate(items, start=1):
        item = found
        if skip and isinstance(item, dict) and output not in item and "expected_output" in item:
            item = item | {output: item["expected_output"]}  # the key of the test file
        wrong = unknown_keys(item, keys)
        call = None if wrong else _CALL.fullmatch(item[output].strip())
        if call is None and skip and isinstance(item, dict):
            skipped += 1
            continue
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
    if skipped:
        notes.append(f"{skipped:,} of {len(items):,} items have no call and were left out.")
    return rows
