"""Interface of a translator.

A translator is a module in `translators/` with

    OPTIONS: dict[str, type]                keys that it accepts in [translation] of the site file
    class Translator:
        __init__(options, *, place)         raises EndpointError or StudyError if the options are invalid
        name: str                           translated rows have the origin "mt:<name>"
        translate(requests, done) -> None   calls done(place, Translation | reason) once for each request, in any order
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crosslift.languages.language import Language


@dataclass(frozen=True, kw_only=True)
class Request:
    """Request to translate one text."""

    text: str
    """The masked text."""
    source: Language
    target: Language
    prompt: str
    """The complete prompt, for translators that are instruction-tuned models."""


@dataclass(frozen=True, kw_only=True)
class Translation:
    """Raw translation of one text."""

    text: str
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0
    is_complete: bool = True
    """False if it was truncated at the token limit."""


Done = Callable[[int, Translation | str], None]
"""Called with the index of a request, and its translation or the reason why there is none."""


class Translator(Protocol):
    """Protocol of the class Translator in a translator module."""

    name: str

    def __init__(self, options: dict[str, Any], *, place: str) -> None: ...

    def translate(self, requests: Sequence[Request], done: Done) -> None: ...
