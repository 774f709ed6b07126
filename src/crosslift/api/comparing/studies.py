"""Two studies compared, and several studies pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    import polars as pl

    from crosslift.api.results import StudyFigure
    from crosslift.comparing.paired.compare import Comparison
    from crosslift.comparing.pooled.pool import Pooled
    from crosslift.comparing.result_set import ResultSet
    from crosslift.reporting.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ComparedStudies:
    """Two studies, or two definitions of one, compared item by item. All differences are second minus first."""

    damage: tuple[str, ...]
    """Damaged files that were skipped while reading, one line each."""
    _found: Comparison
    _folder: Path

    @property
    def estimates(self) -> pl.DataFrame:
        """One row per estimate: part ("summary", "mixture" or "seed"), model, mixture, seed, evaluation, metric,
        languages, the scores first and second, value (second minus first) with low and high (shares), p, p_adjusted
        and verdict on the claim that the second study scores higher."""
        return self._found.estimates

    @property
    def differences(self) -> pl.DataFrame:
        """What differs beside the results, one row per field: part ("study file", "content" or "environment"), field,
        first and second (both values as text)."""
        return self._found.differences

    @property
    def left_out(self) -> pl.DataFrame:
        """What is not compared, one row per reason: kind, name, study, num_cells, num_items and reason."""
        return self._found.left_out

    @property
    def conclusions(self) -> tuple[str, ...]:
        """English sentences with the verdicts, as the command prints them."""
        from crosslift.comparing.paired.page import summary_lines

        return tuple(summary_lines(self._found))

    @user_errors()
    def figures(self) -> dict[str, StudyFigure]:
        """Build the forest plots: name -> figure."""
        from crosslift.comparing.paired.page import figures

        return _study_figures(figures(self._found))

    @user_errors()
    def write(self, folder: str | Path | None = None) -> Path:
        """Write the page, its tables (CSV and Parquet) and its figures.

        Args:
            folder: output folder; default: `comparison/` and the name of the second study in the report folder of the
                first.

        Returns:
            Path of the page.

        Raises:
            StoreError: the folder contains other files, or cannot be written.
        """
        from crosslift.comparing.paired.page import write_comparison

        return _write(Path(folder) if folder else self._folder, lambda place: write_comparison(place, self._found))


@user_errors()
def compare_studies(
    first: str | Path, second: str | Path, *, names: Mapping[str, str] | None = None
) -> ComparedStudies:
    """Compare two studies, or two definitions of one, on the cells that both have. Nothing is written.

    Args:
        first: folder of a study; `"study@1"` is its definition 1.
        second: folder of the other study.
        names: name of a model, mixture or evaluation in the first study -> its name in the second.

    Returns:
        `.estimates`, `.differences`, `.left_out`, `.conclusions`, `.figures()` and `.write()`.

    Raises:
        StudyError: a study file or a pair of names is invalid; all problems are listed.
        StoreError: a study has not been prepared or evaluated.
        TransferError: the studies have no cell in common; the message says why.
    """
    from crosslift.api.opening import open_result_sets
    from crosslift.comparing.name_map import name_map
    from crosslift.comparing.paired.compare import compare

    one, other = open_result_sets([Path(first), Path(second)])
    pairs = name_map([f"{left}={right}" for left, right in (names or {}).items()], one, [other])
    found = compare(one, other, pairs)
    return ComparedStudies(
        damage=tuple(line for side in (one, other) for line in side.store.damage_lines()),
        _found=found,
        _folder=one.store.report_folder / "comparison" / other.label,
    )


@dataclass(frozen=True, kw_only=True)
class PooledStudies:
    """Several studies pooled, with the study as a random effect (with two studies, a fixed one)."""

    damage: tuple[str, ...]
    """Damaged files that were skipped while reading, one line each."""
    _found: Pooled
    _sets: Sequence[ResultSet]

    @property
    def estimates(self) -> pl.DataFrame:
        """One row per pooled estimate: estimand, contrast, model, mixture, control, evaluation, metric, languages,
        num_studies, effect ("random" or "fixed"), value with low and high (shares or ratios), p, p_adjusted, between_sd
        (standard deviation between studies, in the same unit) with between_low and between_high, and verdict."""
        return self._found.estimates

    @property
    def by_study(self) -> pl.DataFrame:
        """The pooled estimates of each study by itself, one row each: study, weight, and the columns of
        `StudyResults.estimates` under the common names (shares or ratios)."""
        return self._found.by_study

    @property
    def identities(self) -> pl.DataFrame:
        """Which models and mixtures are the same, one row per study: kind, name, study, own_name, same ("content",
        "examples", "composition" or "name") and what."""
        return self._found.identities

    @property
    def left_out(self) -> pl.DataFrame:
        """What is not pooled, one row per reason: kind, name, study, num_cells and reason."""
        return self._found.left_out

    @property
    def conclusions(self) -> tuple[str, ...]:
        """English sentences with the verdicts, as the command prints them."""
        from crosslift.comparing.pooled.page import summary_lines

        return tuple(summary_lines(self._found))

    @user_errors()
    def figures(self) -> dict[str, StudyFigure]:
        """Build the forest plots: name -> figure."""
        from crosslift.comparing.pooled.page import figures

        return _study_figures(figures(self._found))

    @user_errors()
    def write(self, folder: str | Path) -> Path:
        """Write the page, its tables (CSV and Parquet) and its figures.

        Args:
            folder: output folder.

        Returns:
            Path of the page.

        Raises:
            StoreError: the folder contains other files, or cannot be written.
        """
        from crosslift.comparing.pooled.page import write_pooled

        return _write(Path(folder), lambda place: write_pooled(place, self._found, self._sets))


@user_errors()
def pool_studies(*studies: str | Path, names: Mapping[str, str] | None = None) -> PooledStudies:
    """Pool the estimates of several studies. Nothing is written.

    Args:
        studies: folders of at least two studies; `"study@1"` is definition 1. The first one gives the names.
        names: name of a model, mixture or evaluation in the first study -> its name in the others.

    Returns:
        `.estimates`, `.by_study`, `.identities`, `.left_out`, `.conclusions`, `.figures()` and `.write()`.

    Raises:
        StudyError: a study file or a pair of names is invalid, or there is one study only; all problems are listed.
        StoreError: a study has not been prepared or evaluated.
        TransferError: the studies have no estimate in common; the message says why.
    """
    from crosslift.api.opening import open_result_sets
    from crosslift.comparing.name_map import name_map
    from crosslift.comparing.pooled.pool import pool
    from crosslift.errors import StudyError

    if len(studies) < 2:
        raise StudyError("pooling needs at least two studies.")
    sets = open_result_sets([Path(one) for one in studies])
    pairs = name_map([f"{left}={right}" for left, right in (names or {}).items()], sets[0], sets[1:])
    return PooledStudies(
        damage=tuple(line for one in sets for line in one.store.damage_lines()), _found=pool(sets, pairs), _sets=sets
    )


def _study_figures(drawn: Sequence[Figure]) -> dict[str, StudyFigure]:
    from crosslift.api.results import StudyFigure

    return {
        one.name: StudyFigure(name=one.name, title=one.title, caption=one.caption, _figure=one)
        for one in drawn
        if one.chart is not None
    }


def _write(folder: Path, write: Callable[[Path], Path]) -> Path:
    """Write a page into a folder that is new, empty, or holds an earlier page of this kind."""
    from crosslift.errors import StoreError
    from crosslift.system.files import make_folder, remove_leftovers
    from crosslift.system.leases import waiting_lease

    is_page = (folder / "answers.csv").is_file() and (folder / "index.html").is_file()
    if folder.exists() and not is_page and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} exists and contains other files. Choose another folder with --output.")
    make_folder(folder)
    with waiting_lease(folder):
        remove_leftovers(folder, below=True)
        return write(folder)
