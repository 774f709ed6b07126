"""Reader of API-Bank (arXiv 2304.08244): API calls in dialogues, English.

`path` is the folder of the release with

    level-1-api.json      399 items, split "test": a dialogue with the available APIs; the answer is the next call
    lv3-api-train.json    907 items, split "train": tasks that need several calls, with a tool search

Instruction and input form one user message, since many base models do not support system messages. The assistant
message is the call as published, and `answer` is the call without its prefix. Items of one dialogue share their text
and often their values, so a dialogue is a cluster: 212 in the test set (by `file`), and 333 tasks in the training set
(by the user's request). Some gold calls contain nested quotes, and many training calls contain unquoted values; the
parser of the scorer accepts both.
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
    name, num_items, output = FILES[split]
    file = find_file(source, name)
    rows = _read(source, file, split, output)
    if len(rows) != num_items:
        raise CorpusError(
            f"{source.place}, {name}: has {len(rows)} items and must have {num_items}. Download the file again."
        )
    prompts = {row["messages"][0]["content"] for row in rows}
    notes = [f"{len(rows) - len(prompts)} of {len(rows)} items repeat the prompt of another item."]
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
