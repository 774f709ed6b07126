"""Formatting of numbers in the text of a report."""

from __future__ import annotations

from typing import Any


def points_text(value: float | None, *, signed: bool = False) -> str:
    """A share in points with one decimal and a true minus sign: 0.0312 -> "3.1", signed "+3.1"; an en dash for None."""
    if value is None:
        return "–"
    text = f"{100 * value:{'+' if signed else ''}.1f}"
    return text.replace("-", "−") if text not in {"-0.0", "+0.0"} else "0.0"


def interval_text(row: dict[str, Any], *, signed: bool = False) -> str:
    """An interval in points, `[1.2, 4.0]`; empty without limits."""
    if row["low"] is None:
        return ""
    return f"[{points_text(row['low'], signed=signed)}, {points_text(row['high'], signed=signed)}]"


def p_value_text(p: float | None) -> str:
    """A p-value, `p = .012` or `p < .001`; empty for None."""
    if p is None:
        return ""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
