"""Replies that were paid already."""

from __future__ import annotations

from pathlib import Path


def num_replies(file: Path) -> int:
    """Count the replies of a journal; 0 if there is none.

    Args:
        file: the journal, in JSON lines.
    """
    if not file.is_file():
        return 0
    with file.open("rb") as lines:
        return sum(1 for _ in lines)
