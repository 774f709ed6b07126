"""Write docs/glossary.md from the glossary of the report.

python tools/glossary.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from crosslift.reporting.html.glossary import glossary

PAGE = Path(__file__).parents[1] / "docs" / "glossary.md"
INTRODUCTION = (
    "Twenty terms of the study file, the commands and the report. [Concepts](concepts.md) explains how they are "
    "related. The report ends with the same definitions."
)


def page() -> str:
    """The page as Markdown."""
    parts = ["# Glossary", textwrap.fill(INTRODUCTION, 120)]
    for term in glossary():
        parts += [f"## {term.name}", textwrap.fill(term.text, 120, break_long_words=False, break_on_hyphens=False)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
