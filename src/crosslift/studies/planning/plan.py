"""Planning: runs, cost, statistical power and confounds of a study, before any run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crosslift.fingerprint import fingerprint
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.problems import some
from crosslift.studies.planning.confounds import confounds
from crosslift.studies.planning.designs import compositions, notes
from crosslift.studies.planning.token_estimate import TokenEstimate
from crosslift.studies.planning.volume import checkpoint_bytes, training_flops
from crosslift.studies.run import Run
from crosslift.studies.study import Block, Study
from crosslift.training.trainer import num_steps
from crosslift.transfer.design.power import Design, detectable_after_doubling, detectable_run_difference


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """The cost of one run. Values that are unknown before `crosslift prepare` are None."""

    name: str
    num_examples: int | None
    """Examples per epoch; 0 for base models."""
    num_tokens: int | None
    """Tokens per epoch, with the run's own tokenizer."""
    tokens_are_estimated: bool = False
    """Whether `num_tokens`, and steps that follow from it, come from a `TokenEstimate`."""
    num_steps: int | None
    evaluations: tuple[str, ...]
    """`<evaluation>.<language>`, one step each."""
    checkpoint_bytes: int | None
    tasks: tuple[str, ...] = ()
    num_languages: int = 0
    """Languages in the training data; 0 for base models."""
    flops: float | None = None
    """Floating-point operations of training."""


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    name: str
    enabled: bool
    num_runs: int
    """Runs that are neither in the grid nor in an earlier enabled arm."""
    separates: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    runs: tuple[PlannedRun, ...]
    arms: tuple[PlannedArm, ...]
    same: dict[str, str]
    """Run -> earlier run with an identical training, which is computed once."""
    differences: dict[str, float | None]
    """Evaluation -> smallest detectable difference between two runs in one language; None if the number of items is
    unknown."""
    buys: dict[str, dict[str, float]]
    """Evaluation -> design (as planned, and with each quantity doubled) -> smallest detectable difference between two
    mixtures, mean over languages, with the runs of one model. Evaluations of unknown size are omitted."""
    warnings: tuple[str, ...]
    """Confounds of the design."""
    notes: tuple[str, ...] = ()
    """What readers must know about families that are designs, and about stages."""
    compositions: dict[str, str] = field(default_factory=dict)
    """Mixture -> shares of its languages, for mixtures whose name does not state them."""

    @property
    def num_evaluations(self) -> int:
        """Number of evaluation steps of all runs."""
        return sum(len(run.evaluations) for run in self.runs)

    @property
    def num_steps(self) -> int | None:
        """Optimiser steps of all runs; None if unknown for any run."""
        return _total([run.num_steps for run in self.runs])

    @property
    def flops(self) -> float | None:
        """Floating-point operations of training of all runs; None if unknown for any run."""
        known = [run.flops for run in self.runs if run.flops is not None]
        return sum(known) if len(known) == len(self.runs) else None

    @property
    def steps_by_languages(self) -> dict[str, dict[int, tuple[int, ...]]]:
        """Tasks -> number of training languages -> distinct numbers of optimiser steps."""
        found: dict[str, dict[int, set[int]]] = {}
        for run in self.runs:
            if run.tasks and run.num_steps is not None:
                row = found.setdefault(" + ".join(run.tasks), {})
                row.setdefault(run.num_languages, set()).add(run.num_steps)
        return {task: {n: tuple(sorted(steps)) for n, steps in sorted(row.items())} for task, row in found.items()}

    @property
    def disk_bytes(self) -> int | None:
        """Bytes of the checkpoints of all runs; predictions and scores are negligible in comparison."""
        return _total([run.checkpoint_bytes for run in self.runs])


def plan(
    study: Study,
    *,
    manifests: Mapping[str, Mapping[str, Any]] | None = None,
    num_items: Mapping[str, int] | None = None,
    estimate: TokenEstimate | None = None,
) -> Plan:
    """Plan a study.

    Args:
        study: The study.
        manifests: Mixture -> manifest, for prepared mixtures. Without a manifest, the number of tokens is unknown
            (None), and so is the number of examples if the budget is in tokens or bytes.
        num_items: Corpus -> number of items, for corpora that have been read; `max_items` is used for the others.
        estimate: Estimated tokens of mixtures without a manifest.

    Returns:
        The plan: runs, arms, detectable differences and warnings.
    """
    manifests = manifests or {}
    items = {name: source.max_items for name, source in study.corpora.items()} | dict(num_items or {})
    return Plan(
        runs=tuple(_runs(study, manifests, estimate)),
        arms=tuple(_arms(study)),
        same=_same(study),
        differences={
            one.name: None if (number := items[one.corpus]) is None else detectable_run_difference(number)
            for one in study.evaluations.values()
        },
        buys={
            one.name: detectable_after_doubling(
                Design(num_items=number, num_languages=len(one.languages), num_seeds=len(study.seeds))
            )
            for one in study.evaluations.values()
            if (number := items[one.corpus]) is not None
        },
        warnings=(*confounds(study), *_waiting(study)),
        notes=notes(study),
        compositions=compositions(study),
    )


