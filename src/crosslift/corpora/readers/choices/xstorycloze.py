"""Reader of XStoryCloze (arXiv 2112.10668): the better of two endings of a story, in eleven languages.

`path` is a folder with a folder per language (`ar/eval/0000.parquet`); without `path`, the Parquet conversion of
`juletxara/xstory_cloze` is read from the hub. Its split `eval` is the split "test".
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]

SENTENCES = ("input_sentence_1", "input_sentence_2", "input_sentence_3", "input_sentence_4")


def _item(row: Row, tag: str) -> Item:
    endings = [text_of(row, "sentence_quiz1"), text_of(row, "sentence_quiz2")]
    return Item(
        question=" ".join(text_of(row, name) for name in SENTENCES),
        answer=gold_answer(endings, int(row["answer_right_ending"]) - 1),
        id=text_of(row, "story_id"),
    )


FORMAT = Format(
    title="a row of XStoryCloze",
    hub="juletxara/xstory_cloze",
    branch="refs/convert/parquet",
    licence="CC BY-SA 4.0",
    task="multiple_choice",
    columns=(("story_id", *SENTENCES, "sentence_quiz1", "sentence_quiz2", "answer_right_ending"),),
    splits={"test": ("eval", "test"), "train": ("train",)},
    convert=_item,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
