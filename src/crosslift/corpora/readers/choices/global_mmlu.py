"""Reader of Global-MMLU (arXiv 2412.03304): the questions of MMLU in 42 languages.

`path` is a folder with a folder per language (`sw/test-00000-of-00001.parquet`); without `path`,
`CohereLabs/Global-MMLU` is read from the hub, or Global-MMLU-Lite with `hub = "CohereLabs/Global-MMLU-Lite"`. The
worked examples of the split `dev` are the split "validation".
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer, lettered, position
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    return Item(
        question=text_of(row, "question"),
        answer=gold_answer(lettered(row), position(row["answer"])),
        id=text_of(row, "sample_id"),
    )


FORMAT = Format(
    title="a row of Global-MMLU",
    hub="CohereLabs/Global-MMLU",
    licence="Apache-2.0",
    task="multiple_choice",
    columns=(("sample_id", "subject", "question", "option_a", "option_b", "option_c", "option_d", "answer"),),
    splits={"test": ("test",), "validation": ("dev",)},
    convert=_item,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
