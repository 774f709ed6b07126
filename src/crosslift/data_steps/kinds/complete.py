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

from pydantic import Field

from crosslift.completion.complete import Completions
from crosslift.completion.corpus import JOURNAL, counts, write_corpus
from crosslift.completion.prompts import queues_of, read_prompts
from crosslift.completion.recipe import CompletionRecipe, CompletionService, load_recipe, load_service, recipe_names
from crosslift.data_steps.recipes import Recipes, site_file
from crosslift.data_steps.step import Expected, Made, Making, Outlook, Size, Step, StepTable
from crosslift.errors import CrossliftError, StudyError
from crosslift.remote.endpoint import Endpoint
from crosslift.remote.journal import Journal
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


def _limited(recipe: CompletionRecipe, step: Step, max_items: int | None) -> CompletionRecipe:
    if max_items is None:
        return recipe
    held = min(recipe.num_validation, max(1, max_items // 4))
    return replace(recipe, num_items=min(recipe.num_items, max_items - held), num_validation=held)


RECIPES = Recipes(names=recipe_names, load=load_recipe, limited=_limited)
check, inputs, identity = RECIPES.check, RECIPES.inputs, RECIPES.identity


def outputs(step: Step) -> tuple[Path, ...]:
    """The folders of training and validation."""
    folder = step.path(step.table.output)
    return folder / "train", folder / "validation"


def expect(step: Step, outlook: Outlook) -> Expected:
    """Estimate requests, tokens and the highest price; from the declared size while the prompts are not here."""
    recipe = RECIPES.of(step, outlook.max_items)
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
    recipe, target = RECIPES.of(step, making.max_items), step.path(step.table.output)
    service = load_service(site_file(making.site, service=SERVICE, names="model"))
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


def _service(site: Path | None) -> tuple[CompletionService, str]:
    """Return the model of the site, and why its price is not known."""
    try:
        return load_service(site_file(site, service=SERVICE, names="model")), ""
    except StudyError as error:
        return CompletionService(endpoint=Endpoint(base_url="", model=""), prices=None), str(error)
