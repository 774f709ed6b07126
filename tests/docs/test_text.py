"""What the documentation says of commands, messages and terms is true of the program."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
import typer
from documents import DOCS
from places import REPOSITORY

from crosslift.cli import app

PAGES = sorted([*DOCS.rglob("*.md"), REPOSITORY / "README.md"])
NUM_TERMS = 20


@cache
def messages() -> str:
    """Every text in the code, one per line, with "…" where a value is filled in."""
    found = []
    for file in (REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def rows() -> list[str]:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


@pytest.mark.parametrize("message", rows())
def test_every_message_of_the_troubleshooting_page_is_one_of_the_program(message: str):
    assert message in messages(), "the program no longer prints this; change docs/troubleshooting.md"


def test_the_troubleshooting_page_has_messages():
    assert len(rows()) > 40


def commands() -> dict[str, set[str]]:
    """Command -> its options."""

    def walk(command, name):
        if hasattr(command, "commands"):
            return dict(pair for key, below in command.commands.items() for pair in walk(below, key).items())
        return {name: {option for parameter in command.params for option in parameter.opts} | {"--help"}}

    return walk(typer.main.get_command(app), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_shows_exists(page):
    known = commands()
    text = page.read_text(encoding="utf-8")
    shown = re.findall(
        r"(?:^|`|\$ )crosslift (?:(?:pocket|export) )?([a-z][a-z-]*)((?: [^`\n#;|&]*)?)", text, flags=re.MULTILINE
    )
    for command, arguments in shown:
        assert command in {*known, "pocket", "export"}, f"{page.name}: crosslift {command}"
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", arguments):
            assert option in known[command], f"{page.name}: crosslift {command} {option}"


def test_the_glossary_has_twenty_terms_each_explained_once():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^## (.+)\n\n(?=\S)", text, flags=re.MULTILINE)
    assert len(terms) == len(set(terms)) == NUM_TERMS
