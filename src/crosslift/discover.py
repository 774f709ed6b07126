"""A module in a folder is a member of its kind, named after its file.

Registries and decorators need an import of every member to know any of them; importing every trainer would import
torch for `crosslift --help`. Here the folder is the registry: names are read from the file system and a member is
imported when somebody asks for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from crosslift.errors import UnknownName, did_you_mean

FOLDERS = {
    "reader": "crosslift.corpora.readers",
    "check": "crosslift.corpora.checks",
    "task": "crosslift.evaluation.tasks",
    "metric": "crosslift.evaluation.metrics",
    "generator": "crosslift.evaluation.generators",
    "trainer": "crosslift.training.trainers",
    "translator": "crosslift.translation.translators",
    "format": "crosslift.importing.formats",
    "analysis": "crosslift.importing.analyses",
    "executor": "crosslift.execution.executors",
}


@cache
def members(kind: str) -> tuple[str, ...]:
    """The names of all members of a kind, sorted."""
    package = importlib.import_module(FOLDERS[kind])
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def member(kind: str, name: str) -> ModuleType:
    """The module that implements the member.

    Raises:
        UnknownName: no such file; the message lists the known names.
    """
    if name not in members(kind):
        raise UnknownName(
            f"'{name}' is not a {kind}.{did_you_mean(name, members(kind))} Known: {', '.join(members(kind))}."
        )
    return importlib.import_module(f"{FOLDERS[kind]}.{name}")
