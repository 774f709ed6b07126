"""Reader of XQuAD (arXiv 1910.11856): 1,190 questions on paragraphs of Wikipedia, in twelve languages.

`path` is a folder with the files of the release (`xquad.de.json`, in the format of SQuAD) or of the hub
(`xquad.de/validation-00000-of-00001.parquet`); without `path`, `google/xquad` is read. The model reads the paragraph
and the question; the first answer is the reference of the task `open_ended`. Questions on one paragraph are dependent.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of
from crosslift.corpora.published import message

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    texts = row["answers"]["text"]
    if not texts or not isinstance(texts[0], str) or not texts[0].strip():
        raise ValueError("has no answer")
    answer = texts[0].strip()
    question = f"{text_of(row, 'context')}\n\n{text_of(row, 'question')}"
    return Item(messages=message(question, answer), answer=answer, id=text_of(row, "id"))


FORMAT = Format(
    title="a row of XQuAD",
    hub="google/xquad",
    licence="CC BY-SA 4.0",
    task="open_ended",
    columns=(("id", "context", "question", "answers"),),
    splits={"test": ("validation", "test")},
    convert=_item,
    passage="context",
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
