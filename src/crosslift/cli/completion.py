"""Shell completion of names: members, presets, recipes, and the runs and evaluations of a study.

`crosslift --install-completion` installs the completion of typer, which calls these functions with the incomplete word.
Members are listed without importing them. A study file that cannot be read completes to nothing: a message would be
printed into the command that is being typed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Completion = Callable[[str], list[tuple[str, str]]]
"""Maps an incomplete word to (name, description) pairs."""


def members_of(kind: str) -> Completion:
    """Return the completion of the members of a kind, such as "reader"."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from crosslift.discover import members, summary

        return [(name, summary(kind, name)) for name in members(kind) if name.startswith(incomplete)]

    return complete


def kinds(incomplete: str) -> list[str]:
    """Complete the argument of `crosslift list`."""
    from crosslift.cli.commands.listing import Kind

    return [kind.value for kind in Kind if kind.value.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Complete the name of a preset."""
    from crosslift.studies.presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def runs(ctx: Any, incomplete: str) -> list[str]:
    """Complete the runs of the study that was typed before.

    Args:
        ctx: click's context (typer requires this name), which holds the parameter `folder`.
        incomplete: the incomplete word.
    """
    study = _study(ctx)
    return [] if study is None else [run.name for run in study.runs() if run.name.startswith(incomplete)]


def evaluations(ctx: Any, incomplete: str) -> list[str]:
    """Complete the evaluations of the study that was typed before; arguments as for `runs`."""
    study = _study(ctx)
    return [] if study is None else [name for name in study.evaluations if name.startswith(incomplete)]


def _study(ctx: Any) -> Any:
    from crosslift.errors import CrossliftError
    from crosslift.studies.parsing.load import load

    # click leaves the arguments unassigned while the value of an option is typed.
    folder = ctx.params.get("folder") or next(iter(ctx.args), None)
    try:
        return None if folder is None else load(Path(folder), data="optional")
    except CrossliftError:
        return None
