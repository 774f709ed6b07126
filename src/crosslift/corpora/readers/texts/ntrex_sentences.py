"""Reader of the sentences of NTREX-128, whose likelihood a model is asked for, in 128 languages.

`path` is the folder of the release, as for the reader `ntrex`. A line is an item; lines of a document are
dependent.
"""

from __future__ import annotations

from typing import Any

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.published import build, choose_split, find_file
from crosslift.corpora.readers.texts.ntrex import LICENCE, documents_of, files_of, lines_of

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: Missing files, or files with a wrong number of lines.
    """
    choose_split(source, "test")
    ids = find_file(source, "DOCUMENT_IDS.tsv")
    files = files_of(source)
    documents = documents_of(source, ids)
    rows: list[dict[str, Any]] = []
    for tag, file in files.items():
        text = lines_of(source, file)
        rows += [
            {
                "item_id": f"ntrex-{line + 1:04d}",
                "language": tag,
                "messages": [{"role": "user", "content": text[line]}],
                "answer": text[line],
                "cluster": f"ntrex-document-{number:03d}",
                "origin": "human",
            }
            for number, lines in enumerate(documents, start=1)
            for line in lines
        ]
    return build(source, rows, [ids, *files.values()], licence=LICENCE)
