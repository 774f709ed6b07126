"""What steps with a recipe share: it is shipped or lies beside data.toml, and says where its source is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from crosslift.data_steps.step import Step
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems

Recipe = TypeVar("Recipe")


@dataclass(frozen=True, kw_only=True)
class Recipes(Generic[Recipe]):
    """The recipes of a kind of step, whose table has the keys `recipe` and `path`."""

    names: Callable[[], tuple[str, ...]]
    """Returns the names of the shipped recipes."""
    load: Callable[..., Recipe]
    """Loads a recipe: `load(file or name, data=path of the source or None)`."""
    limited: Callable[[Recipe, Step, int | None], Recipe]
    """Returns the recipe of a step, limited to a number of items."""

    def of(self, step: Step, max_items: int | None = None) -> Recipe:
        """Load the recipe of a step.

        Args:
            step: the step.
            max_items: number of items to which every step is limited; None for all.

        Raises:
            StudyError: the recipe is invalid.
        """
        written = step.table.recipe
        recipe = self.load(
            Path(written) if written in self.names() else step.path(written),
            data=None if step.table.path is None else step.path(step.table.path),
        )
        return self.limited(recipe, step, max_items)

    def check(self, step: Step, problems: Problems) -> None:
        """Add the problems of the recipe."""
        try:
            self.of(step)
        except StudyError as error:
            problems.add(f"steps.{step.name}.recipe", str(error))

    def inputs(self, step: Step) -> tuple[Path, ...]:
        """The source, if it is on this machine."""
        recipe: Any = self.of(step)
        path = recipe.source.path
        return () if path is None or not path.exists() else (path,)

    def identity(self, step: Step, data_seed: int) -> Any:
        """The recipe, and where the source is, as written."""
        recipe: Any = self.of(step)
        return [replace(recipe, source=replace(recipe.source, path=None)), step.table.path]


def site_file(site: Path | None, *, service: str, names: str) -> Path:
    """Return the site file, which must exist.

    Args:
        site: the site file; None if there is none.
        service: its table with the model.
        names: what the table names.

    Raises:
        StudyError: there is none.
    """
    if site is None:
        raise StudyError(
            [f"there is no site.toml, which names the {names}: [{service}] base_url, model. Write it, or name one."]
        )
    return site
