"""Formatted cells and grids, the tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One formatted cell."""

    text: str
    note: str = ""
    """Small text below `text`."""
    tint: float | None = None
    """Opacity of the background colour, 0 to 1; None for no colour."""
    css: str = ""
    """CSS classes."""
    title: str = ""
    """Tooltip."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A formatted table."""

    title: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    csv: str
    """File in `tables/` with the same numbers and further columns."""
    css: str = ""


def ratio_cell(value: float | None) -> Cell:
    """A ratio with two decimals, coloured from 1 (none) to 4 (full)."""
    if value is None:
        return Cell(text="–", css="number")
    return Cell(text=f"{value:.2f}", css="number", tint=min(1.0, max(0.0, (value - 1) / 3)))


def header(*names: str, numbers: Iterable[int] = ()) -> list[Cell]:
    """Header cells; columns of numbers are aligned to the right.

    Args:
        names: titles of the columns.
        numbers: positions of columns of numbers, in addition to those recognised by title.
    """
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
    """A share in per cent, with one decimal below 9.95 %."""
    if share is None:
        return "–"
    return "0" if share == 0 else f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def tokens_text(count: int | None) -> str:
    """A number of tokens, `812 tokens`, `6.1k`, `1.2M`; empty for 0."""
    if not count:
        return ""
    if count < 1000:
        return f"{count} tokens"
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def seconds_text(value: float | None) -> str:
    """A duration in seconds, minutes or hours."""
    if not value:
        return "–"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size_text(count: int | None) -> str:
    """A number of parameters, `6.1M`, `0.6B`."""
    if count is None:
        return "–"
    return f"{count / 1e9:.1f}B" if count >= 1e8 else f"{count / 1e6:.1f}M" if count >= 1e5 else f"{count:,}"
