"""Reader of PolyMath (arXiv 2504.18428): mathematical problems of four levels in eighteen languages.

`path` is the folder of the release, with `<language>/<level>.jsonl`: 125 problems per level with id, question and
answer. Level "low" is the first half of MGSM; "high" and "top" are competition problems, some of whose answers are
expressions. These are dropped in all languages, because answers are compared as numbers; a note states how many.
`expressions = "keep"` keeps them, for checks or training but not for evaluation.
"""

from __future__ import annotations

from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import (
    Problems,
    build,
    choose_split,
    find_file,
    message,
    plain_number,
    read_lines,
    read_objects,
)

OPTIONS: dict[str, type] = {"level": str, "expressions": str}
"""level: "low" (default), "medium", "high" or "top"; expressions: "drop" (default) or "keep"."""
NEEDS_PATH = True
LICENCE = "MIT (badge of the release only)"
NUM_ITEMS = 125
LEVELS = ("low", "medium", "high", "top")


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: An unknown level or value of expressions, missing files, invalid lines, or answers that differ
            between languages.
    """
    choose_split(source, "test")
    level = str(source.options.get("level", "low"))
    if level not in LEVELS:
        raise CorpusError(f"{source.place}: there is no level '{level}'. Known: {', '.join(LEVELS)}.")
    kept = str(source.options.get("expressions", "drop"))
    if kept not in ("drop", "keep"):
        raise CorpusError(f"{source.place}: expressions must be 'drop' or 'keep', not '{kept}'. Change it.")
    files = [find_file(source, f"{tag}/{level}.jsonl") for tag in source.languages]
    tables = [read_objects(source, file, read_lines(source, file), ("id", "question", "answer")) for file in files]
    rows: list[dict[str, Any]] = []
    expressions = set()
    for tag, file, table in zip(source.languages, files, tables, strict=True):
        problems = Problems(source, file)
        if len(table) != NUM_ITEMS:
            problems.whole(f"has {len(table)} lines and must have {NUM_ITEMS}. Download the file again.")
        for number, (found, first) in enumerate(zip(table, tables[0], strict=False), start=1):
            item = found["id"].rpartition("-")[2]
            if found["id"] != f"{level}-{tag}-{item}" or found["answer"] != first["answer"]:
                problems.add(number, f"'{found['id']}' does not match this line in {files[0].parent.name}.")
            answer = plain_number(found["answer"].strip("$ "))
            if answer is None and kept == "drop":
                expressions.add(item)
                continue
            rows.append(
                {
                    "item_id": f"polymath-{level}-{int(item):03d}",
                    "language": tag,
                    "messages": message(found["question"].strip(), found["answer"].strip()),
                    "answer": answer or found["answer"].strip(),
                    "cluster": None,
                    "origin": "human",
                }
            )
        problems.stop()
    notes = [f"{len(expressions)} of {NUM_ITEMS} items have an expression as answer and were dropped."]
    return build(source, rows, files, licence=LICENCE, notes=notes if expressions else [])
