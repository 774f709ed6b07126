"""Reader of NTREX-128 (arXiv 2110.04268 and its release): 123 news documents with headlines in 128 languages.

`path` is the folder of the release with `newstest2019-src.eng.txt` and `newstest2019-ref.<code>.txt`, one sentence per
line, and `DOCUMENT_IDS.tsv`. The first line of a document is its headline and serves as its summary. Documents whose
first English line ends with sentence punctuation have no headline and are dropped.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines
from crosslift.errors import UnknownName
from crosslift.languages.tags import resolve

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "CC BY-SA 4.0"
NUM_LINES = 1997
ENGLISH = "newstest2019-src.eng.txt"


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: Missing files, or files with a wrong number of lines.
    """
    choose_split(source, "test")
    ids = find_file(source, "DOCUMENT_IDS.tsv")
    files = files_of(source)
    documents = documents_of(source, ids)
    texts = {tag: lines_of(source, file) for tag, file in files.items()}
    english = lines_of(source, find_file(source, ENGLISH))
    headed = [lines for lines in documents if not english[lines.start].rstrip().endswith((".", "!", "?", '."', ".”"))]
    rows: list[dict[str, Any]] = [
        {
            "item_id": f"ntrex-{number:03d}",
            "language": tag,
            "messages": message("\n".join(text[lines.start + 1 : lines.stop]), text[lines.start]),
            "answer": text[lines.start],
            "cluster": None,
            "origin": "human",
        }
        for tag, text in texts.items()
        for number, lines in enumerate(documents, start=1)
        if lines in headed
    ]
    notes = [f"{len(documents) - len(headed)} of {len(documents)} documents have no headline and were dropped."]
    return build(source, rows, [ids, *files.values()], licence=LICENCE, notes=notes)


def files_of(source: Source) -> dict[str, Path]:
    """Return tag -> file for the requested languages.

    If several codes map to one tag (por and por-BR), the plain code takes precedence.

    Raises:
        CorpusError: The folder has no file in one of the languages.
    """
    english = find_file(source, ENGLISH)
    found = {"en": english}
    for file in sorted(english.parent.glob("newstest2019-ref.*.txt"), reverse=True):
        try:
            found.setdefault(resolve(file.name.split(".")[1]), file)
        except UnknownName:
            continue  # a language without a tag in Crosslift
    lacking = [tag for tag in source.languages if tag not in found]
    if lacking:
        raise CorpusError(
            f"{source.place}: the folder has no file in {', '.join(lacking)}. Add it, or request fewer languages."
        )
    return {tag: found[tag] for tag in source.languages}


def documents_of(source: Source, file: Path) -> list[range]:
    """Return the lines of each document.

    Raises:
        CorpusError: The list of documents has a wrong number of lines.
    """
    names = read_lines(source, file)
    documents, start = [], 0
    for _, lines in groupby(names):
        size = len(list(lines))
        documents.append(range(start, start + size))
        start += size
    if start != NUM_LINES:
        raise CorpusError(
            f"{source.place}, {file.name}: has {start} lines and must have {NUM_LINES}. Download it again."
        )
    return documents


def lines_of(source: Source, file: Path) -> list[str]:
    """Return the lines of a file without outer space.

    Raises:
        CorpusError: The file has a wrong number of lines, or an empty one.
    """
    lines = [line.strip() for line in read_lines(source, file)]
    problems = Problems(source, file)
    if len(lines) != NUM_LINES:
        problems.whole(f"has {len(lines)} lines and must have {NUM_LINES}. Download the file again.")
    for number, line in enumerate(lines, start=1):
        if not line:
            problems.add(number, "is empty. Download the file again.")
    problems.stop()
    return lines
