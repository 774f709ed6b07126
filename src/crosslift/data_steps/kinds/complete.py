"""Open prompts are answered by the model of site.toml, and answers in another language are dropped.

    [steps.instructions]
    kind = "complete"
    recipe = "instructions"                     # a shipped recipe, or a file beside data.toml
    path = "data/instructions/prompts"          # optional: folder of the prompts; default: as the recipe says
    output = "data/instructions"                # folders train and validation with one file per language
    expected = { bytes_per_prompt = 600 }       # for crosslift plan, while the prompts are not here

The journal of paid replies and what was dropped, with reasons, are in the output folder, as `crosslift complete` writes
them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from crosslift.completion.complete import Completions
from crosslift.completion.corpus import JOURNAL, counts, write_corpus
from crosslift.completion.prompts import queues_of, read_prompts
from crosslift.completion.recipe import CompletionRecipe, CompletionService, load_recipe, load_service, recipe_names
from crosslift.data_steps.step import Expected, Made, Making, Outlook, Size, Step, StepTable
from crosslift.errors import CrossliftError, StudyError
from crosslift.remote.endpoint import Endpoint
from crosslift.remote.journal import Journal
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Positive, Table, Text

SERVICE = "completion"
BYTES_PER_TOKEN = 3.5
"""Approximate UTF-8 bytes per token, where the prompts are not here yet."""


class PromptSizeTable(Table):
    bytes_per_prompt: Positive = Field(description="UTF-8 bytes of a prompt")


class CompleteTable(StepTable):
    recipe: Text = Field(description="a shipped recipe (crosslift list recipes), or a file beside data.toml")
    path: Text | None = Field(None, description="folder of the prompts; default: as the recipe says")
    output: Text = Field(description="folder to write, relative to the study")
    expected: PromptSizeTable | None = Field(None, description="size of prompts that are not here yet")


TABLE = CompleteTable


def check(step: Step, problems: Problems) -> None:
    """Add the problems of the recipe."""
    try:
        _recipe(step, None)
    except StudyError as error:
        problems.add(f"steps.{step.name}.recipe", str(error))


def inputs(step: Step) -> tuple[Path, ...]:
    """The prompts, if they are on this machine."""
    path = _recipe(step, None).source.path
    return () if path is None or not path.exists() else (path,)


def outputs(step: Step) -> tuple[Path, ...]:
    """The folders of training and validation."""
    folder = step.path(step.table.output)
    return folder / "train", folder / "validation"


def identity(step: Step, data_seed: int) -> Any:
    """The recipe, and where the prompts are, as written."""
    recipe = _recipe(step, None)
    return [replace(recipe, source=replace(recipe.source, path=None)), step.table.path]


def expect(step: Step, outlook: Outlook) -> Expected:
    """Estimate requests, tokens and the highest price; from the declared size while the prompts are not here."""
    recipe = _recipe(step, outlook.max_items)
    service, unknown = _service(outlook.site)
    tags = recipe.source.languages
    train, validation = outputs(step)
    found = Expected(
        what=f"{recipe.num_items:,} answers to train on and {recipe.num_validation:,} for validation in each of "
        f"{', '.join(tags)}",
        service=SERVICE,
        prices=service.prices,
        concurrency=service.endpoint.concurrency,
        is_most=True,
        sizes={
            train: Size(num_items=recipe.num_items, bytes_per_item=0),
            validation: Size(num_items=recipe.num_validation, bytes_per_item=0),
        },
        unknown=unknown,
    )
    path = recipe.source.path
    if outlook.reads or (path is not None and path.exists()):
        try:
            prompts = read_prompts(recipe)
            known = Journal.read(step.path(step.table.output) / JOURNAL)
            left = Completions(recipe, service, queues_of(recipe, prompts), known).estimate()
        except CrossliftError as error:
            if outlook.reads and path is not None and not path.exists():
                return _declared(step, recipe, found)
            return replace(
                found, num_requests=None, num_prompt_tokens=None, num_completion_tokens=None, unknown=str(error)
            )
        whole = left.num_requests + left.num_known
        up = whole / max(left.num_requests, 1)
        return replace(
            found,
            num_requests=whole,
            num_known=left.num_known,
            num_prompt_tokens=round(left.num_prompt_tokens * up),
            num_completion_tokens=round(left.max_completion_tokens * up),
        )
    return _declared(step, recipe, found)


def make(step: Step, making: Making) -> Made:
    """Ask for the answers; replies of the journal are not asked again.

    Raises:
        StudyError: the recipe or [completion] of the site file is invalid.
        CorpusError: the prompts cannot be read, or there are too few.
        EndpointError: the endpoint rejects the requests, or does not reply to some.
    """
    recipe, target = _recipe(step, making.max_items), step.path(step.table.output)
    service = load_service(_site(making.site))
    prompts = read_prompts(recipe)
    with Journal(target / JOURNAL) as journal:
        work = Completions(recipe, service, queues_of(recipe, prompts), journal.entries, add=journal.add)
        outcome = work.complete(say=lambda line: making.say(f"{step.name}: {line}"), check=making.check)
        making.check()
        write_corpus(target, recipe, service, prompts, outcome)
    made = counts(recipe, outcome)
    dropped = sum(sum(one.get("dropped", {}).values()) for one in made.values())
    return Made(
        num_items=recipe.num_items,
        summary=f"{recipe.num_items:,} answers to train on and {recipe.num_validation:,} for validation in each of "
        f"{', '.join(recipe.source.languages)}; {dropped:,} answers dropped ({step.table.output}/dropped.jsonl); "
        f"{outcome.num_requests:,} requests",
    )


def _declared(step: Step, recipe: CompletionRecipe, found: Expected) -> Expected:
    number = (recipe.num_items + recipe.num_validation) * len(recipe.source.languages)
    size = step.table.expected
    if size is None:
        return replace(
            found,
            num_requests=number,
            num_prompt_tokens=None,
            num_completion_tokens=None,
            unknown="the prompts are not here yet, and their size is not declared (expected)",
        )
    return replace(
        found,
        num_requests=number,
        num_prompt_tokens=round(number * size.bytes_per_prompt / BYTES_PER_TOKEN),
        num_completion_tokens=number * recipe.sampling.max_tokens,
    )


def _site(site: Path | None) -> Path:
    if site is None:
        raise StudyError(
            ["there is no site.toml, which names the model: [completion] base_url, model. Write it, or name one."]
        )
    return site


def _service(site: Path | None) -> tuple[CompletionService, str]:
    """Return the model of the site, and why its price is not known."""
    try:
        return load_service(_site(site)), ""
    except StudyError as error:
        return CompletionService(endpoint=Endpoint(base_url="", model=""), prices=None), str(error)


def _recipe(step: Step, max_items: int | None) -> CompletionRecipe:
    is_shipped = step.table.recipe in recipe_names()
    recipe = load_recipe(
        Path(step.table.recipe) if is_shipped else step.path(step.table.recipe),
        data=None if step.table.path is None else step.path(step.table.path),
    )
    if max_items is None:
        return recipe
    held = min(recipe.num_validation, max(1, max_items // 4))
    return replace(recipe, num_items=min(recipe.num_items, max_items - held), num_validation=held)
