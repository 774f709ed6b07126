"""What a translator is.

A translator is a module in `translators/` with

    OPTIONS: dict[str, type]                keys of the site's [translation] that it understands
    class Translator:
        __init__(options, *, place)         raises EndpointError or StudyError where it cannot work
        name: str                           what rows are marked with: "mt:<name>"
        translate(requests, done) -> None   calls done(place, Translated | reason) once for each request, in any order
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crosslift.languages.language import Language


@dataclass(frozen=True, kw_only=True)
class Request:
    text: str
    source: Language
    target: Language
    prompt: str
    """The whole question, for translators that are asked in words."""


@dataclass(frozen=True, kw_only=True)
class Translated:
    text: str
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0
    is_whole: bool = True
    """False where the limit of tokens cut it off."""


Done = Callable[[int, Translated | str], None]
"""Place of a request, and its translation or why there is none."""


class Translator(Protocol):
    name: str

    def __init__(self, options: dict[str, Any], *, place: str) -> None: ...

    def translate(self, requests: Sequence[Request], done: Done) -> None: ...
