"""Studies to start from: one folder each, copied by `crosslift new`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from crosslift.errors import UnknownName, did_you_mean

_FOLDER = Path(__file__).parent


@cache
def preset_names() -> tuple[str, ...]:
    """All presets, sorted."""
    return tuple(sorted(file.parent.name for file in _FOLDER.glob("*/study.toml")))


def preset_text(name: str) -> str:
    """The study file of a preset.

    Raises:
        UnknownName: there is no such preset.
    """
    if name not in preset_names():
        raise UnknownName(
            f"'{name}' is not a preset.{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}."
        )
    return (_FOLDER / name / "study.toml").read_text(encoding="utf-8")