def _runs(
    study: Study, manifests: Mapping[str, Mapping[str, Any]], estimate: TokenEstimate | None
) -> Iterator[PlannedRun]:
    """Plan every run; those that differ in their seed cost the same."""
    found: dict[tuple[str, str], PlannedRun] = {}
    for run in study.runs():
        key = run.model.name, run.mixture.name if run.mixture is not None else ""
        if key not in found:
            found[key] = _run(study, run, manifests, estimate)
        yield replace(found[key], name=run.name)


def _same(study: Study) -> dict[str, str]:
    first: dict[tuple[str, int], str] = {}
    found: dict[str, str] = {}
    identities: dict[tuple[str, str], str] = {}
    for run in study.runs():
        if run.mixture is not None:
            pair = run.model.name, run.mixture.name
            if pair not in identities:
                identities[pair] = fingerprint(study.identity_of(replace(run, seed=0)))
            key = identities[pair], run.seed
            if first.setdefault(key, run.name) != run.name:
                found[run.name] = first[key]
    return found


def _arms(study: Study) -> Iterator[PlannedArm]:
    there = {run.name for run in study.runs_of(study.blocks[0])}
    for arm in study.blocks[1:]:
        names = _names(arm)
        yield PlannedArm(name=arm.name, enabled=arm.enabled, num_runs=len(names - there), separates=arm.separates)
        if arm.enabled:
            there |= names


def _names(block: Block) -> set[str]:
    """Return the names of the block's runs, also if the block is disabled."""
    trained = {f"{m}.{mixture}.s{seed}" for m in block.models for mixture in block.mixtures for seed in block.seeds}
    return trained | ({f"{m}.base" for m in block.models} if block.base else set())


def _waiting(study: Study) -> tuple[str, ...]:
    if not study.inactive:
        return ()
    names = some([f"'{name}'" for name in study.inactive])
    return (f"contrasts {names}: require a disabled arm and are not estimated.",)


def _run(
    study: Study, run: Run, manifests: Mapping[str, Mapping[str, Any]], estimate: TokenEstimate | None
) -> PlannedRun:
    evaluations = tuple(f"{one.name}.{tag}" for one in study.evaluations_of(run) for tag in one.languages)
    if run.mixture is None:
        return PlannedRun(
            name=run.name,
            num_examples=0,
            num_tokens=0,
            num_steps=0,
            evaluations=evaluations,
            checkpoint_bytes=0,
            flops=0.0,
        )
    manifest = manifests.get(run.mixture.name)
    examples = num_examples(run.mixture) if manifest is None else int(manifest["num_examples"])
    tokens = None
    if manifest is not None and run.model.name in manifest["tokens"]:
        tokens = sum(sum(parts.values()) for parts in manifest["tokens"][run.model.name].values())
    estimated = tokens is None and estimate is not None
    if tokens is None and estimate is not None:
        tokens = estimate.tokens(run.mixture, run.model.name)
    config = study.training
    steps = config.steps
    if steps is None and examples is not None and (config.batch_tokens is None or tokens is not None):
        steps = num_steps(examples, config, num_tokens=tokens)
    flops = None
    if examples is not None and steps is not None:
        flops = training_flops(study, run.model, examples=examples, tokens=tokens, steps=steps)
    return PlannedRun(
        tasks=study.tasks_of(run.mixture),
        num_languages=len(run.mixture.languages),
        flops=flops,
        name=run.name,
        num_examples=examples,
        num_tokens=tokens,
        tokens_are_estimated=estimated and tokens is not None,
        num_steps=steps,
        evaluations=evaluations,
        checkpoint_bytes=checkpoint_bytes(study, run.model),
    )


def num_examples(mixture: Mixture) -> int | None:
    """Return the number of examples of a mixture with a budget in items; None for budgets in tokens or bytes."""
    return sum(mixture.amounts().values()) if mixture.unit == "items" else None


def _total(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
