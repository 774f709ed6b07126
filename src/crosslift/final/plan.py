"""What will be trained: the mixture at its full size, its examples, steps and estimated time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import StudyError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import fingerprint_of_inputs
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases import tokens
from crosslift.execution.phases.prepared_data import mixture_index
from crosslift.execution.phases.run_records import corpus_record
from crosslift.final.choice import Choice
from crosslift.final.size import sized_mixture
from crosslift.mixtures.draw import draw
from crosslift.mixtures.manifest import manifest
from crosslift.studies.planning.volume import gpu_hours, training_flops
from crosslift.studies.run import Run
from crosslift.training.trainer import num_steps


@dataclass(frozen=True, kw_only=True)
class FinalPlan:
    """Everything that determines the final model, before it is trained."""

    choice: Choice
    run: Run
    """Model, mixture at its size, and seed."""
    examples: pl.DataFrame
    """Columns as in `mixtures.draw.EXAMPLES`, in training order."""
    manifest: dict[str, Any]
    """Manifest of the mixture, as `mixtures.manifest.manifest` returns it."""
    inputs: dict[str, Any]
    """Everything that determines the weights, as the inputs of a training step."""
    num_steps: int
    num_tokens: int
    """Tokens of all forward passes of the training, prompts included."""
    seconds: float | None
    """Estimated time of the training; None if the size of the model is unknown."""
    time_basis: str
    """What the estimate is based on."""
    merge: bool
    """Whether the adapter is merged into full weights."""
    merge_reason: str
    """Why an adapter is merged that was not asked to be; a sentence, or empty."""
    notes: tuple[str, ...]
    """What limits the training data, as sentences."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the inputs: equal plans train equal weights."""
        return fingerprint_of_inputs(self.inputs)

    @property
    def items_by_language(self) -> dict[str, int]:
        """Language -> examples of one epoch."""
        counts = self.manifest["counts"]
        return {tag: sum(of.get(tag, 0) for of in counts.values()) for tag in self.manifest["languages"]}

    def lines(self) -> list[str]:
        """Describe what will be trained, for the terminal."""
        counts = ", ".join(f"{tag} {count:,}" for tag, count in self.items_by_language.items())
        time = "unknown" if self.seconds is None else f"about {duration(self.seconds)} ({self.time_basis})"
        return [
            f"{self.run.model.name}, mixture {self.choice.mixture.name}, seed {self.run.seed}: "
            f"{self.examples.height:,} examples of {self.manifest['num_items']:,} items",
            f"  items per language: {counts}",
            f"  {self.num_steps:,} steps, {self.num_tokens:,} tokens; time {time}",
            *(f"  {note}" for note in (*self.notes, self.merge_reason) if note),
        ]


def make_plan(
    graph: StepGraph, choice: Choice, *, seed: int = 0, num_items: int | None = None, merge: bool = False
) -> FinalPlan:
    """Draw the mixture at its full size and describe its training.

    Args:
        graph: the steps of the study, which must be prepared.
        choice: the mixture and the model.
        seed: training seed.
        num_items: examples in total; None for all that the corpora hold.
        merge: whether to merge an adapter into full weights.

    Returns:
        The plan. An adapter of a local base model is always merged, because it could not name its base model on another
        machine.

    Raises:
        MixtureError: the corpora hold too few items.
        StudyError: there is no adapter to merge.
    """
    study, model, config = graph.study, choice.model, graph.study.training
    if merge and config.method == "full":
        raise StudyError(
            'merge: the study trains all weights (training.method = "full"), so there is no adapter. Leave it out.'
        )
    rows = {name: read_step_table(graph.store.corpus_folder(name), "rows.parquet") for name in choice.mixture.corpora}
    indexes = {name: mixture_index(graph, choice.mixture, name, table) for name, table in rows.items()}
    # A dot, which names of the study file cannot contain: the run has the name of no run of the study.
    mixture = replace(
        sized_mixture(choice.mixture, indexes, data_seed=study.data_seed, num_items=num_items),
        name=f"{choice.mixture.name}.final",
    )
    run = Run(model=model, mixture=mixture, seed=seed)
    examples = draw(mixture, indexes, data_seed=study.data_seed)
    lengths = {name: tokens.read(graph.tokens_step(name, model.name).folder).lengths for name in mixture.corpora}
    described = manifest(
        replace(mixture, name=choice.mixture.name),
        examples,
        corpora={name: corpus_record(graph, name, origins=name in mixture.origins) for name in mixture.corpora},
        tokens={model.name: lengths},
        others={},
        data_seed=study.data_seed,
    )
    per_example = np.concatenate(
        [
            np.minimum(lengths[str(name)][part["row"].to_numpy()], config.max_length)
            for (name,), part in examples.group_by("corpus")
        ]
    )
    once = int(per_example.sum())
    steps = num_steps(len(per_example), config, num_tokens=once)
    epochs = config.epochs
    if epochs is None:
        seen = steps * config.batch_examples if config.batch_examples else steps * (config.batch_tokens or 0) / once
        epochs = seen / len(per_example) if config.batch_examples else seen
    num_tokens = round(epochs * once)
    notes = []
    if config.steps is not None:
        notes.append(
            f"training.steps = {config.steps} of the study is kept: {epochs:.2g} epochs. Set epochs instead to "
            "train on all examples."
        )
    limited = [name for name in mixture.corpora if study.corpora[name].max_items is not None]
    if limited:
        notes.append(f"max_items of the study limits the items of {', '.join(limited)}.")
    local = config.method == "lora" and graph.models[model.name].commit is None
    seconds, basis = _time(graph, run, num_tokens=num_tokens, num_examples=len(per_example), once=once, steps=steps)
    train = graph.steps(run).train
    assert train is not None
    return FinalPlan(
        choice=choice,
        run=run,
        examples=examples,
        manifest=described,
        inputs=dict(train.inputs),
        num_steps=steps,
        num_tokens=num_tokens,
        seconds=seconds,
        time_basis=basis,
        merge=merge or local,
        merge_reason="The adapter will be merged: its base model is a local folder." if local and not merge else "",
        notes=tuple(notes),
    )


def _time(
    graph: StepGraph, run: Run, *, num_tokens: int, num_examples: int, once: int, steps: int
) -> tuple[float | None, str]:
    """Estimate the seconds of the training, and what the estimate is based on."""
    found = [
        train
        for other in graph.runs.values()
        if other.model == run.model and other.mixture is not None
        if (train := graph.store.provenance(other.name).get("train")) and {"seconds", "num_tokens"} <= train.keys()
    ]
    seconds, seen = sum(one["seconds"] for one in found), sum(one["num_tokens"] for one in found)
    if seconds and seen:
        return num_tokens * seconds / seen, f"as fast as {len(found)} finished runs"
    flops = training_flops(graph.study, run.model, examples=num_examples, tokens=once, steps=steps)
    return (None, "") if flops is None else (3600 * gpu_hours(flops), "on one A100 GPU")


def duration(seconds: float) -> str:
    """Format a duration in seconds: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"
