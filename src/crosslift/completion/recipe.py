"""Configuration of completions: a recipe describes the prompts and how they are answered, a site file which model does.

    [source]                      # a corpus table as in a study; the answers of its items are not used
    reader = "prompts"
    task = "open_ended"
    split = "test"
    path = "sharegpt.json"
    languages = ["en", "es", "fr", "ja", "zh"]
    order = "random"                         # the order in which prompts are asked; by completion.seed

    [completion]
    items = 7000                             # completions to train on in each language, exactly
    num_validation = 200                     # further ones for validation
    prompt_languages = "source"              # or "identified": each prompt's language is found out from its text
    pairing = "position"                     # or "item": an item is kept if it is kept in all languages
    max_prompt_characters = 4000             # longer prompts are left out
    max_asked = 5                            # prompts asked per wanted completion, at most: a limit of the cost
    max_tokens = 2048
    temperature = 0.0
    seed = 0                                 # of the order of prompts, and of the draw if temperature is not 0
    exclude = []                             # ids of prompts that are left out

In the site file:

    [completion]
    base_url = "http://localhost:8000/v1"
    model = "..."
    prices = [2.50, 10.00]                   # per million prompt and completion tokens, for the cost estimate
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.corpora.corpus import Source
from crosslift.discover import member, members
from crosslift.errors import StudyError
from crosslift.remote.endpoint import OPTIONS, Endpoint
from crosslift.studies.parsing.load import source_of
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.data import CorpusTable
from crosslift.studies.parsing.schema.values import Positive, Table, Text
from crosslift.studies.parsing.toml_file import read_recipe, read_toml, shipped_recipes


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the model draws its answers; part of what identifies a request."""

    max_tokens: int
    temperature: float
    top_p: float | None
    """Probability mass to draw from; None leaves the choice to the server."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class CompletionRecipe:
    """Which prompts are answered, how, and how many answers are kept."""

    source: Source
    num_items: int
    """Completions to train on in each language."""
    num_validation: int
    """Further completions in each language."""
    prompt_languages: str
    """"source": as the source says; "identified": from the text of each prompt."""
    pairing: str
    """"position": languages have prompts of their own; "item": the same items in all languages."""
    max_prompt_characters: int
    max_asked: int
    """Maximum number of prompts that are asked per wanted completion."""
    system: str
    """System message before each prompt; "" for none."""
    exclude: frozenset[str]
    """Ids of prompts that are left out."""
    sampling: Sampling


@dataclass(frozen=True, kw_only=True)
class CompletionService:
    """The model of a site that answers prompts."""

    endpoint: Endpoint
    prices: tuple[float, float] | None
    """Prices of a million prompt tokens and of a million completion tokens."""

    @property
    def host(self) -> str:
        """Name of the endpoint for manifests: its host, without user, key, port or path."""
        return urlsplit(self.endpoint.base_url).hostname or ""


class CompletionTable(Table):
    """Schema of [completion] in a recipe."""

    items: Positive = Field(description="completions to train on in each language, exactly")
    num_validation: int = Field(0, ge=0, description="further completions for validation in each language")
    prompt_languages: Literal["source", "identified"] = Field(
        "source", description='"identified": the language of each prompt is found out from its text'
    )
    pairing: Literal["position", "item"] = Field(
        "position", description='"item": an item is kept if it is kept in all languages'
    )
    max_prompt_characters: Positive = Field(4000, description="longer prompts are left out")
    max_asked: Positive = Field(5, description="prompts that are asked per wanted completion, at most")
    max_tokens: Positive = Field(2048, description="longer answers are dropped as truncated")
    temperature: float = Field(0.0, ge=0, le=2, description="0: the most probable token")
    top_p: float | None = Field(None, gt=0, le=1, description="probability mass to draw from; default: the server's")
    seed: int = Field(0, ge=0, description="of the order of prompts, and of the draw if temperature is not 0")
    system: str = Field("", description="system message before each prompt; it is not part of the corpus")
    exclude: list[Text] = Field(default_factory=list, description="ids of prompts that are left out")


class RecipeTable(Table):
    """Schema of a recipe."""

    source: CorpusTable
    completion: CompletionTable


class ServiceTable(Table):
    """Schema of [completion] in a site file."""

    model_config = ConfigDict(extra="allow", strict=True)  # further keys are settings of the endpoint

    base_url: Text
    model: Text
    prices: list[Annotated[float, Field(ge=0)]] | None = Field(None, min_length=2, max_length=2)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package."""
    return shipped_recipes("crosslift.completion")


def load_recipe(path: Path, *, data: Path | None = None) -> CompletionRecipe:
    """Read a recipe.

    Args:
        path: a file, or the name of a recipe in the package.
        data: replaces the path of the source; relative to the working directory.

    Raises:
        StudyError: the recipe is invalid; the error lists all problems.
    """
    raw = read_recipe(path, package="crosslift.completion", data=data)
    problems = Problems(path.name)
    table: RecipeTable | None = problems.read(RecipeTable, raw, "", TypeAdapter(RecipeTable))
    if table is not None:
        _check(problems, table)
    if problems or table is None:
        raise StudyError(problems)
    asked = table.completion
    return CompletionRecipe(
        source=source_of("source", table.source, path.parent, data_seed=asked.seed),
        num_items=asked.items,
        num_validation=asked.num_validation,
        prompt_languages=asked.prompt_languages,
        pairing=asked.pairing,
        max_prompt_characters=asked.max_prompt_characters,
        max_asked=asked.max_asked,
        system=asked.system.strip(),
        exclude=frozenset(asked.exclude),
        sampling=Sampling(
            max_tokens=asked.max_tokens, temperature=asked.temperature, top_p=asked.top_p, seed=asked.seed
        ),
    )


def _check(problems: Problems, table: RecipeTable) -> None:
    source, asked = table.source, table.completion
    problems.languages("source.languages", source.languages)
    problems.reference("source.task", "task", source.task, members("task"))
    if problems.reference("source.reader", "reader", source.reader, members("reader")):
        options = getattr(member("reader", source.reader), "OPTIONS", {})
        problems.options("source", source.model_extra or {}, options, CorpusTable.model_fields)
    if asked.pairing == "item" and asked.prompt_languages == "identified":
        problems.add(
            "completion.pairing",
            'cannot be "item" where the language of each prompt is identified, because such prompts are not '
            'translations of each other. Use pairing = "position".',
        )


def load_service(path: Path) -> CompletionService:
    """Read [completion] of a site file.

    Raises:
        StudyError: the table is missing or invalid; the error lists all problems.
    """
    raw = read_toml(path, remedy='Create it: [completion] base_url = "http://localhost:8000/v1", model = "..."')
    problems = Problems(path.name)
    given = raw.get("completion")
    if given is None:
        problems.add("completion", "is missing: it names the model that answers prompts (base_url, model). Add it.")
        raise StudyError(problems)
    table: ServiceTable | None = problems.read(ServiceTable, given, "completion", TypeAdapter(ServiceTable))
    if table is not None:
        problems.options("completion", table.model_extra or {}, OPTIONS, ServiceTable.model_fields)
    if problems or table is None:
        raise StudyError(problems)
    return CompletionService(
        endpoint=Endpoint(base_url=table.base_url, model=table.model, **(table.model_extra or {})),
        prices=None if table.prices is None else (table.prices[0], table.prices[1]),
    )
