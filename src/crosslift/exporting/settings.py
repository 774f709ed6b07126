"""The training of a run in the terms that other training tools share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.examples import examples_of
from crosslift.studies.run import Run
from crosslift.training.schedule import validation_steps
from crosslift.training.trainer import SFTConfig, num_steps, steps_per_epoch

DATA = "data"
"""Folder of the examples, train.* and validation.*, below the exported folder."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Everything that a configuration needs. Paths are relative to the exported folder."""

    model: str
    """Folder or hub name."""
    revision: str | None
    config: SFTConfig
    seed: int
    mixture: str
    suffix: str
    """Of the data files: "jsonl" or "parquet"."""
    shuffle: bool
    several_turns: bool
    """Whether a conversation has several answers; only the last one carries loss."""
    num_examples: int
    num_validation: int
    num_steps: int
    num_warmup: int
    """Steps of the warm-up."""
    micro_batch: int
    """Examples per forward pass."""
    accumulation: int
    """Forward passes per optimizer step."""
    validate_every: int | None
    """Steps between validations; None without validation."""
    select_best: bool
    """Whether the checkpoint with the lowest validation loss is kept."""
    notes: tuple[str, ...]
    """What a tool cannot do as the study does, one sentence each."""

    def data_file(self, split: str) -> str:
        """Path of the examples of a split, "train" or "validation"."""
        return f"{DATA}/{split}.{self.suffix}"

    @property
    def lr_scheduler(self) -> str:
        """Name of the schedule in transformers, which the tools use."""
        constant = self.config.schedule == "constant" and self.num_warmup > 0
        return "constant_with_warmup" if constant else self.config.schedule

    @property
    def bf16(self) -> bool:
        """Whether matrix products are computed in bfloat16; "auto" means a GPU that supports it."""
        return self.config.precision != "float32"

    @property
    def optimizer(self) -> str:
        """Name of the optimizer in transformers, which the tools use."""
        return "adamw_torch_8bit" if self.config.optimizer_state == "8-bit" else "adamw_torch_fused"

    def trainer_arguments(self) -> dict[str, Any]:
        """Length, batch, schedule and optimizer, as the Trainer of transformers takes them."""
        return {
            "num_train_epochs": self.config.epochs,
            "max_steps": self.config.steps,
            "per_device_train_batch_size": self.micro_batch,
            "gradient_accumulation_steps": self.accumulation,
            "learning_rate": self.config.learning_rate,
            "lr_scheduler_type": self.lr_scheduler,
            "warmup_steps": self.num_warmup,
            "weight_decay": self.config.weight_decay,
            "max_grad_norm": self.config.max_grad_norm,
            "optim": self.optimizer,
            "bf16": self.bf16,
        }


def settings_of(
    graph: StepGraph,
    run: Run,
    *,
    model: str,
    revision: str | None,
    num_validation: int,
    several_turns: bool,
    suffix: str,
) -> TrainingSettings:
    """Describe the training of a run.

    Args:
        graph: the steps of the study.
        run: model, mixture and seed.
        model: path or hub name of the model in the configurations.
        revision: commit of a hub model.
        num_validation: examples for validation.
        several_turns: whether a conversation has several answers.
        suffix: of the data files.

    Returns:
        The settings.
    """
    config = graph.study.training
    assert run.mixture is not None
    lengths = np.minimum(examples_of(graph, run).lengths, config.max_length)
    num_examples, num_tokens = len(lengths), int(lengths.sum())
    steps = num_steps(num_examples, config, num_tokens=num_tokens)
    per_epoch = steps_per_epoch(num_examples, config, num_tokens=num_tokens)
    batch = config.batch_examples or math.ceil(num_examples / per_epoch)
    most = max(1, config.micro_batch_tokens // int(lengths.max()))
    micro = max(size for size in range(1, min(batch, most) + 1) if batch % size == 0)
    notes = []
    if run.mixture.stages and run.mixture.order == "shuffled":
        notes.append(
            "The examples lie in the order of the stages; the study shuffles them anew within each stage and epoch."
        )
    if config.batch_tokens is not None:
        notes.append(
            f"A batch has {batch} examples, which is the mean; in the study every batch has about "
            f"{config.batch_tokens:,} tokens."
        )
    if num_examples % batch:
        notes.append("The last batch of an epoch is smaller than the others; in the study all have nearly equal sizes.")
    if config.select_by == "score":
        notes.append("The last checkpoint is kept; the study keeps the one with the best validation score.")
    if config.select_by == "loss":
        notes.append("The best checkpoint is chosen by the loss over all tokens; the study weights languages equally.")
    if config.optimizer_state == "8-bit":
        notes.append(
            "Moments have 8 bits as in the study, in blocks of other places, and those of small matrices the type of "
            "the weights; this needs torchao."
        )
    if config.weight_precision == "bfloat16":
        notes.append(
            "The study trains weights in bfloat16 with stochastic rounding, which no tool does; they are float32 here."
        )
    every = sorted(validation_steps(config, steps, per_epoch)) if num_validation else []
    return TrainingSettings(
        model=model,
        revision=revision,
        config=config,
        seed=run.seed,
        mixture=run.mixture.name,
        suffix=suffix,
        shuffle=run.mixture.order == "shuffled" and not run.mixture.stages,
        several_turns=several_turns,
        num_examples=num_examples,
        num_validation=num_validation,
        num_steps=steps,
        num_warmup=math.ceil(config.warmup_share * steps - 1e-9),
        micro_batch=micro,
        accumulation=batch // micro,
        validate_every=every[0] if every else None,
        select_best=config.select_by == "loss" and bool(every),
        notes=tuple(notes),
    )
