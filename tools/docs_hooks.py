"""Hooks of mkdocs: reference pages come from the code while the site is built (see `reference_pages`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import reference_pages

PYTHON = "Python"
"""Empty entry of the navigation that is filled with a page per package."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the navigation's entry for Python."""

    def fill(entries: list[Any]) -> None:
        for entry in entries:
            for title, below in entry.items() if isinstance(entry, dict) else ():
                if title == PYTHON and not below:
                    entry[title] = reference_pages.python_nav()
                elif isinstance(below, list):
                    fill(below)

    fill(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in reference_pages.pages().items():
        files.append(File.generated(config, path, content=text))
    return files
