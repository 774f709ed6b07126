"""Corpora that `crosslift translate` or `crosslift complete` made: where their texts and their manifest are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import CorpusError, Source
from crosslift.discover import member
from crosslift.system.files import read_json
from crosslift.untrusted.json_text import parse_json

MANIFEST = "manifest.json"
MAX_MANIFEST = 16 * 2**20
"""Bytes; a larger file is no manifest."""
SPLITS = ("train", "validation")
"""Folders of the splits of completions; translations have their files beside the manifest."""


@dataclass(frozen=True, kw_only=True)
class MadeCorpus:
    """A corpus that was made."""

    folder: Path
    """With the manifest."""
    manifest: Mapping[str, Any]
    languages: tuple[str, ...]
    """Languages of the texts that were made."""
    source_language: str | None
    """Of translations; completions are answers to prompts in their own language."""

    def rows(self, tag: str) -> pl.DataFrame:
        """The rows of a language that can be trained on, columns as in `corpora.corpus.ROWS`.

        Raises:
            CorpusError: the file is missing or invalid.
        """
        below = self.folder / "train"
        source = Source(
            name=self.folder.name,
            reader="jsonl",
            task="open_ended",
            languages=(tag,),
            split="test",
            path=below if below.is_dir() else self.folder,
        )
        rows: pl.DataFrame = member("reader", "jsonl").read(source).rows
        return rows


def made_corpus(folder: Path) -> MadeCorpus:
    """Open the folder of a corpus that was made.

    Raises:
        CorpusError: the folder has no manifest of such a corpus.
    """
    found = read_json(folder / MANIFEST)
    if not isinstance(found, dict) or not isinstance(found.get("languages"), list) or "source" not in found:
        raise CorpusError(
            f"{folder}: has no {MANIFEST} of a corpus that was translated or completed. Name the output folder of "
            "crosslift translate or crosslift complete."
        )
    languages = tuple(map(str, found["languages"]))
    source = None
    if found.get("kind") != "completions":
        others = sorted(file.stem for file in folder.glob("*.jsonl") if file.stem not in _FURTHER)
        source = found["source"].get("language") or next((tag for tag in others if tag not in languages), None)
    return MadeCorpus(folder=folder, manifest=found, languages=languages, source_language=source)


_FURTHER = ("journal", "set_aside", "dropped", "prompts")
"""Files beside those of languages."""


def manifest_beside(path: Path | None) -> Mapping[str, Any]:
    """The manifest of the corpus that a path belongs to, whatever made it; empty if there is none.

    Args:
        path: path of a corpus in a study file: a file, the folder of a corpus, or that of one split.
    """
    if path is None:
        return {}
    folder = path if path.is_dir() or not path.suffix else path.parent
    for place in (folder, folder.parent) if folder.name in SPLITS else (folder,):
        file = place / MANIFEST
        try:
            if not file.is_file() or file.stat().st_size > MAX_MANIFEST:
                continue
            found = parse_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # somebody else's file of that name
            continue
        if isinstance(found, dict) and isinstance(found.get("source"), dict):
            return found
    return {}
