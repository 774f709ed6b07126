"""A made-up grid of runs with known truth: every cell has a probability, and an item is solved where that exceeds its
difficulty. Cells then share their items exactly, and a difference of cells is the difference of their probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from crosslift.scores import RUNS, SCORES
from crosslift.transfer.grid.cells import Cells, cells

CORE = ("en", "es", "ja", "bn", "sw")
EVALUATED = (*CORE, "te")
COVERAGE = (
    ("en",),
    *(("en", tag) for tag in CORE[1:]),
    *(tuple(other for other in CORE if other != tag) for tag in CORE),
    CORE,
)


@dataclass(frozen=True)
class Made:
    model: str
    mixture: str
    family: str
    setting: str
    languages: tuple[str, ...]
    dose: int | None = None
    seed: int = 0


def coverage_runs(models: Sequence[str] = ("a-s", "a-l")) -> list[Made]:
    base = [Made(model, "base", "", "", ()) for model in models]
    return base + [
        Made(model, f"coverage-{'-'.join(tags)}", "coverage", "math", tags) for model in models for tags in COVERAGE
    ]


def dose_runs(
    tags: Sequence[str],
    doses: Sequence[int],
    *,
    family: str = "dose",
    setting: str = "math",
    models: Sequence[str] = ("a-s",),
) -> list[Made]:
    return [
        Made(model, f"{family}-{setting}-{dose}", family, setting, ("en", *tags) if dose else ("en",), dose)
        for model in models
        for dose in doses
    ]


def make(
    runs: Sequence[Made],
    probability: Callable[[Made, str, str], float],
    *,
    evaluated: Sequence[str] = EVALUATED,
    tasks: Sequence[str] = ("math",),
    num_items: int = 200,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scores and runs; `probability(run, task, language)`."""
    difficulty = (np.arange(num_items) + 0.5) / num_items
    scores, facts = [], []
    for run in runs:
        name = f"{run.model}.{run.mixture}.s{run.seed}"
        facts.append(
            {
                "run": name, "model": run.model, "mixture": run.mixture, "family": run.family, "setting": run.setting,
                "seed": run.seed, "num_parameters": 1_000_000 if run.model.endswith("s") else 10_000_000,
                "languages": list(run.languages), "num_items": [], "num_tokens": [], "dose": run.dose,
            }
        )  # fmt: skip
        for task in [task for task in tasks if not run.setting or task in run.setting.split("+")]:
            for tag in evaluated:
                solved = (difficulty < probability(run, task, tag)).astype(float)
                items = [f"{task}-{number}" for number in range(num_items)]
                scores.append(
                    pl.DataFrame({"item_id": items, "value": solved}).select(
                        run=pl.lit(name), evaluation=pl.lit(task), task=pl.lit(task), language=pl.lit(tag),
                        sample_id=pl.col("item_id") + f".{tag}", item_id="item_id", cluster="item_id",
                        metric=pl.lit("accuracy"), value="value", status=pl.lit("scored"),
                    )
                )  # fmt: skip
    return pl.concat(scores).cast(SCORES), pl.DataFrame(facts, schema=RUNS)


def cells_of(*given: object, tasks: Sequence[str] = ("math",), **more: object) -> Cells:
    scores, runs = make(*given, tasks=tasks, **more)  # type: ignore[arg-type]
    return cells(scores, runs, dict.fromkeys(tasks, "accuracy"), num_resamples=200)
