"""Checkpoints of the pocket models, as Hugging Face folders in the package."""

from __future__ import annotations

from pathlib import Path

from crosslift.errors import UnknownName, did_you_mean

_FOLDER = Path(__file__).parent / "models"


def names() -> tuple[str, ...]:
    """Names of all pocket models, sorted."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob("*/config.json")))


def folder(name: str) -> Path:
    """The folder of a pocket model, for `AutoModelForCausalLM.from_pretrained`.

    Raises:
        UnknownName: there is no pocket model of that name.
    """
    if name not in names():
        raise UnknownName(
            f"'{name}' is not a pocket model.{did_you_mean(name, names())} Known: {', '.join(names()) or 'none'}."
        )
    return _FOLDER / name
