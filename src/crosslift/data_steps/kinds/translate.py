"""A corpus is translated with a recipe by the translator of site.toml.

    [steps.calls-test]
    kind = "translate"
    recipe = "api-bank-test"                    # a shipped recipe, or a file beside data.toml
    output = "data/api-bank/test"               # one file per language, the source included
    path = "api-bank"                           # optional: folder of the source; default: as the recipe says
    max_items = 1000                            # optional: the first n items of the source
    expected = { items = 399, texts = 4000, bytes = 500000 }    # size of a source of the hub, for crosslift plan

The journal of paid replies, the rows that were set aside with their reasons, and scores of back-translations are in
`data/steps/<name>/`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.ingest import read_checked
from crosslift.data_steps.journal import num_replies
from crosslift.data_steps.recipes import Recipes, site_file
from crosslift.data_steps.step import Expected, Made, Making, Outlook, Size, SizeTable, Step, StepTable
from crosslift.discover import member
from crosslift.errors import CrossliftError, StudyError
from crosslift.remote.endpoint import Endpoint
from crosslift.studies.parsing.schema.values import Positive, Text
from crosslift.translation.estimate import estimate_of_size, measure
from crosslift.translation.output import manifest_of, write
from crosslift.translation.recipe import Recipe, Service, load_recipe, load_service, recipe_names
from crosslift.translation.translate import items_of, translate

SERVICE = "translation"
JOURNAL = "journal.jsonl"


class TranslateTable(StepTable):
    recipe: Text = Field(description="a shipped recipe (crosslift list recipes), or a file beside data.toml")
    output: Text = Field(description="folder to write, relative to the study")
    path: Text | None = Field(None, description="folder of the source; default: as the recipe says")
    max_items: Positive | None = Field(None, description="the first n items of the source")
    expected: SizeTable | None = Field(None, description="size of a source of the hub, for crosslift plan")


TABLE = TranslateTable


def _limited(recipe: Recipe, step: Step, max_items: int | None) -> Recipe:
    limits = [limit for limit in (recipe.source.max_items, step.table.max_items, max_items) if limit is not None]
    return replace(recipe, source=replace(recipe.source, name=step.name, max_items=min(limits, default=None)))


RECIPES = Recipes(names=recipe_names, load=load_recipe, limited=_limited)
check, inputs, identity = RECIPES.check, RECIPES.inputs, RECIPES.identity


def outputs(step: Step) -> tuple[Path, ...]:
    """The folder of the translation."""
    return (step.path(step.table.output),)


def expect(step: Step, outlook: Outlook) -> Expected:
    """Estimate texts, tokens and price; from the declared size while the source may not be read."""
    recipe = RECIPES.of(step, outlook.max_items)
    languages = ", ".join(recipe.languages)
    service, concurrency, unknown = _service(outlook.site)
    try:
        num_items, num_texts, num_bytes = _size(step, recipe, outlook)
    except CrossliftError as error:
        return Expected(
            what=f"items into {languages}",
            service=SERVICE,
            num_requests=None,
            num_prompt_tokens=None,
            num_completion_tokens=None,
            concurrency=concurrency,
            unknown=str(error),
        )
    found = estimate_of_size(recipe, service, num_texts=num_texts, num_bytes=num_bytes)
    return Expected(
        what=f"{num_items:,} items into {languages}",
        service=SERVICE,
        local=service.translator != "endpoint",
        num_requests=found.num_texts,
        num_known=num_replies(step.work / JOURNAL),
        num_prompt_tokens=found.num_prompt_tokens,
        num_completion_tokens=found.num_completion_tokens,
        prices=service.prices,
        concurrency=concurrency,
        sizes={outputs(step)[0]: Size(num_items=num_items, bytes_per_item=num_bytes / max(num_items, 1))},
        unknown=unknown,
    )


def make(step: Step, making: Making) -> Made:
    """Translate the corpus; replies of the journal are not asked again.

    Raises:
        StudyError: the recipe or [translation] of the site file is invalid.
        CorpusError: the source cannot be read.
        EndpointError: the endpoint rejects the requests.
    """
    recipe = RECIPES.of(step, making.max_items)
    site = site_file(making.site, service=SERVICE, names="translator")
    service = load_service(site)
    translator = member("translator", service.translator).Translator(service.options, place=f"{site.name}, translation")
    corpus = _source(recipe)
    outcome = translate(
        recipe,
        items_of(corpus),
        translator,
        step.work,
        origin=str(corpus.rows["origin"][0]),
        say=lambda line: making.say(f"{step.name}: {line}"),
        check=making.check,
    )
    making.check()
    write(step.work, outcome, manifest_of(recipe, corpus, translator.name, outcome), corpus=outputs(step)[0])
    aside = {row["item_id"] for row in outcome.set_aside}
    return Made(
        num_items=corpus.num_items - len(aside),
        summary=f"{corpus.num_items - len(aside):,} of {corpus.num_items:,} items in all of "
        f"{', '.join([*corpus.languages, *recipe.languages])}; {len(outcome.set_aside):,} rows set aside "
        f"(data/steps/{step.name}/set_aside.jsonl); {outcome.num_requests:,} requests, {outcome.num_known:,} replies "
        "known before",
    )


def _service(site: Path | None) -> tuple[Service, int, str]:
    """Return the translator's settings, requests at once, and why the price is not known."""
    try:
        service = load_service(site_file(site, service=SERVICE, names="translator"))
    except StudyError as error:
        return Service(translator="endpoint", prices=None), Endpoint.concurrency, str(error)
    at_once = int(service.options.get("concurrency", Endpoint.concurrency))
    return service, at_once if service.translator == "endpoint" else 1, ""


def _source(recipe: Recipe) -> ParallelCorpus:
    """Read the source. Checks are made of the finished data; here only those that drop items count."""
    if "drop" in recipe.source.checks.values() or "stop" in recipe.source.checks.values():
        return read_checked(recipe.source).corpus
    corpus: ParallelCorpus = member("reader", recipe.source.reader).read(recipe.source)
    return corpus


def _size(step: Step, recipe: Recipe, outlook: Outlook) -> tuple[int, int, float]:
    """Return items, texts per language and bytes of the source: measured, or as declared."""
    path, declared = recipe.source.path, step.table.expected
    if outlook.reads or (path is not None and path.exists()):
        corpus = _source(recipe)
        return (corpus.num_items, *measure(recipe, items_of(corpus)))
    if declared is None:
        raise StudyError(["the source has not been read. See: crosslift data --plan"])
    share = min(1.0, (recipe.source.max_items or declared.items) / declared.items)
    return round(declared.items * share), round(declared.texts * share), declared.bytes * share
