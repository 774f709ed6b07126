"""One glossary for the report and the documentation, and words that neither may use."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache

import places
import pytest
from typer.main import get_command

from crosslift.cli import app
from crosslift.reporting.html.glossary import glossary

sys.path.insert(0, str(places.REPOSITORY / "tools"))

import glossary as page_of_glossary

DISCOURAGED = {
    r"\bledgers?\b": "step graph",
    r"\btwins?\b": "equal run",
    r"\bclaims? (file|of a dead|is taken over)\b": "lease",
    r"\bare told apart\b|\bcannot be told\b|\bcan be told\b|\btold from\b": "distinguished, determined, estimated from",
    r"\basked of this\b|\bis asked (the|about)\b": "tested on, evaluated on",
    r"\ball sorts of\b": "random, various",
    r"\bin words\b": "as text",
    r"\bwithout a word\b": "without a message",
    r"\bstands? beside\b|\bstands? in (it|`)": "is next to, is in",
    r"\bgoes? on (with|where|from)\b": "continues",
    r"\bmade anew\b|\bdrawn anew\b|\bread anew\b": "made again",
    r"\b(runs|words) made elsewhere\b": "computed elsewhere",
    r"\bbelieved\b": "valid, calibrated",
    r"\blucky\b": "chance",
    r"\bthe laboratory\b": "the pocket laboratory",
    r"\bthe untouched\b": "the base model",
    r"\bwhat is left\b": "the remainder",
    r"\bis worth (a run|\d)": "the value of",
    r"\bnobody('s| else)?\b": "no process, no standard",
    r"\bwalks? (each|the|a) \b": "executes",
}
"""Pattern -> what to write instead. Idiom that a reader who knows the field meets for the first time here."""


def test_the_page_is_the_glossary_of_the_report():
    assert page_of_glossary.PAGE.read_text(encoding="utf-8") == page_of_glossary.page(), "run: python tools/glossary.py"


def test_there_are_twenty_terms_with_anchors_of_their_own():
    assert len({term.anchor for term in glossary()}) == len(glossary()) == 20


def test_markup_is_escaped_and_complete():
    for term in glossary():
        assert "*" not in term.markup and "`" not in term.markup and "<script" not in term.markup


def pages() -> Iterator[tuple[str, str]]:
    for file in (*places.REPOSITORY.glob("*.md"), *(places.REPOSITORY / "docs").rglob("*.md")):
        if file.name not in ("CHANGELOG.md", "LICENSE.md"):
            yield str(file.relative_to(places.REPOSITORY)), file.read_text(encoding="utf-8")


def messages() -> Iterator[tuple[str, str]]:
    """What the program tells people: texts of errors that are raised, and the commands' help."""
    for file in (places.REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                strings = [part.value for part in ast.walk(node.exc) if isinstance(part, ast.Constant)]
                yield f"{file.name}:{node.lineno}", " ".join(part for part in strings if isinstance(part, str))
    for template in (places.REPOSITORY / "src").rglob("*.jinja"):
        yield template.name, re.sub(r"<[^>]*>|{[%{].*?[%}]}", " ", template.read_text(encoding="utf-8"))

    def walk(command: object) -> Iterator[tuple[str, str]]:
        for name, below in getattr(command, "commands", {}).items():
            helps = [getattr(parameter, "help", None) or "" for parameter in below.params]
            yield f"crosslift {name} --help", " ".join([below.help or "", *helps])
            yield from walk(below)

    yield from walk(get_command(app))


@cache
def texts() -> list[tuple[str, str]]:
    """All pages and messages, read once for all patterns."""
    return [*pages(), *messages()]


@pytest.mark.parametrize("pattern", DISCOURAGED)
def test_docs_and_messages_use_the_terms_of_the_field(pattern: str):
    found = [
        f"{place}: ...{text[max(0, match.start() - 40) : match.end() + 30]}... (write: {DISCOURAGED[pattern]})"
        for place, text in texts()
        for match in re.finditer(pattern, text)
    ]
    assert not found, "\n".join(found)
