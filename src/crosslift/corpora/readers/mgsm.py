"""MGSM (arXiv 2210.03057): the first 250 problems of GSM8K's test set, translated by people into ten languages.

`path` is the folder of the release with `mgsm_<language>.tsv`, a question and a number per line; an item is a line
number. The assistant's message is the number alone, as published: MGSM has no solutions. Four answers are written with
a thousands comma in every language; `answer` has them without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, plain_number, read_lines, turn

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "CC BY 4.0"
NUM_ITEMS = 250


def read(source: Source) -> ParallelCorpus:
    """Read the languages that are asked for; the only split is "test".

    Raises:
        CorpusError: missing files, bad lines, not 250 of them, or answers that differ between languages.
    """
    choose_split(source, "test")
    files = [find_file(source, f"mgsm_{tag}.tsv") for tag in source.languages]
    tables = [_read(source, file) for file in files]
    for file, table in zip(files, tables, strict=True):
        for number, ((_, answer), (_, first)) in enumerate(zip(table, tables[0], strict=True), start=1):
            if answer != first:
                raise CorpusError(
                    f"{source.place}, {file.name}, line {number}: the answer is {answer} here and {first} in "
                    f"{files[0].name}. Download both again."
                )
    rows: list[dict[str, Any]] = [
        {
            "item_id": f"mgsm-{number:04d}",
            "language": tag,
            "messages": turn(question, answer),
            "answer": plain_number(answer),
            "cluster": None,
            "origin": "human",
        }
        for tag, table in zip(source.languages, tables, strict=True)
        for number, (question, answer) in enumerate(table, start=1)
    ]
    return build(source, rows, files, licence=LICENCE)


def _read(source: Source, file: Path) -> list[tuple[str, str]]:
    problems = Problems(source, file)
    table: list[tuple[str, str]] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        question, tab, answer = line.partition("\t")
        if not tab or not question.strip() or plain_number(answer) is None:
            problems.add(number, f"is not a question, a tab and a number: {line!r:.60}. Download the file again.")
        table.append((question.strip(), answer.strip()))
    if len(table) != NUM_ITEMS:
        problems.whole(f"has {len(table)} lines and must have {NUM_ITEMS}. Download the file again.")
    problems.stop()
    return table
