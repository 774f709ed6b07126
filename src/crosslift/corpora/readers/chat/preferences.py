"""Reader of preference pairs (`chosen`, `rejected`), read as their chosen side.

`path` is a file or folder; without `path`, the option `hub` names a data set of the hub. The language stands in a
column `language` or `lang` or in the names of files; otherwise all rows are in the one language that is requested.
Items of several languages are paired by `id`, `prompt_id` or `conversation_id`, and without these by position.

`chosen` is the answer to `prompt`, a list of messages with or without the prompt, or a transcript ("Human: ...
Assistant: ...").
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.chat_rows import LANGUAGE, SPLITS, chat_item
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row
from crosslift.corpora.formats.conversations import conversation, transcript

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    chosen, prompt = row["chosen"], row.get("prompt")
    if isinstance(chosen, str):
        if turns := transcript(chosen):
            return chat_item(row, turns)
        chosen = [{"role": "assistant", "content": chosen}]
    turns = conversation(chosen)
    if turns and turns[0]["role"] == "assistant":
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        turns = conversation([*prompt, *turns]) if isinstance(prompt, list) else None
    return chat_item(row, turns)


FORMAT = Format(
    title="a preference pair",
    task="open_ended",
    columns=(("chosen", "rejected"), ("prompt", "chosen", "rejected")),
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
