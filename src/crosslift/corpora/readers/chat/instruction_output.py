"""Reader of chat data with instruction, input (optional) and output per row, the format of Alpaca.

`path` is a file or folder; without `path`, the option `hub` names a data set of the hub. The language stands in a
column `language` or `lang` or in the names of files; otherwise all rows are in the one language that is requested.
Items of several languages are paired by `id`, `prompt_id` or `conversation_id`, and without these by position.

An input follows the instruction after an empty line.
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
    given = row.get("input") or row.get("context") or ""
    asked = "\n\n".join(one for one in (text_of(row, "instruction"), str(given).strip()) if one)
    return chat_item(row, message(asked, text_of(row, "output", "response")))


FORMAT = Format(
    title="an instruction with an output",
    task="open_ended",
    columns=(("instruction", "output"), ("instruction", "input", "output"), ("instruction", "response")),
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
