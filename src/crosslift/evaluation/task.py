"""What a task is.

A task is a module in `tasks/` named after its file, with

    METRICS: tuple[str, ...]        the first is the primary one
    MAX_TOKENS: int                 default limit of generated tokens
    present(messages, language, prompt) -> messages     the prompt as the model sees it; `prompt` names a published form
    score(text, answer, language) -> Outcome            one completed answer against its gold

Training and evaluation both show the model what `present` returns. `score` sees only answers that ended by themselves;
truncation and program errors are handled once, in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosslift.languages.language import Language
from crosslift.scores import Status

Message = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Values in [0, 1] per metric, all 0 unless the status is "scored" (a call may be scored with some parts wrong)."""

    values: dict[str, float]
    status: Status
    parsed: str | None = None
    """What was understood, for people who look into failures."""


__all__ = ["Language", "Message", "Outcome"]
