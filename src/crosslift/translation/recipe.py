"""Configuration of a translation: a recipe describes what is translated, a site file which translator is used.

    [source]                      # a corpus table as in a study: reader, task, path ..., languages = ["en"]
    reader = "api_bank"
    task = "api_calling"
    path = "api-bank"
    split = "test"

    [translation]
    languages = ["de", "sw"]
    fields = ["prompt", "completion"]       # of each conversation; "prompt" is all messages but the final assistant one
    values = ["text"]                        # kinds of call arguments that are translated too: "text", "name"
    names = ["ToolSearcher"]                 # further words that are not translated
    unit = "message"                         # or "line": unit of text of one request
    prompt = "..."                           # prompt of the translation model, with {language} and {text}
    max_attempts = 3                         # attempts per text before its row is rejected
    back_translate = false                   # measure chrF of the back-translation, at the cost of a second request

In the site file:

    [translation]
    translator = "endpoint"                  # or "seq2seq"
    base_url = "http://localhost:8000/v1"
    model = "..."
    prices = [0.15, 0.60]                    # per million prompt and completion tokens, for the cost estimate
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.corpora.corpus import Source
from crosslift.discover import members
from crosslift.errors import StudyError
from crosslift.studies.parsing.load import source_of
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.data import CorpusTable
from crosslift.studies.parsing.schema.values import Positive, Table, Tags, Text
from crosslift.studies.parsing.toml_file import read_recipe, read_toml, shipped_recipes

PROMPT = (
    "Translate into {language}. Keep marks such as <1> where they belong and numbers in digits. Answer with the "
    "translation alone.\n\n{text}"
)
RETRY_NOTE = "\n\n(An earlier translation was refused, {number} by now: {reason}.)"
"""Appended to the prompt of a retry. The number makes the prompts of retries differ, since a deterministic model gives
the same reply to the same prompt."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is translated, and how."""

    source: Source
    """The corpus to translate, in one language."""
    languages: tuple[str, ...]
    """Target languages."""
    fields: tuple[str, ...]
    """Parts of a conversation to translate: "prompt", "completion"."""
    values: tuple[str, ...]
    """Kinds of call arguments to translate: "text", "name"."""
    names: tuple[str, ...]
    """Words that are not translated."""
    unit: str
    """Unit of text of one request: "message" or "line"."""
    prompt: str
    """Prompt of the translation model, with {language} and {text}."""
    max_attempts: int
    """Attempts per text before its row is rejected."""
    back_translate: bool
    """Whether to measure the chrF of a back-translation."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The translator of a site."""

    translator: str
    """Name of the translator module."""
    prices: tuple[float, float] | None
    """Prices of a million prompt tokens and of a million completion tokens."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the translator."""


class TranslationTable(Table):
    """Schema of [translation] in a recipe."""

    languages: Tags
    fields: list[Literal["prompt", "completion"]] = ["prompt", "completion"]  # noqa: RUF012 - pydantic copies it
    values: list[Literal["text", "name"]] = ["text"]  # noqa: RUF012
    names: list[Text] = Field(default_factory=list)
    unit: Literal["message", "line"] = "message"
    prompt: Text = PROMPT
    max_attempts: Positive = 3
    back_translate: bool = False


class RecipeTable(Table):
    """Schema of a recipe."""

    source: CorpusTable
    translation: TranslationTable


class ServiceTable(Table):
    """Schema of [translation] in a site file."""

    model_config = ConfigDict(extra="allow", strict=True)  # further keys are options of the translator

    translator: Text = "endpoint"
    prices: list[float] | None = Field(None, min_length=2, max_length=2)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package."""
    return shipped_recipes("crosslift.translation")


def load_recipe(path: Path, *, data: Path | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: a file, or the name of a recipe in the package.
        data: replaces the path of the source; relative to the working directory.

    Raises:
        StudyError: the recipe is invalid; the error lists all problems.
    """
    raw = read_recipe(path, package="crosslift.translation", data=data)
    problems = Problems(path.name)
    table = problems.read(RecipeTable, raw, "", TypeAdapter(RecipeTable))
    if table is not None:
        problems.languages("translation.languages", table.translation.languages)
        problems.languages("source.languages", table.source.languages)
        problems.reference("source.reader", "reader", table.source.reader, members("reader"))
        problems.reference("source.task", "task", table.source.task, members("task"))
        if len(table.source.languages) != 1:
            problems.add("source.languages", "a translation has one source language. Give exactly one.")
        if "{text}" not in table.translation.prompt:
            problems.add("translation.prompt", "lacks {text}, the placeholder of the text. Add it.")
        same = set(table.source.languages) & set(table.translation.languages)
        if same:
            problems.add("translation.languages", f"'{min(same)}' is the source language. Remove it.")
    if problems or table is None:
        raise StudyError(problems)
    asked = table.translation
    return Recipe(
        source=source_of("source", table.source, path.parent),
        languages=tuple(asked.languages),
        fields=tuple(asked.fields),
        values=tuple(asked.values),
        names=tuple(asked.names),
        unit=asked.unit,
        prompt=asked.prompt,
        max_attempts=asked.max_attempts,
        back_translate=asked.back_translate,
    )


def load_service(path: Path) -> Service:
    """Read [translation] of a site file.

    Raises:
        StudyError: the table is missing or invalid; the error lists all problems.
    """
    raw = read_toml(path, remedy="Write one: crosslift translate --help shows what it holds.").get("translation")
    problems = Problems(path.name)
    if raw is None:
        problems.add("translation", "is missing: it configures the translator (translator, base_url, model). Add it.")
        raise StudyError(problems)
    table = problems.read(ServiceTable, raw, "translation", TypeAdapter(ServiceTable))
    if table is not None:
        problems.reference("translation.translator", "translator", table.translator, members("translator"))
    if problems or table is None:
        raise StudyError(problems)
    prices = None if table.prices is None else (table.prices[0], table.prices[1])
    return Service(translator=table.translator, prices=prices, options=dict(table.model_extra or {}))
