"""The examples of a run and their tokens: those of its mixture, and its validation items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases import tokens
from crosslift.mixtures.draw import STAGE
from crosslift.studies.run import Run
from crosslift.training.trainer import TokenTable


def examples_of(graph: StepGraph, run: Run) -> TokenTable:
    """Return the tokens of the run's mixture, in the order of the mixture, with the run's tokenizer."""
    return gather_tokens(graph, run, training_rows(graph, run))


def validation_of(graph: StepGraph, run: Run) -> TokenTable | None:
    """Return the tokens of the run's validation items in the languages of its mixture; None without validation."""
    rows = validation_rows(graph, run)
    return None if rows is None else gather_tokens(graph, run, rows)


def training_rows(graph: StepGraph, run: Run) -> pl.DataFrame:
    """Return the examples of the run's mixture in its order: corpus, language, row in the corpus, and stage if any."""
    assert run.mixture is not None
    examples = read_step_table(graph.store.mixture_folder(run.mixture.name), "examples.parquet")
    return examples.select("corpus", "language", "row", *([STAGE] if STAGE in examples.columns else []))


def stage_sizes(rows: pl.DataFrame) -> tuple[int, ...]:
    """Return the numbers of examples of the stages, in order; empty if the mixture has none."""
    if STAGE not in rows.columns:
        return ()
    return tuple(rows.group_by(STAGE).len().sort(STAGE)["len"].to_list())


def validation_rows(graph: StepGraph, run: Run) -> pl.DataFrame | None:
    """Return the run's validation items in the languages of its mixture, as `training_rows`; None if it has none."""
    frames = []
    for corpus, tags in graph.study.validation_of(run).items():
        rows = pl.DataFrame({"row": validation_row_numbers(graph, corpus, tags)})
        languages = graph.study.corpora[corpus].languages
        names = pl.Series("language", languages).gather(rows["row"] % len(languages))
        frames.append(rows.select(pl.lit(corpus).alias("corpus"), names, "row"))
    return pl.concat(frames) if frames else None


def validation_row_numbers(graph: StepGraph, corpus: str, tags: Sequence[str]) -> list[int]:
    """Return the row numbers of a corpus's validation items in the given languages, ordered by item."""
    validation = graph.study.validation
    assert validation is not None
    languages = graph.study.corpora[corpus].languages
    num_items = graph.corpus(corpus)["num_items"]
    if validation.max_items is not None:
        num_items = min(num_items, validation.max_items)
    places = sorted(languages.index(tag) for tag in tags)
    return [item * len(languages) + place for item in range(num_items) for place in places]


def gather_tokens(graph: StepGraph, run: Run, examples: pl.DataFrame) -> TokenTable:
    """Return the tokens of examples given as a table (corpus, language, row), with the run's tokenizer."""
    study = graph.study
    corpora = list(dict.fromkeys(examples["corpus"].to_list()))
    languages = tuple(dict.fromkeys(tag for corpus in corpora for tag in study.corpora[corpus].languages))
    tasks = tuple(sorted({study.corpora[corpus].task for corpus in corpora}))
    corpus = _positions(examples["corpus"], corpora)
    return tokens.gather(
        [tokens.read(graph.tokens_step(name, run.model.name).folder) for name in corpora],
        corpus=corpus,
        row=examples["row"].to_numpy(),
        language=_positions(examples["language"], languages),
        languages=languages,
        task=np.array([tasks.index(study.corpora[name].task) for name in corpora])[corpus],
        tasks=tasks,
    )


def _positions(names: pl.Series, known: Sequence[str]) -> np.ndarray:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(known)}
    return names.replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
