"""Formatted cells and grids: how the page shows a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cell:
    text: str
    note: str = ""
    """Small, below the text."""
    tint: float | None = None
    """Depth of the background, 0 to 1."""
    css: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """`csv`: the file that holds the same numbers and more."""

    title: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    csv: str
    css: str = ""


def ratio_cell(value: float | None) -> Cell:
    if value is None:
        return Cell(text="–", css="number")
    return Cell(text=f"{value:.2f}", css="number", tint=min(1.0, max(0.0, (value - 1) / 3)))


def header(*names: str, numbers: Iterable[int] = ()) -> list[Cell]:
    numeric = {"gain", "p", "adjusted p"}
    places = set(numbers)
    return [
        Cell(
            text=name,
            css="name" if place == 0 else "number" if place in places or name in numeric or "interval" in name else "",
        )
        for place, name in enumerate(names)
    ]


def percent_text(share: float | None) -> str:
    if share is None:
        return "–"
    return "0" if share == 0 else f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def tokens_text(count: int | None) -> str:
    if not count:
        return ""
    if count < 1000:
        return f"{count} tokens"
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def seconds_text(value: float | None) -> str:
    if not value:
        return "–"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size_text(count: int | None) -> str:
    """`6.1M`, `0.6B`."""
    if count is None:
        return "–"
    return f"{count / 1e9:.1f}B" if count >= 1e8 else f"{count / 1e6:.1f}M" if count >= 1e5 else f"{count:,}"
