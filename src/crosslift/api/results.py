"""The results of a study as tables and figures, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    import polars as pl

    from crosslift.reporting.data import ReportData
    from crosslift.reporting.figure import Figure


@dataclass(frozen=True, kw_only=True)
class StudyFigure:
    """A figure of the report. A notebook shows it as an interactive chart."""

    name: str
    """Name of the file in `report/figures`."""
    title: str
    caption: str
    """How to read the figure."""
    _figure: Figure

    @user_errors()
    def chart(self) -> Any:
        """Return the figure as an Altair chart with its data.

        Returns:
            An `altair.Chart`, or a layered, concatenated or faceted one. Its values are in points (hundredths) of the
            primary metric.

        Raises:
            MissingPackage: altair is not installed (extra `report`).
        """
        import altair

        chart = self._figure.chart.copy(deep=True)
        own = {name: table.to_dicts() for name, table in self._figure.datasets.items()}
        given = chart.datasets
        chart.datasets = own if given is altair.Undefined else {**given, **own}
        return chart

    def spec(self) -> dict[str, Any]:
        """Return the Vega-Lite specification with its data, as a dictionary of JSON types."""
        return self._figure.spec()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Return what a notebook displays; called by Jupyter."""
        return self.chart()._repr_mimebundle_(include, exclude)


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A snapshot of the results of a study. Unfinished runs are missing. Tables are polars data frames."""

    _data: ReportData

    @property
    def runs(self) -> pl.DataFrame:
        """All runs, one row each: run, model, mixture, family, setting, seed, num_parameters, and lists per training
        language of languages, num_items and num_tokens (per epoch); dose in items."""
        return self._data.runs

    @property
    def scores(self) -> pl.DataFrame:
        """One row per run, sample and metric: run, evaluation, task, language, sample_id, item_id, cluster, metric,
        value (a share in [0, 1]; null if status is "error") and status."""
        return self._data.scores

    @property
    def estimates(self) -> pl.DataFrame:
        """One row per estimate: estimand, contrast, model, mixture, control, evaluation, metric, languages, value with
        the limits low and high at `level` (shares, or differences of shares), p, p_adjusted, method and note."""
        return self._data.estimates

    @property
    def contrasts(self) -> pl.DataFrame:
        """The rows of `estimates` that belong to declared contrasts, in the primary metric of their task."""
        import polars as pl

        return self._data.primary.filter(pl.col("declared") != "")

    @property
    def training(self) -> pl.DataFrame:
        """Losses: run, step, epoch, split, language, task, num_tokens, loss (nats per completion token), bits_per_byte,
        score and learning_rate."""
        return self._data.training

    @property
    def findings(self) -> pl.DataFrame:
        """Findings of the checks of all corpora: corpus, check, severity, item_id, language and reason."""
        return self._data.findings

    @property
    def conclusions(self) -> tuple[str, ...]:
        """One English sentence per primary statement, as in the report."""
        from crosslift.reporting import sentences

        return tuple(f"{one.claim}: {one.finding}" for one in sentences.conclusions(self._data))

    @user_errors()
    def figures(self) -> dict[str, StudyFigure]:
        """Build the figures of the report.

        Returns:
            Name -> figure, in the order of the report; figures for which the study has no data are left out.

        Raises:
            MissingPackage: altair is not installed (extra `report`).
        """
        from crosslift.reporting.figures.registry import DESIGN_FIGURES, FIGURES
        from crosslift.reporting.papers.registry import PAPER_FIGURES

        made = [make(self._data) for make in (*FIGURES, *PAPER_FIGURES, *DESIGN_FIGURES)]
        return {
            one.name: StudyFigure(name=one.name, title=one.title, caption=one.caption, _figure=one)
            for one in made
            if one.chart is not None
        }

    @user_errors()
    def tables(self) -> dict[str, pl.DataFrame]:
        """Build the tables of the report.

        Returns:
            Name of the CSV file in `report/tables` -> table; tables that do not apply to the study are left out.
            Scores are shares.
        """
        from crosslift.reporting.papers.tables import PAPER_TABLES
        from crosslift.reporting.tables.frames import TABLES
        from crosslift.reporting.tables.units import own_units

        made = {make.__name__: make(self._data) for make in (*TABLES, own_units, *PAPER_TABLES)}
        return {name: table for name, table in made.items() if table.columns}
