"""Numbers that no study means: a learning rate of 1e308, 10^12 examples in a batch, 400,000 runs.

Each is finite and of the right type, so nothing refuses it before a run has diverged, memory is used up, or `prepare`
has written for hours. The bounds are far outside of what is in use.
"""

from __future__ import annotations

from typing import Any

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.tables import Tables

MAX_RUNS = 20_000
"""`check` and `plan` answer in seconds up to here."""
MAX_EXAMPLES = 10**8
"""Of one mixture, where items may be repeated; without repetition the corpus is the limit."""

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
}
"""Key under [training] -> smallest and largest value."""
LORA: dict[str, tuple[float, float]] = {"rank": (1, 10**5), "alpha": (1, 10**6)}
MAX_TOKENS = 10**7
"""Of one answer."""


def check_limits(tables: Tables, problems: Problems) -> None:
    """Note numbers out of bounds, and a grid of more runs than can be looked after."""
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
                    problems.add(f"{place}.{name}", f"asks for more than {MAX_EXAMPLES:,} examples. Ask for fewer.")
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
            problems.add(
                f"{place}.{key}", f"is {value:g} and must lie between {smallest:g} and {largest:g}. Change it."
            )


def _runs(tables: Tables, problems: Problems) -> None:
    """Count models x mixtures x seeds of the grid and of all arms, also of those that are not enabled."""
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
        problems.add(
            "grid", f"asks for {total:,} runs and may ask for {MAX_RUNS:,}. Take out seeds, mixtures or models."
        )
