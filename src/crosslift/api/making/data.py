"""Data of a study that are made: their steps (data.toml), what they cost, and making them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.api.failures import user_errors
from crosslift.api.opening import site_file
from crosslift.api.running import nothing

if TYPE_CHECKING:
    from crosslift.data_steps.run import PlannedStep


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """The steps that make a study's data."""

    steps: tuple[PlannedStep, ...]
    """In their order, each with `.state`, `.expected`, `.cost` and `.hours`."""

    @property
    def asks(self) -> bool:
        """Whether requests are left that go to an endpoint, which may cost."""
        return any(one.asks for one in self.steps)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to make."""
        return all(one.is_done for one in self.steps)

    @property
    def cost(self) -> float | None:
        """Price of all requests that are left, in the currency of site.toml; None if one is not known."""
        costs = [one.cost for one in self.steps]
        return None if None in costs else sum(cost or 0.0 for cost in costs)

    def lines(self) -> list[str]:
        """One line per step, and one for all."""
        from crosslift.data_steps.run import total

        return [one.sentence() for one in self.steps] + ([total(list(self.steps))] if self.steps else [])


@user_errors()
def plan_data(
    folder: str | Path, *, site: str | Path | None = None, max_items: int | None = None, read_sources: bool = False
) -> DataPlan:
    """Say what the steps of a study's data need: requests, tokens, time and price.

    Args:
        folder: folder of the study, with data.toml.
        site: site file with endpoints and their prices; default: site.toml in the folder.
        max_items: limit every step to its first items.
        read_sources: read sources of the hub to measure them, which downloads them; otherwise the sizes in data.toml
            are used.

    Returns:
        The plan; without steps if the study has no data.toml.

    Raises:
        StudyError: study.toml or data.toml is invalid.
    """
    from crosslift.data_steps.load import has_steps
    from crosslift.data_steps.run import overview

    place = Path(folder)
    if not has_steps(place):
        return DataPlan(steps=())
    found = overview(
        place,
        site=_site(place, site),
        data_seed=_data_seed(place),
        max_items=max_items,
        reads=read_sources,
    )
    return DataPlan(steps=tuple(found))


@user_errors()
def make_data(
    folder: str | Path,
    *,
    site: str | Path | None = None,
    max_items: int | None = None,
    progress: Callable[[str], None] = nothing,
) -> DataPlan:
    """Make the data of a study by the steps of its data.toml. Steps that are done are not made again.

    Replies of endpoints are kept in journals, so that a repeated call continues an interrupted one and pays for no
    request twice.

    Args:
        folder: folder of the study, with data.toml.
        site: site file with the endpoints; default: site.toml in the folder.
        max_items: limit every step to its first items, to try the steps at little cost. Such data serve a rehearsal
            only; a call without a limit completes them.
        progress: receives lines of progress.

    Returns:
        The steps with their states.

    Raises:
        StudyError: study.toml, data.toml or the site file is invalid, or there is no data.toml.
        CorpusError: a source cannot be read.
        EndpointError: an endpoint rejects the requests.
    """
    from crosslift.data_steps.load import FILE, has_steps
    from crosslift.data_steps.run import make_steps
    from crosslift.errors import StudyError
    from crosslift.system.files import expect_folder

    place = Path(folder)
    expect_folder(place)
    if not has_steps(place):
        raise StudyError(
            [f"{place} has no {FILE}: its data are not made. Presets of scale full have one (docs/presets.md)."]
        )
    found = make_steps(place, site=_site(place, site), data_seed=_data_seed(place), max_items=max_items, say=progress)
    return DataPlan(steps=tuple(found))


def _site(folder: Path, site: str | Path | None) -> Path | None:
    return site_file(folder, None if site is None else Path(site))


def _data_seed(folder: Path) -> int:
    from crosslift.studies.parsing.load import load

    return load(folder, data="optional").data_seed
