"""Plug-in discovery: every module in a plug-in package is a member of its kind, named after its file.

Registries with decorators must import every member before they know any of them; importing every trainer would import
torch for `crosslift --help`. Here the package is the registry: member names are read from the file system, and a member
is imported on first use. A kind with many members may be spread over several packages.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType

from crosslift.errors import UnknownName, did_you_mean

PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "reader": tuple(
            f"crosslift.corpora.readers.{group}"
            for group in ("general", "chat", "choices", "math", "calls", "texts", "instructions")
        ),
        "check": ("crosslift.corpora.checks",),
        "task": ("crosslift.evaluation.tasks",),
        "metric": ("crosslift.evaluation.metrics",),
        "generator": ("crosslift.evaluation.generators",),
        "trainer": ("crosslift.training.trainers",),
        "translator": ("crosslift.translation.translators",),
        "step": ("crosslift.data_steps.kinds",),
        "format": ("crosslift.importing.formats",),
        "analysis": ("crosslift.importing.analyses",),
        "training tool": ("crosslift.exporting.tools",),
        "log format": ("crosslift.exporting.logs",),
        "executor": ("crosslift.execution.workers.executors",),
        "tracker": ("crosslift.execution.workers.trackers",),
    }
)
"""Kind of member -> the packages whose modules are its members."""


@cache
def module_names(kind: str) -> Mapping[str, str]:
    """Map the members of a kind to the full names of their modules, sorted by member.

    Only the packages are imported, not the members.

    Raises:
        ImportError: two packages of a kind contain a member of the same name.
    """
    found: dict[str, str] = {}
    for name in PACKAGES[kind]:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name in found:
                raise ImportError(f"the {kind} '{module.name}' exists twice: {found[module.name]} and in {name}")
            found[module.name] = f"{name}.{module.name}"
    return MappingProxyType(dict(sorted(found.items())))


def members(kind: str) -> tuple[str, ...]:
    """The names of all members of a kind, sorted."""
    return tuple(module_names(kind))


def member(kind: str, name: str) -> ModuleType:
    """Import the module that implements a member.

    Raises:
        UnknownName: there is no member of this name; the message lists the known names.
    """
    known = module_names(kind)
    if name not in known:
        raise UnknownName(f"'{name}' is not a {kind}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    return importlib.import_module(known[name])


def summary(kind: str, name: str) -> str:
    """Return the first sentence of the docstring of a member's module, read without importing the member.

    Args:
        kind: kind of member.
        name: name of the member.

    Returns:
        One line that ends with a full stop; empty if the module has no docstring.

    Raises:
        UnknownName: there is no member of this name.
    """
    known = module_names(kind)
    if name not in known:
        member(kind, name)
    return first_sentence(known[name])


def first_sentence(module: str) -> str:
    """Return the first sentence of a module's docstring without importing the module.

    Args:
        module: full name of the module.

    Returns:
        One line that ends with a full stop; empty if there is no docstring.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    return f"{first}." if first else ""
