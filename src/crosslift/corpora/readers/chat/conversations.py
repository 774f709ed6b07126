"""Reader of chat data with a column `conversations`: lists of {from, value}, cut after the last answer.

`path` is a file or folder; without `path`, the option `hub` names a data set of the hub. The language stands in a
column `language` or `lang` or in the names of files; otherwise all rows are in the one language that is requested.
Items of several languages are paired by `id`, `prompt_id` or `conversation_id`, and without these by position.

The reader `sharegpt` reads the same turns from a file per language, with ids that must be there.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.chat_rows import LANGUAGE, SPLITS, chat_item
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row
from crosslift.corpora.formats.conversations import conversation

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    return chat_item(row, conversation(row["conversations"] if "conversations" in row else row["conversation"]))


FORMAT = Format(
    title="a conversation with an answer",
    task="open_ended",
    columns=(("conversations",), ("conversation",)),
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
