"""`SFTTrainer` with the batches, learning rates and token losses of a study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from crosslift.errors import TrainingError
from crosslift.training.order import BatchSampler
from crosslift.training.schedule import learning_rate
from crosslift.training.trainer import SFTConfig, TokenTable

IGNORED = -100
"""Label of a token without loss."""


def dataset_of(table: TokenTable, *, loss_on_prompt: bool) -> Dataset:
    """The examples as a data set that `SFTTrainer` takes without preparing it.

    Args:
        table: the tokenized examples.
        loss_on_prompt: whether the tokens of the prompt carry loss.

    Returns:
        One row per example with lists of the same length: `input_ids`, `labels` (-100 for tokens without loss) and
        `cells` (language * num_tasks + task for a token of a completion, -1 for one of a prompt).
    """
    lengths = table.lengths
    within = np.arange(table.offsets[-1]) - np.repeat(table.offsets[:-1], lengths)
    of_completion = within >= np.repeat(table.prompt_lengths, lengths)
    group = table.language.astype(np.int16) * len(table.tasks) + table.task
    carries = (within > 0) & (of_completion | loss_on_prompt)  # no token precedes the first one
    columns = {
        "input_ids": table.ids.astype(np.int64),
        "labels": np.where(carries, table.ids, IGNORED).astype(np.int64),
        "cells": np.where(of_completion, np.repeat(group, lengths), -1).astype(np.int64),
    }
    offsets = pa.array(table.offsets.astype(np.int64))
    lists = {name: pa.LargeListArray.from_arrays(offsets, pa.array(values)) for name, values in columns.items()}
    return Dataset(pa.table(lists))


class MicroBatches(Sampler[list[int]]):
    """Rows of all micro-batches of a run, in order. The micro-batches of a step have equal numbers of examples.

    Args:
        order: the batch of every step.
        lengths: tokens of every example, shape (num_examples,).
        num_steps: steps of the run.
        num_parts: micro-batches per step.
    """

    def __init__(self, order: BatchSampler, lengths: np.ndarray, *, num_steps: int, num_parts: int) -> None:
        self._order, self._lengths, self._num_steps, self._num_parts = order, lengths, num_steps, num_parts

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._num_steps):
            rows = self._order.batch(step)
            rows = rows[np.argsort(-self._lengths[rows], kind="stable")]
            for part in np.array_split(rows, self._num_parts):
                yield part.tolist()

    def __len__(self) -> int:
        return self._num_steps * self._num_parts


class Collator:
    """Pads a micro-batch as TRL does, and the cells of its tokens with -1."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad = DataCollatorForLanguageModeling(pad_token_id=pad_token_id)

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = self._pad(
            [{key: row[key] for key in ("input_ids", "labels")} for row in examples]
        )
        batch["cells"] = torch.full_like(batch["input_ids"], -1)
        for cells, row in zip(batch["cells"], examples, strict=True):
            cells[: len(row["cells"])] = torch.tensor(row["cells"])
        return batch


class StudySFTTrainer(SFTTrainer):  # type: ignore[misc]  # mypy does not follow TRL
    """`SFTTrainer` that takes the micro-batches, learning rates and weight decay of a study and keeps token losses.

    Args:
        micro_batches: all micro-batches of the run.
        config: gives the schedule.
        num_steps: steps of the run.
        **arguments: arguments of `SFTTrainer`.
    """

    def __init__(self, *, micro_batches: MicroBatches, config: SFTConfig, num_steps: int, **arguments: Any) -> None:
        self._micro_batches, self._config, self._num_steps = micro_batches, config, num_steps
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._output: Any = None
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs = True  # the loss is a mean over the tokens of the whole step
        self.model.register_forward_hook(self._remember)

    def _remember(self, model: torch.nn.Module, inputs: Any, output: Any) -> None:
        self._output = output

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train_dataset, batch_sampler=self._micro_batches, collate_fn=self.data_collator)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        peak = self._config.learning_rate
        last = self._num_steps - 1  # the scheduler also asks for the step after the last one
        self.lr_scheduler = LambdaLR(
            self.optimizer if optimizer is None else optimizer,
            lambda step: learning_rate(min(step, last), self._num_steps, self._config) / peak,
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        return [name for name, weight in model.named_parameters() if weight.ndim >= 2]

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Not written: it would name this machine's folders."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        cells = inputs.pop("cells")
        loss = super().compute_loss(model, inputs, *arguments, **options)
        self._parts.append(self._token_losses(cells))
        return loss

    def take_losses(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Losses in nats and cells of the tokens, both of shape (K,), per micro-batch since the last call."""
        parts, self._parts = self._parts, []
        return parts

    @torch.no_grad()
    def losses_of(self, batch: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Losses in nats and cells of the tokens of a padded micro-batch, both of shape (K,), without gradients."""
        inputs = self._prepare_inputs(batch)
        cells = inputs.pop("cells")
        with self.compute_loss_context_manager():
            self.model_wrapped(**inputs, use_cache=False, fused_lm_head=True)
        return self._token_losses(cells)

    def _token_losses(self, cells: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        output, self._output = self._output, None
        if not hasattr(output, "log_probs"):
            raise TrainingError(
                "this version of TRL does not give the losses of single tokens. Install trl 1.16, or set "
                'trainer = "native".'
            )
        mask = output.label_mask
        losses = -output.log_probs.detach()[mask].float().cpu().numpy()
        return losses, cells.to(mask.device)[:, 1:][mask].cpu().numpy()

    def checkpoint_folder(self) -> Path:
        """Folder of the checkpoint of the present step."""
        return Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
