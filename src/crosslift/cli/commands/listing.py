"""Commands that list the available names: list, schema."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.printing import console, say


class Kind(StrEnum):
    """Kinds of names that `crosslift list` can list."""

    LANGUAGES = "languages"
    TASKS = "tasks"
    METRICS = "metrics"
    READERS = "readers"
    TRAINERS = "trainers"
    GENERATORS = "generators"
    EXECUTORS = "executors"
    PRESETS = "presets"
    RECIPES = "recipes"
    MODELS = "models"


def list_members(kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(Kind)}.")]) -> None:
    """List the names that a study or site file may use."""
    from rich.table import Table

    columns, rows = _listed(_kind(kind))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _kind(word: str) -> Kind:
    """Parse a kind; the singular form and capital letters are accepted.

    Raises:
        UnknownName: no kind has that name.
    """
    from crosslift.errors import UnknownName, did_you_mean, visible

    for kind in Kind:
        if word.lower() in (kind.value, kind.value.removesuffix("s")):
            return kind
    shown = visible(word, 60)
    raise UnknownName(
        f"'{shown}' is not a kind that can be listed.{did_you_mean(word.lower(), Kind)} Known: {', '.join(Kind)}."
    )


def schema() -> None:
    """Print the JSON Schema of the study file, for editors."""
    import json

    from crosslift.studies.parsing.load import json_schema

    say(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _listed(kind: Kind) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    if kind is Kind.LANGUAGES:
        from crosslift.languages.language import language, tags

        found = [language(tag) for tag in tags()]
        columns = ("tag", "name", "family", "script", "resource")
        return columns, [(one.tag, one.name, one.family, one.script, one.resource) for one in found]
    if kind is Kind.TASKS:
        from crosslift.discover import member, members

        tasks = [(name, member("task", name)) for name in members("task")]
        return ("task", "metrics", "prompts", "max_tokens"), [
            (name, ", ".join(task.METRICS), ", ".join(task.PROMPTS), str(task.MAX_TOKENS)) for name, task in tasks
        ]
    if kind is Kind.PRESETS:
        import tomllib

        from crosslift.studies.presets import preset_names, preset_text, scales_of

        scales = {name: scales_of(name) for name in preset_names()}
        return ("preset", "scales", "question"), [
            (name, ", ".join(known), tomllib.loads(preset_text(name, known[0])).get("question", ""))
            for name, known in scales.items()
        ]
    if kind is Kind.RECIPES:
        from crosslift.translation.recipe import load_recipe, recipe_names

        recipes = [(name, load_recipe(Path(name))) for name in recipe_names()]
        return ("recipe", "source", "split", "into"), [
            (name, one.source.reader, one.source.split, " ".join(one.languages)) for name, one in recipes
        ]
    if kind is Kind.MODELS:
        from crosslift.pocket.checkpoints import names

        return ("path",), [(f"pocket:{name}",) for name in names()]
    from crosslift.discover import members

    return (kind.value.removesuffix("s"),), [(name,) for name in members(kind.value.removesuffix("s"))]
