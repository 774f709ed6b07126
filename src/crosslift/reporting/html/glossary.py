"""The glossary: the terms that users meet, defined once for the report and the documentation."""

from __future__ import annotations

import html
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

_MARKUP = ((re.compile(r"`([^`]+)`"), r"<code>\1</code>"), (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"))


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term with its definition; `text` may contain *emphasis* and `code`."""

    name: str
    text: str

    @property
    def anchor(self) -> str:
        """Identifier of the definition in a page: `term-seen-and-unseen`."""
        return "term-" + re.sub(r"[^a-z]+", "-", self.name.lower()).strip("-")

    @property
    def markup(self) -> str:
        """The definition as HTML."""
        text = html.escape(self.text)
        for pattern, replacement in _MARKUP:
            text = pattern.sub(replacement, text)
        return text


@cache
def glossary() -> tuple[Term, ...]:
    """All terms, in the order in which they build on each other."""
    text = (resources.files("crosslift.reporting.html") / "glossary.toml").read_text(encoding="utf-8")
    return tuple(Term(**term) for term in tomllib.loads(text)["terms"])
