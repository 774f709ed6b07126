"""The results of one study, or of one definition of a study, as input of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from crosslift.errors import StoreError
from crosslift.execution.definitions.records import study_settings
from crosslift.execution.folder.tables import read_step_table
from crosslift.studies.evaluation import primary_metric, primary_metrics
from crosslift.studies.study import Study

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store

CELLS = pl.Schema(
    {
        "run": pl.String,
        "model": pl.String,
        "mixture": pl.String,
        "seed": pl.Int64,
        "evaluation": pl.String,
        "language": pl.String,
    }
)
"""One row per run, evaluation and language that a study asks for, finished or not."""


@dataclass(frozen=True, kw_only=True)
class ResultSet:
    """A study whose results are compared or pooled. Nothing of it is written."""

    label: str
    """Name of the folder, with the number of the definition: `study@2`. Unique among the studies of a comparison."""
    study: Study
    store: Store
    study_file: Path
    """The study file of the results."""
    runs: pl.DataFrame
    """Columns as in `crosslift.scores.RUNS`."""
    scores: pl.DataFrame
    """Columns as in `crosslift.scores.SCORES`."""
    lock: dict[str, Any]
    """Content of lock.json."""

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Mixture -> its manifest; damaged ones are missing."""
        return self.store.manifests()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Content of the study file, without the names of corpora's licences or other derived values."""
        return study_settings(self.study_file)

    @cached_property
    def cells(self) -> pl.DataFrame:
        """The cells that the study asks for; columns as in CELLS."""
        factors = {row["run"]: row for row in self.runs.iter_rows(named=True)}
        rows = [
            [run, *(factors[run][name] for name in ("model", "mixture", "seed")), evaluation, tag]
            for run, record in self.lock["runs"].items()
            for evaluation, tags in record["evaluations"].items()
            for tag in tags
        ]
        return pl.DataFrame(rows, schema=CELLS, orient="row")

    @cached_property
    def primary_metrics(self) -> dict[str, str]:
        """Evaluation -> primary metric."""
        scored = self.scores.select("evaluation", "task", "metric").unique().sort("evaluation", "task", "metric")
        none = {name: primary_metric(one, one.task, ()) for name, one in self.study.evaluations.items()}
        return none | primary_metrics(self.study.evaluations, scored.iter_rows())

    def task(self, evaluation: str) -> str:
        """Return the task of an evaluation."""
        return self.study.evaluations[evaluation].task

    def metric(self, evaluation: str) -> str:
        """Return the primary metric of an evaluation."""
        return self.primary_metrics[evaluation]

    def corpus_fingerprint(self, evaluation: str) -> str:
        """Return the fingerprint of the content of an evaluation's corpus; of joined corpora, all of them."""
        corpora = self.study.evaluations[evaluation].corpora
        return "+".join(str(self.lock["corpora"][name]["fingerprint"]) for name in corpora)

    def test_items(self, evaluation: str) -> pl.DataFrame | None:
        """Read what the items of an evaluation ask.

        Args:
            evaluation: name of the evaluation.

        Returns:
            language, item_id, content (prompt and gold answer as text); None if the prepared corpus is missing or
            damaged.
        """
        corpora = self.study.evaluations[evaluation].corpora
        try:
            rows = pl.concat(read_step_table(self.store.corpus_folder(name), "rows.parquet") for name in corpora)
        except StoreError:
            return None
        said = pl.col("messages").list.eval(
            pl.format("{}: {}", pl.element().struct.field("role"), pl.element().struct.field("content"))
        )
        content = pl.concat_str(said.list.join("\x1e"), pl.col("answer").fill_null(""), separator="\x1f")
        return rows.select("language", "item_id", content=content)


def read_result_set(study: Study, store: Store, *, label: str, study_file: Path) -> ResultSet:
    """Read the results of a study.

    Args:
        study: the study, as in its study file.
        store: its folder.
        label: its name in the comparison.
        study_file: the study file of the results.

    Returns:
        The results.

    Raises:
        StoreError: the study has not been prepared, or nothing has been evaluated.
    """
    found = ResultSet(
        label=label,
        study=study,
        store=store,
        study_file=study_file,
        runs=store.runs(),
        scores=store.scores(),
        lock=store.lock(),
    )
    if found.scores.is_empty():
        raise StoreError(f"nothing of {label} has been evaluated yet. Run: crosslift run {store.folder}")
    return found


def unique_labels(names: Sequence[str]) -> list[str]:
    """Number equal names: `study`, `study (2)`."""
    return [
        name if name not in names[:place] else f"{name} ({1 + names[:place].count(name)})"
        for place, name in enumerate(names)
    ]
