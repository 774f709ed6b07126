"""Reader of prompts without answers, or of the first questions of conversations, for `crosslift complete`.

`path` is a file or folder; without `path`, the option `hub` names a data set of the hub. A row has a text in `prompt`,
`instruction` (with `input`), `query` or `inputs`, or turns in `conversations`, `conversation` or `messages`, of which
only the first question is read (and a system message before it). Rows without a question, such as the second part of a
conversation that was divided, are left out and counted in the notes. `answer` is the prompt itself, so the only split
is "test": nothing can be trained on it. The language stands in a column `language` or `lang` or in the names of files;
otherwise all rows are in the one language that is requested.
"""

from __future__ import annotations

from typing import Any

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.chat_rows import IDS, LANGUAGE
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of
from crosslift.corpora.formats.conversations import first_question

NEEDS_PATH = None
TEXTS = ("prompt", "instruction", "query", "inputs")
TURNS = ("conversations", "conversation", "messages")

__all__ = ["NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    turns: Any = next((row[name] for name in TURNS if row.get(name) is not None), None)
    if turns is None:
        given = str(row.get("input") or "").strip()
        asked = "\n\n".join(one for one in (text_of(row, *TEXTS), given) if one)
        found: list[dict[str, str]] | None = [{"role": "user", "content": asked}]
    else:
        found = first_question(turns)
    if not found:
        raise ValueError("they do not begin with a question")
    identity = next((row[name] for name in IDS if row.get(name) is not None), None)
    return Item(messages=found, answer=found[-1]["content"], id=None if identity is None else str(identity))


# Not named FORMAT: data with answers are recognized as what they are, not as lists of prompts.
_FORMAT = Format(
    title="a prompt",
    task="open_ended",
    columns=tuple((name,) for name in (*TEXTS, *TURNS)),
    splits={"test": ("train", "validation", "valid", "val", "dev", "test", "eval")},
    convert=_item,
    language=LANGUAGE,
    is_lenient=True,
)


def read(source: Source) -> ParallelCorpus:
    """Read the prompts of the requested languages.

    Raises:
        CorpusError: A language without file, missing columns, or no prompt at all.
    """
    return columns.read(source, _FORMAT)
