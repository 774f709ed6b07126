"""A project of a user, which mypy checks in strict mode and tests execute on a finished study."""

# ruff: noqa: T201 - a script prints

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

import crosslift
from crosslift import Budget, Component, CrossliftError, Mixture, Study


def share_correct(study: Study) -> dict[str, float]:
    """Run -> mean accuracy over all languages."""
    scores: pl.DataFrame = study.scores()
    means = scores.filter(pl.col("metric") == "accuracy").group_by("run").agg(pl.col("value").mean())
    return {str(run): float(value) for run, value in means.iter_rows()}


def missing(study: Study) -> list[str]:
    """Names of the runs that are not done."""
    return [name for name, status in study.status().items() if status.what != "done"]


def drawn(tags: list[str]) -> pl.DataFrame:
    """A mixture of pocket problems with equal shares."""
    checked = crosslift.read_corpus("pocket", languages=tags, max_items=20, name="math")
    component = Component(corpus="math", shares=dict.fromkeys(tags, 1 / len(tags)))
    mixture = Mixture(name="mine", components=(component,), budget=Budget(amount=10), pairing="shared")
    return crosslift.draw_mixture(mixture, [checked.corpus]).rows()


def main(folder: Path) -> int:
    """Print what a report would be made of."""
    try:
        study = crosslift.open_study(folder)
        lines: list[str] = []
        study.check(progress=lines.append)
        results = study.results()
        advice = study.recommend(budget=100, objective="worst", num_next_runs=0)
    except CrossliftError as error:
        print(error)
        return 2
    amounts = {} if advice.recommendation is None else advice.recommendation.amounts
    print(study.plan().num_steps, share_correct(study), missing(study), sorted(amounts))
    print(results.contrasts.height, list(results.figures()), results.tables().keys(), results.conclusions)
    print(drawn(["en", "sw"]).height, crosslift.score("math", "42", "42", "en").values["accuracy"])
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
