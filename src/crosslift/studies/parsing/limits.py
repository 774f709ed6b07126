"""Limits on numeric values, such as a learning rate of 1e308, 10^12 examples per batch or 400,000 runs.

Such values are finite and of the right type, so without these limits they would only fail later, when a run diverges,
memory is exhausted or `prepare` has run for hours. The limits lie far outside the range used in practice.
"""

from __future__ import annotations

from typing import Any

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.tables import Tables

MAX_RUNS = 20_000
"""Up to this number of runs, `check` and `plan` finish within seconds."""
MAX_EXAMPLES = 10**8
"""Examples of one mixture with `repeat = true`; without repetition, the size of the corpus is the limit."""

TRAINING: dict[str, tuple[float, float]] = {
    "epochs": (1e-6, 1e5),
    "steps": (1, 10**8),
    "learning_rate": (1e-12, 1e3),
    "weight_decay": (0, 1e3),
    "max_grad_norm": (1e-12, 1e30),
    "batch_examples": (1, 10**7),
    "batch_tokens": (1, 10**9),
    "max_length": (1, 10**8),
    "micro_batch_tokens": (1, 10**9),
    "validate_every": (1e-6, 1e5),
    "validate_every_steps": (1, 10**8),
}
"""Key under [training] -> smallest and largest permitted value."""
LORA: dict[str, tuple[float, float]] = {"rank": (1, 10**5), "alpha": (1, 10**6)}
MAX_TOKENS = 10**7
"""Generated tokens per answer."""


def check_limits(tables: Tables, problems: Problems) -> None:
    """Record values outside their limits, and a grid with more than `MAX_RUNS` runs."""
    if tables.training is not None:
        _bounds("training", tables.training, TRAINING, problems)
        if tables.training.lora is not None:
            _bounds("training.lora", tables.training.lora, LORA, problems)
    for name, evaluation in tables.evaluations.items():
        if evaluation is not None:
            _bounds(f"evaluations.{name}", evaluation, {"max_tokens": (1, MAX_TOKENS)}, problems)
    for kind, place in ((tables.mixtures, "mixtures"), (tables.families, "families")):
        for name, table in kind.items():
            for mixture in tables.expanded.get(name, ()) if table is not None and table.repeat else ():
                if mixture.unit == "items" and _num_examples(mixture) > MAX_EXAMPLES:
                    problems.add(f"{place}.{name}", f"requires more than {MAX_EXAMPLES:,} examples. Lower it.")
                    break
    _runs(tables, problems)


def _num_examples(mixture: Mixture) -> int:
    if mixture.budget is None:
        return sum(amount for part in mixture.components for amount in (part.counts or {}).values())
    return mixture.budget.amount * (len(mixture.languages) if mixture.budget.per == "language" else 1)


def _bounds(place: str, table: Any, limits: dict[str, tuple[float, float]], problems: Problems) -> None:
    for key, (smallest, largest) in limits.items():
        value = getattr(table, key)
        if value is not None and not smallest <= value <= largest:
            problems.add(f"{place}.{key}", f"is {value:g} and must be between {smallest:g} and {largest:g}. Change it.")


def _runs(tables: Tables, problems: Problems) -> None:
    """Check the number of runs (models x mixtures x seeds) of the grid and all arms, including disabled arms."""
    if tables.grid is None:
        return
    total = 0
    for arm in (tables.grid, *tables.arms.values()):
        if arm is None:
            continue
        names = arm.mixtures or tables.grid_mixtures()
        mixtures = sum(len(tables.expanded.get(name, (None,))) for name in names)
        total += len(arm.models or tables.grid.models or tables.models) * mixtures * len(arm.seeds or tables.grid.seeds)
    if total > MAX_RUNS:
        problems.add("grid", f"defines {total:,} runs; the limit is {MAX_RUNS:,}. Remove seeds, mixtures or models.")
