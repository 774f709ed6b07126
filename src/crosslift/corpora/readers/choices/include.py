"""Reader of INCLUDE (arXiv 2411.19799): questions of exams in 44 languages, written there and not translated.

`path` is a folder with a folder per language (`Albanian/test-00000-of-00001.parquet`); without `path`,
`CohereLabs/include-base-44` is read from the hub. Items of different languages are different questions: item n is the
n-th question of each language, so compare runs and not languages.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer, lettered, position
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    return Item(question=text_of(row, "question"), answer=gold_answer(lettered(row), position(row["answer"])))


FORMAT = Format(
    title="a row of INCLUDE",
    hub="CohereLabs/include-base-44",
    licence="Apache-2.0",
    task="multiple_choice",
    columns=(("language", "regional_feature", "question", "option_a", "option_b", "option_c", "option_d", "answer"),),
    splits={"test": ("test",), "validation": ("validation",)},
    convert=_item,
    language=("language",),
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
