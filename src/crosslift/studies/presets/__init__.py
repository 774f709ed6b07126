"""Preset studies, which `crosslift new` copies: one folder per preset, one study file per scale.

full      the published study: models and data from the hub, needs GPUs
small     the published design and data with models of about a billion parameters, for one GPU of 24 GB
pocket    the same design with the models and corpora of the pocket laboratory, needs two CPU cores

data.toml beside them names the steps that make the data of the scales full and small, where they are not published.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from crosslift.errors import UnknownName, did_you_mean

SCALES = ("full", "small", "pocket")
_FOLDER = Path(__file__).parent


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted({file.parent.name for file in _FOLDER.glob("*/pocket.toml")}))


def scales_of(name: str) -> tuple[str, ...]:
    """Return the scales of a preset.

    Raises:
        UnknownName: There is no such preset.
    """
    if name not in preset_names():
        raise UnknownName(
            f"'{name}' is not a preset.{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}."
        )
    return tuple(scale for scale in SCALES if (_FOLDER / name / f"{scale}.toml").is_file())


def preset_text(name: str, scale: str) -> str:
    """Return the text of a preset's study file.

    Raises:
        UnknownName: There is no such preset, or it has no such scale.
    """
    known = scales_of(name)
    if scale not in known:
        raise UnknownName(f"preset '{name}' has no scale '{scale}'.{did_you_mean(scale, known)} It has: {known[0]}.")
    return (_FOLDER / name / f"{scale}.toml").read_text(encoding="utf-8")


def preset_data_text(name: str, scale: str) -> str | None:
    """Return the text of data.toml, the steps that make a preset's data; None if its data are generated or published.

    The scales full and small have the same data.

    Raises:
        UnknownName: There is no such preset.
    """
    scales_of(name)
    file = _FOLDER / name / "data.toml"
    return file.read_text(encoding="utf-8") if scale != "pocket" and file.is_file() else None
