"""Reader of chat data with a prompt and a response (or completion) per row.

`path` is a file or folder; without `path`, the option `hub` names a data set of the hub. The language stands in a
column `language` or `lang` or in the names of files; otherwise all rows are in the one language that is requested.
Items of several languages are paired by `id`, `prompt_id` or `conversation_id`, and without these by position.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.chat_rows import LANGUAGE, SPLITS, chat_item
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of
from crosslift.corpora.published import message

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    turns = message(text_of(row, "prompt", "inputs"), text_of(row, "response", "completion", "targets"))
    return chat_item(row, turns)


FORMAT = Format(
    title="a prompt with a response",
    task="open_ended",
    columns=(("prompt", "response"), ("prompt", "completion"), ("inputs", "targets")),
    splits=SPLITS,
    convert=_item,
    language=LANGUAGE,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
