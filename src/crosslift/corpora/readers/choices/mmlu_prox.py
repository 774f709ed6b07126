"""Reader of MMLU-ProX (arXiv 2503.10497): questions with up to ten choices, translated into 29 languages.

`path` is a folder with a folder per language (`de/test-00000-of-00001.parquet`); without `path`, `li-lab/MMLU-ProX` is
read from the hub. The solutions in `cot_content` are not used.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]

MAX_CHOICES = 10


def _item(row: Row, tag: str) -> Item:
    choices = [row.get(f"option_{number}") for number in range(MAX_CHOICES)]
    there = [one.strip() for one in choices if isinstance(one, str)]
    return Item(
        question=text_of(row, "question"),
        answer=gold_answer(there, int(row["answer_index"])),
        id=str(row["question_id"]),
    )


FORMAT = Format(
    title="a row of MMLU-ProX",
    hub="li-lab/MMLU-ProX",
    licence="MIT",
    task="multiple_choice",
    columns=(("question_id", "question", "option_0", "option_1", "answer", "answer_index"),),
    splits={"test": ("test",), "validation": ("validation",)},
    convert=_item,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
