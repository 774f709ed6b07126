"""A copy of the package in which files can be added and changed: links wherever nothing differs."""

from __future__ import annotations

from pathlib import Path

from places import REPOSITORY


def write_overlay(folder: Path, changed: list[str]) -> Path:
    """`folder/src/crosslift`, in which the folders of the changed files (relative to the repository) are real.

    Returns:
        The folder to import from.
    """
    (folder / "src").mkdir(parents=True)
    package = folder / "src" / "crosslift"
    package.symlink_to(REPOSITORY / "src" / "crosslift")
    for name in changed:
        place = folder / "src"
        for part in Path(name).parent.relative_to("src").parts:
            place /= part
            if place.is_symlink():
                _make_real(place)
    return folder / "src"


def _make_real(link: Path) -> None:
    original = link.resolve()
    link.unlink()
    link.mkdir()
    for child in original.iterdir():
        if child.name != "__pycache__":
            (link / child.name).symlink_to(child)
