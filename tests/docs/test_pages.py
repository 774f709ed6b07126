"""What the documentation tells its readers to do works: every block of tutorial and how-tos is executed in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import DOCS, read_page, run_page
from overlay import write_overlay

EXECUTED = (
    "tutorial.md",
    "contributing.md",
    *sorted(f"howto/{file.name}" for file in (DOCS / "howto").glob("*.md")),
)
NUM_SKIPPED = 5
"""Blocks of these pages that cannot be executed in a test, each with its reason."""


@pytest.mark.pages
@pytest.mark.parametrize("name", EXECUTED)
def test_every_block_of_a_page_works(name: str, tmp_path: Path):
    """Files below src/ are added to (or changed in) a temporary copy of the package."""
    page = read_page(name)
    changed = [block.title for block in page.blocks if block.title is not None and block.title.startswith("src/")]
    if changed:
        run_page(page, tmp_path, sources=write_overlay(tmp_path, changed))
    else:
        run_page(page, tmp_path)


def test_blocks_that_are_not_executed_are_counted_and_have_a_reason():
    skipped = [block for name in EXECUTED for block in read_page(name).blocks]
    skipped = [block for block in skipped if block.directive == "skip"]
    assert all(len(block.reason) > 10 for block in skipped)
    assert len(skipped) == NUM_SKIPPED, "\n".join(f"{block.place}: {block.reason}" for block in skipped)
