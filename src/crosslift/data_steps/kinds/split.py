"""A part of a corpus is held out for validation, at random by the study's seed of data.

    [steps.calls]
    kind = "split"
    input = "data/api-bank"                     # a folder with one file per language (reader jsonl)
    languages = ["en", "es", "ja"]              # items that lack one of them are left out
    number = 150                                # items for validation
    output = "data/api-bank/train"
    validation = "data/api-bank/validation"

Dependent items (of one dialogue) are never divided between the two. The order of dialogues depends on the seed and on
their names only, so that items which are translated later do not move others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from crosslift.corpora.corpus import ParallelCorpus, Source, taken_in_order
from crosslift.data_steps.step import Expected, Made, Making, Outlook, Step, StepTable
from crosslift.discover import member
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Positive, Tags, Text
from crosslift.system.files import write_text

MAX_SHARE = 0.25
"""Most of the items that are held out, where a trial has few."""


class SplitTable(StepTable):
    input: Text = Field(description="folder with one file per language, relative to the study")
    languages: Tags = Field(description="languages in which an item must exist")
    number: Positive = Field(description="items for validation")
    output: Text = Field(description="folder of the other items")
    validation: Text = Field(description="folder of the items for validation")


TABLE = SplitTable


def check(step: Step, problems: Problems) -> None:
    """Add unknown languages, and folders that are the same."""
    problems.languages(f"steps.{step.name}.languages", step.table.languages)
    if len({step.path(one) for one in (step.table.input, step.table.output, step.table.validation)}) < 3:
        problems.add(f"steps.{step.name}", "input, output and validation must be three folders. Change one.")


def inputs(step: Step) -> tuple[Path, ...]:
    """The folder that is divided."""
    return (step.path(step.table.input),)


def outputs(step: Step) -> tuple[Path, ...]:
    """The folders of training and validation."""
    return step.path(step.table.output), step.path(step.table.validation)


def identity(step: Step, data_seed: int) -> Any:
    """Languages, number and seed."""
    return [step.table.languages, step.table.number, data_seed]


def expect(step: Step, outlook: Outlook) -> Expected:
    """Nothing is sent."""
    size = outlook.sizes.get(inputs(step)[0])
    if size is None:
        return Expected(what=f"{step.table.number:,} items for validation, the others for training")
    held = _held(step.table.number, size.num_items)
    train, validation = outputs(step)
    return Expected(
        what=f"{size.num_items - held:,} items for training, {held:,} for validation",
        sizes={train: replace(size, num_items=size.num_items - held), validation: replace(size, num_items=held)},
    )


def make(step: Step, making: Making) -> Made:
    """Divide the items.

    Raises:
        CorpusError: the input cannot be read.
        StudyError: no item is left.
    """
    corpus = _read(step, making.data_seed)
    held = _held(step.table.number, corpus.num_items)
    chosen = _clusters(corpus, held, making.data_seed)
    if not 0 < chosen["item_id"].n_unique() < corpus.num_items:
        raise StudyError(
            [
                f"data.toml, steps.{step.name}: {corpus.num_items} items are in all of {', '.join(corpus.languages)}, "
                "too few to divide. See what was set aside in the step before."
            ]
        )
    rest = corpus.rows.join(chosen.select("item_id").unique(), on="item_id", how="anti", maintain_order="left")
    making.check()
    for folder, rows in zip(outputs(step), (rest, chosen), strict=True):
        for (tag,), part in rows.group_by("language", maintain_order=True):
            write_text(folder / f"{tag}.jsonl", part.write_ndjson())
    num_held, num_rest = (rows["item_id"].n_unique() for rows in (chosen, rest))
    return Made(
        num_items=num_rest,
        summary=f"{num_rest:,} items for training, {num_held:,} for validation; {' '.join(corpus.notes)}".rstrip("; "),
    )


def _held(number: int, num_items: int) -> int:
    return min(number, max(1, int(MAX_SHARE * num_items)))


def _read(step: Step, data_seed: int) -> ParallelCorpus:
    source = Source(
        name=step.name,
        reader="jsonl",
        task="",
        languages=tuple(step.table.languages),
        path=inputs(step)[0],
        incomplete="drop",
        order="random",
        data_seed=data_seed,
    )
    corpus: ParallelCorpus = member("reader", "jsonl").read(source)
    return corpus


def _clusters(corpus: ParallelCorpus, number: int, data_seed: int) -> pl.DataFrame:
    """Rows of whole clusters, in a random order of clusters, that hold so many items together, or the most below."""
    source = Source(name="", reader="", task="", languages=corpus.languages, order="random", data_seed=data_seed)
    sizes = dict(corpus.rows.group_by("cluster", maintain_order=True).agg(pl.col("item_id").n_unique()).iter_rows())
    chosen, left = [], number
    for cluster in taken_in_order(source, pl.Series(list(sizes), dtype=pl.String)):
        if sizes[cluster] <= left:
            chosen.append(cluster)
            left -= sizes[cluster]
    if not chosen:  # a trial has few
        chosen = [min(sizes, key=lambda cluster: sizes[cluster])]
    return corpus.rows.filter(pl.col("cluster").is_in(chosen))
