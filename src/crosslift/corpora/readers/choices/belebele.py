"""Reader of Belebele (arXiv 2308.16884): 900 questions on passages of FLORES-200, in 122 language variants.

`path` is a folder with a file per language (`data/deu_Latn.jsonl`); without `path`, `facebook/belebele` is read from
the hub. The question has the form of lm-evaluation-harness, so `prompt = "letters"` asks as the harness does.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]

ANSWERS = ("mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4")


def _item(row: Row, tag: str) -> Item:
    return Item(
        question=f"P: {text_of(row, 'flores_passage')}\nQ: {text_of(row, 'question')}",
        answer=gold_answer([text_of(row, name) for name in ANSWERS], int(row["correct_answer_num"]) - 1),
        id=f"{row['link']}-{row['question_number']}",
        cluster=str(row["link"]),
    )


FORMAT = Format(
    title="a row of Belebele",
    hub="facebook/belebele",
    licence="CC BY-SA 4.0",
    task="multiple_choice",
    columns=(("link", "question_number", "flores_passage", "question", *ANSWERS, "correct_answer_num"),),
    splits={"test": ("test",)},
    convert=_item,
    language=("dialect",),
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
