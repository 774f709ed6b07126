"""Commands that list the available names: list, schema."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.printing import console, say


class Kind(StrEnum):
    """Kinds of names that `crosslift list` can list."""

    LANGUAGES = "languages"
    TASKS = "tasks"
    METRICS = "metrics"
    READERS = "readers"
    CHECKS = "checks"
    TRAINERS = "trainers"
    GENERATORS = "generators"
    EXECUTORS = "executors"
    TRACKERS = "trackers"
    TRANSLATORS = "translators"
    FORMATS = "formats"
    ANALYSES = "analyses"
    COLUMNS = "columns"
    PRESETS = "presets"
    RECIPES = "recipes"
    STEPS = "steps"
    MODELS = "models"


def list_members(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(Kind)}.", autocompletion=completion.kinds)
    ],
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Of languages: all that work, and what is known of each.")
    ] = False,
) -> None:
    """List the names that a study or site file may use."""
    from rich.table import Table

    if coverage and _kind(kind) is not Kind.LANGUAGES:
        raise typer.BadParameter("is for languages: crosslift list languages --coverage", param_hint="--coverage")
    columns, rows = _coverage() if coverage else _listed(_kind(kind))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    console().print(table)
    if coverage:
        from crosslift.languages.coverage import further_tags

        say(
            f"{len(further_tags()):,} further languages of Glottolog and LinguaMeta work with ASCII digits and marks, "
            "without words of their own."
        )


def _kind(word: str) -> Kind:
    """Parse a kind; the singular form and capital letters are accepted.

    Raises:
        UnknownName: no kind has that name.
    """
    from crosslift.errors import UnknownName, did_you_mean, visible

    for kind in Kind:
        if word.lower() in (kind.value, _singular(kind)):
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


Listing = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Titles of the columns, and the rows."""


def _listed(kind: Kind) -> Listing:
    makers = {
        Kind.LANGUAGES: _languages,
        Kind.TASKS: _tasks,
        Kind.PRESETS: _presets,
        Kind.RECIPES: _recipes,
        Kind.MODELS: _models,
        Kind.FORMATS: _formats,
        Kind.COLUMNS: _columns,
    }
    if kind in makers:
        return makers[kind]()
    from crosslift.discover import members, summary

    one = _singular(kind)
    return (one, "what it is"), [(name, summary(one, name)) for name in members(one)]


def _languages() -> Listing:
    from crosslift.languages.language import language, tags

    found = [language(tag) for tag in tags()]
    columns = ("tag", "name", "family", "script", "resource")
    return columns, [(one.tag, one.name, one.family, one.script, one.resource) for one in found]


def _coverage() -> Listing:
    from crosslift.languages.coverage import coverage, describe, written_tags

    rows = [describe(coverage(tag)) for tag in written_tags()]
    return tuple(rows[0]), [tuple(map(str, row.values())) for row in rows]


def check_language(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="<tag>.toml, the file of a language.")],
) -> None:
    """Check a file of a language against CLDR, and that answers in its words are read."""
    from crosslift.api.tools import check_language as check
    from crosslift.errors import UnknownName

    problems = check(file)
    if problems:
        raise UnknownName("\n".join(problems))
    say(f"{file.name} has no problems. Let somebody who speaks the language read it.")


def _tasks() -> Listing:
    from crosslift.discover import member, members, summary

    tasks = [(name, member("task", name)) for name in members("task")]
    return ("task", "what it is", "metrics", "prompts", "max_tokens"), [
        (name, summary("task", name), ", ".join(task.METRICS), ", ".join(task.PROMPTS), str(task.MAX_TOKENS))
        for name, task in tasks
    ]


def _presets() -> Listing:
    import tomllib

    from crosslift.studies.presets import preset_names, preset_text, scales_of

    scales = {name: scales_of(name) for name in preset_names()}
    return ("preset", "scales", "question"), [
        (name, ", ".join(known), tomllib.loads(preset_text(name, known[0])).get("question", ""))
        for name, known in scales.items()
    ]


def _recipes() -> Listing:
    from crosslift.completion import recipe as completions
    from crosslift.translation import recipe as translations

    rows: list[tuple[str, ...]] = []
    for name in translations.recipe_names():
        one = translations.load_recipe(Path(name))
        rows.append((name, "translate", one.source.reader, one.source.split, " ".join(one.languages)))
    for name in completions.recipe_names():
        asked = completions.load_recipe(Path(name))
        rows.append((name, "complete", asked.source.reader, "train", " ".join(asked.source.languages)))
    return ("recipe", "command", "source", "split", "into"), rows


def _models() -> Listing:
    from crosslift.pocket.checkpoints import names

    return ("path",), [(f"pocket:{name}",) for name in names()]


def _formats() -> Listing:
    from crosslift.discover import member, members, summary

    return ("format", "what it is", "columns that a mapping can refer to"), [
        (name, summary("format", name), ", ".join(member("format", name).COLUMNS) or "those of the file")
        for name in members("format")
    ]


def _columns() -> Listing:
    from crosslift.importing.mapping import COLUMNS, REQUIRED_COLUMNS

    return ("column of an import", "required", "what it holds"), [
        (name, "yes" if name in REQUIRED_COLUMNS else "", about) for name, about in COLUMNS.items()
    ]


def _singular(kind: Kind) -> str:
    """Return the word for one member of a kind."""
    return "analysis" if kind is Kind.ANALYSES else kind.value.removesuffix("s")
