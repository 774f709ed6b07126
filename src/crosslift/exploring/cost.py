"""Hours of workers: what runs have taken, and what further ones are expected to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.studies.planning.volume import TOKENS_PER_EXAMPLE, gpu_hours, training_flops
from crosslift.training.trainer import num_steps
from crosslift.transfer.model.observations import Amounts

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """Expected hours of a run as a linear function of its amount, for one model."""

    per_run: float
    """Hours that do not depend on the amount: evaluation, and training if the number of steps is fixed."""
    per_unit: float
    """Hours of training per unit of the amount."""

    def hours(self, amounts: Amounts) -> float:
        """Expected hours of a run."""
        return self.per_run + self.per_unit * sum(amounts.values())


def measured_hours(store: Store, runs: Iterable[str]) -> float:
    """Hours that training and evaluation of runs took, as far as they are finished."""
    return sum(sum(_seconds(store, run)) for run in runs) / SECONDS_PER_HOUR


def run_cost(graph: StepGraph, model: str, amounts: Mapping[str, Amounts], *, unit: str) -> RunCost:
    """Estimate the hours of a run.

    Measured times of the model's finished runs are used if there are any; else the floating-point operations of
    training (`studies.planning.volume`), without evaluation, for the GPU that plans assume; 0 if the model's size is
    unknown.

    Args:
        graph: the steps of the study.
        model: name of the model.
        amounts: run of the model -> amounts of its mixture.
        unit: unit of the amounts, items or tokens.
    """
    study = graph.study
    fixed = study.training.steps is not None
    measured = [(sum(one.values()), *_seconds(graph.store, run)) for run, one in amounts.items()]
    measured = [one for one in measured if one[1]]
    if measured:
        units, train, evaluate = (sum(column) for column in zip(*measured, strict=True))
        per_run = (evaluate + (train if fixed else 0.0)) / len(measured) / SECONDS_PER_HOUR
        return RunCost(per_run=per_run, per_unit=0.0 if fixed else train / units / SECONDS_PER_HOUR)
    largest = max(1, round(max((sum(one.values()) for one in amounts.values()), default=1.0)))
    examples = largest if unit == "items" else max(1, largest // TOKENS_PER_EXAMPLE)
    tokens = examples * TOKENS_PER_EXAMPLE if unit == "items" else largest
    steps = num_steps(examples, study.training, num_tokens=tokens)
    flops = training_flops(study, study.models[model], examples=examples, tokens=tokens, steps=steps)
    hours = 0.0 if flops is None else gpu_hours(flops)
    return RunCost(per_run=hours if fixed else 0.0, per_unit=0.0 if fixed else hours / largest)


def _seconds(store: Store, run: str) -> tuple[float, float]:
    """Seconds of training and of evaluation; 0 if not finished."""
    found = store.provenance(run)
    train, evaluate = found.get("train") or {}, found.get("evaluate") or {}
    return float(train.get("seconds") or 0.0), float(evaluate.get("seconds") or 0.0)
