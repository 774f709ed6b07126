"""docs/layout.md: the path of a sample leads through functions that exist."""

from __future__ import annotations

import ast
import re

import pytest
from documents import DOCS
from places import REPOSITORY

PATH = re.findall(
    r"^\|[^|]*\|[^|]*\| `([a-z_A-Z.]+)` \|$", (DOCS / "layout.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_the_path_is_long_enough_to_be_one():
    assert len(PATH) > 20


@pytest.mark.parametrize("name", PATH)
def test_every_function_on_the_path_of_a_sample_exists(name):
    parts = name.split(".")
    source = REPOSITORY / "src" / "crosslift"
    depth = next(
        number for number in range(len(parts), 0, -1) if source.joinpath(*parts[:number]).with_suffix(".py").is_file()
    )
    body: list[ast.stmt] = ast.parse(
        source.joinpath(*parts[:depth]).with_suffix(".py").read_text(encoding="utf-8")
    ).body
    for part in parts[depth:]:
        (found,) = [one for one in body if isinstance(one, (ast.ClassDef, ast.FunctionDef)) and one.name == part]
        body = found.body
