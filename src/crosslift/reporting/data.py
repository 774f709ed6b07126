"""The input of a report: tables and mappings, so that every table and figure can be tested on synthetic data.

`collect` is the only function of this package that reads the folder of a study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from crosslift.corpora.corpus import Source
from crosslift.corpora.findings import FINDINGS
from crosslift.corpora.reviews.verdicts import COUNTS, reviews_beside
from crosslift.errors import StoreError
from crosslift.exploring.journal import Entry, read_entries
from crosslift.languages.language import Language, language
from crosslift.reporting.unscored import FailureHint, failure_hints
from crosslift.scores import MODEL_FAILURES, metric_range
from crosslift.studies.evaluation import primary_metrics
from crosslift.studies.study import Study
from crosslift.transfer.estimates.estimate import estimate
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.estimates.panel import scores_of
from crosslift.transfer.grid.cells import Cells, cells
from crosslift.transfer.variance.components import variance_components

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store

MAX_SAMPLED_CELLS = 240
"""Run x evaluation x language cells with sample answers; this limits the size of the page."""

SAMPLE_KINDS = ("correct", "wrong", *MODEL_FAILURES)
"""Kinds of sample answers, in the order of the page."""
SAMPLES = pl.Schema(
    {
        "run": pl.String,
        "evaluation": pl.String,
        "language": pl.String,
        "kind": pl.String,  # of SAMPLE_KINDS
        "sample_id": pl.String,
        "prompt": pl.String,
        "text": pl.String,
        "answer": pl.String,
    }
)
REVIEWS = pl.Schema([("corpus", pl.String()), *COUNTS.items()])


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that a report contains."""

    study: Study
    runs: pl.DataFrame
    """Columns as in `crosslift.scores.RUNS`."""
    scores: pl.DataFrame
    """Columns as in `crosslift.scores.SCORES`."""
    estimates: pl.DataFrame
    """Columns as in `transfer.estimates.estimate.ESTIMATES`."""
    manifests: dict[str, dict[str, Any]]
    """Mixture -> its manifest."""
    lock: dict[str, Any]
    """"corpora": {name: revision, licence, fingerprint}, "models": {name: num_parameters, ...}."""
    training: pl.DataFrame
    """Columns as in `training.trainer.METRICS`, with `run` as the first column."""
    provenance: dict[str, dict[str, Any]]
    """Run -> its provenance."""
    samples: pl.DataFrame
    """Columns as in SAMPLES."""
    primary_metrics: dict[str, str]
    """Evaluation -> primary metric."""
    level: float = 0.95
    """Coverage of the intervals."""
    failure_hints: list[FailureHint] = field(default_factory=list)
    """Why answers could not be scored, per evaluation."""
    findings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"corpus": pl.String, **FINDINGS}))
    """Findings of the corpus checks, columns as in `corpora.findings.FINDINGS` with `corpus` as the first column."""
    reviews: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REVIEWS))
    """Reviews of corpora that were translated or completed, columns as in REVIEWS."""
    exploration: tuple[Entry, ...] = ()
    """The journal of `crosslift explore`."""

    @cached_property
    def languages(self) -> tuple[Language, ...]:
        """Evaluation languages: English, then high-resource, then low-resource ones, each by name."""
        found = [language(tag) for tag in self.scores["language"].unique()]
        return tuple(sorted(found, key=lambda one: (one.tag != ENGLISH, one.resource != "high", one.name)))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Models in the order of the study."""
        return tuple(self.runs["model"].unique(maintain_order=True))

    @cached_property
    def mixtures(self) -> tuple[str, ...]:
        """Mixtures in the order of the study, "base" first."""
        return tuple(self.runs["mixture"].unique(maintain_order=True))

    @cached_property
    def evaluations(self) -> dict[str, str]:
        """Evaluation with scores -> its task, in the order of the study."""
        tasks = dict(self.scores.select("evaluation", "task").unique(maintain_order=True).iter_rows())
        return {name: tasks[name] for name in [*self.study.evaluations, *tasks] if name in tasks}

    def metric(self, evaluation: str) -> str:
        """The primary metric of an evaluation."""
        return self.primary_metrics[evaluation]

    @cached_property
    def primary(self) -> pl.DataFrame:
        """Estimates in the primary metric of their evaluation; models and mixtures in the order of the study."""
        rows = scores_of(self.estimates, self.primary_metrics)
        model = pl.col("model").replace_strict(_places(self.models), return_dtype=pl.Int64)
        mixture = pl.col("mixture").replace_strict(_places(self.mixtures), default=-1, return_dtype=pl.Int64)
        return rows.sort(model, mixture, maintain_order=True)

    @cached_property
    def cells(self) -> Cells:
        """Every condition in every language with resampled means, see `transfer.grid.cells`."""
        return cells(self.scores, self.runs, self.primary_metrics, level=self.level)

    @cached_property
    def variance(self) -> pl.DataFrame:
        """Variance components of single answers, see `transfer.variance.components`."""
        return variance_components(scores_of(self.scores, self.primary_metrics), self.runs)

    @cached_property
    def grid_mixtures(self) -> tuple[str, ...]:
        """The mixtures of the study's main grid, and "base". Figures of the whole design omit additional arms, which
        have other research questions."""
        return (*self.study.blocks[0].mixtures, "base") if self.study.blocks else self.mixtures

    @cached_property
    def finished(self) -> pl.DataFrame:
        """Runs with at least one score."""
        return self.runs.filter(pl.col("run").is_in(self.scores["run"].unique().implode()))


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def collect(store: Store, study: Study) -> ReportData:
    """Read the input of a report from the folder of a study; results of unfinished runs are missing.

    Raises:
        StoreError: the study has not been prepared.
        TransferError: the scores are inconsistent, see `transfer.estimates.panel.panels`.
    """
    runs, scores = store.runs(), store.scores()
    scored = scores.select("evaluation", "task", "metric").unique().sort("evaluation", "task", "metric")
    primary = primary_metrics(study.evaluations, scored.iter_rows())
    metrics = {}
    for run in runs.filter(pl.col("mixture") != "base")["run"]:
        try:
            metrics[run] = store.training_metrics(run)
        except StoreError:  # not trained yet; the report lists the missing runs
            continue
    training = pl.concat(
        [frame.select(pl.lit(run).alias("run"), pl.all()) for run, frame in metrics.items()] or [_NONE]
    )
    return ReportData(
        study=study,
        runs=runs,
        scores=scores,
        estimates=estimate(scores, runs, study.contrasts, primary_metrics=primary),
        manifests=store.manifests(),
        lock=store.lock(),
        training=training,
        provenance={run: store.provenance(run) for run in runs["run"]},
        samples=_samples(store, runs, scores, primary),
        primary_metrics=primary,
        failure_hints=failure_hints(store, scores),
        findings=_findings(store, study),
        reviews=reviews_of(study.corpora),
        exploration=tuple(read_entries(store)),
    )


def reviews_of(corpora: Mapping[str, Source]) -> pl.DataFrame:
    """Read the reviews of corpora as they are now: verdicts may come after a corpus was prepared, and do not change it.

    Args:
        corpora: name -> specification of the corpus.

    Returns:
        Columns as in REVIEWS, for languages of the corpora.
    """
    parts = [
        reviews_beside(source.path)
        .select(pl.lit(name).alias("corpus"), pl.all())
        .filter(pl.col("language").is_in(source.languages))
        for name, source in corpora.items()
    ]
    return pl.concat([pl.DataFrame(schema=REVIEWS), *parts])


def _findings(store: Store, study: Study) -> pl.DataFrame:
    parts = ((name, store.findings(name)) for name in study.corpora)
    return pl.concat(
        [
            pl.DataFrame(schema={"corpus": pl.String, **FINDINGS}),
            *(found.select(pl.lit(name).alias("corpus"), *found.columns) for name, found in parts),
        ]
    )


_NONE = pl.DataFrame(
    schema={"run": pl.String, "step": pl.Int64, "epoch": pl.Float64, "split": pl.String, "language": pl.String}
    | {"task": pl.String, "num_tokens": pl.Int64, "loss": pl.Float64, "bits_per_byte": pl.Float64}
    | {"score": pl.Float64, "learning_rate": pl.Float64}
)


def _samples(store: Store, runs: pl.DataFrame, scores: pl.DataFrame, primary_metrics: dict[str, str]) -> pl.DataFrame:
    """The first answer of each kind, by sample, of the first seed of every condition, for MAX_SAMPLED_CELLS cells."""
    first = runs.unique(["model", "mixture"], keep="first", maintain_order=True)["run"]
    highest = {metric: metric_range(metric)[1] for metric in primary_metrics.values()}
    best = pl.col("metric").replace_strict(highest, return_dtype=pl.Float64)
    kind = (
        pl.when(pl.col("status") != "scored")
        .then("status")
        .when(pl.col("value") >= best)
        .then(pl.lit("correct"))
        .otherwise(pl.lit("wrong"))
    )
    order = pl.col("kind").replace_strict(_places(SAMPLE_KINDS), return_dtype=pl.Int8)
    chosen = (
        scores_of(scores, primary_metrics)
        .filter(pl.col("run").is_in(first.implode()) & (pl.col("status") != "error"))
        .with_columns(kind=kind)
        .sort("sample_id")
        .unique(["run", "evaluation", "language", "kind"], keep="first", maintain_order=True)
        .sort("run", "evaluation", "language", order)
    )
    position = _places(first)
    cells = sorted(
        chosen.select("run", "evaluation", "language").unique().iter_rows(),
        key=lambda cell: (position[cell[0]], cell[1:]),
    )
    tables = [pl.DataFrame(schema=SAMPLES)]
    for run, evaluation, tag in cells[:MAX_SAMPLED_CELLS]:
        rows = chosen.filter(run=run, evaluation=evaluation, language=tag)
        predictions = store.predictions(run, evaluation, tag).select("sample_id", "prompt", "text", "answer")
        tables.append(
            rows.join(predictions, on="sample_id", how="inner", maintain_order="left").select(SAMPLES.names())
        )
    return pl.concat(tables)
