"""Reader of MSVAMP (arXiv 2310.20246): 1,000 word problems of SVAMP in ten languages.

`path` is a folder with a file per language (`test_German.json`); without `path`, `Mathoctopus/MSVAMP` is read from the
hub. The files are aligned: item n is row n of each file.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of
from crosslift.corpora.published import message, plain_number

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    given = str(row["response"] if row.get("response") is not None else row["answer"]).strip()
    answer = plain_number(given.removesuffix(".0"))
    if answer is None:
        raise ValueError(f"has no number as its answer: {given!r:.40}")
    return Item(messages=message(text_of(row, "m_query"), answer), answer=answer)


FORMAT = Format(
    title="a row of MSVAMP",
    hub="Mathoctopus/MSVAMP",
    licence="Apache-2.0",
    task="math",
    columns=(("m_query", "response"), ("m_query", "answer")),
    splits={"test": ("test",)},
    convert=_item,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
