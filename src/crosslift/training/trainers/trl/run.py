"""One run through `SFTTrainer`: the same steps, metrics and choice of a checkpoint as the built-in trainer."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTConfig as TRLConfig

from crosslift.errors import TrainingError
from crosslift.streams import seed_of
from crosslift.system.files import atomic_write, make_folder, remove
from crosslift.training.meter import LossMeter, LossSums
from crosslift.training.order import BatchSampler, micro_batches
from crosslift.training.requests import truncate_examples, validate_request
from crosslift.training.schedule import NUM_LOG_ROWS, learning_rate, validation_steps
from crosslift.training.trainer import Progress, TokenTable, Trained, TrainingRequest, num_steps
from crosslift.training.trainers.native.best import BestWeights, score_of_candidate, selection_value
from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
from crosslift.training.trainers.native.model import load_model, read_tokenizer, stored_dtype, write_checkpoint
from crosslift.training.trainers.trl.limits import num_micro_batches, refused
from crosslift.training.trainers.trl.saved import SavedCheckpoints
from crosslift.training.trainers.trl.sft import Collator, MicroBatches, StudySFTTrainer, dataset_of

OUTPUT = "trl"
"""Folder of the trainer's own checkpoints, below that of the request; removed at the end."""


def train(request: TrainingRequest) -> Trained:
    """Train as `crosslift.training.trainers.trl.train` describes."""
    request = validate_request(request)
    if problems := refused(request.config):
        raise TrainingError("\n".join(problems))
    device = choose_device(request.device)
    if device.type == "cuda" and torch.cuda.device_count() > 1:
        raise TrainingError(
            f'the trainer "trl" needs exactly one visible GPU, but there are {torch.cuda.device_count()}. Set '
            "CUDA_VISIBLE_DEVICES; workers of the executor local do so."
        )
    precision = choose_precision(request.config.precision, device)
    make_folder(request.folder)
    with numerics(device, precision):
        return _Run(request, device, precision).train()


class _Run:
    def __init__(self, request: TrainingRequest, device: torch.device, precision: str) -> None:
        self.request, self.device, self.precision = request, device, precision
        self.config = config = request.config
        self.examples = truncate_examples(request.examples, config)
        self.validation = None if request.validation is None else truncate_examples(request.validation, config)
        lengths = self.examples.lengths
        self.num_steps = num_steps(len(self.examples), config, num_tokens=int(lengths.sum()))
        self.order = BatchSampler(lengths, config, seed=request.seed, shuffle=request.shuffle, stages=request.stages)
        num_parts = num_micro_batches(self.order, lengths, config, num_steps=self.num_steps)
        self.validation_steps = validation_steps(config, self.num_steps, self.order.steps_per_epoch)
        self.meter = LossMeter(self.examples, num_steps=self.num_steps)
        self.num_tokens, self.seconds = 0, 0.0

        self.tokenizer = read_tokenizer(request)
        self.dtype = stored_dtype(request)
        self.model = load_model(_without_checkpointing(request), device)
        self.best = BestWeights(request.folder, self.model)
        self.saved = SavedCheckpoints(request, request.folder / OUTPUT)
        pad = self.tokenizer.pad_token_id
        self.collator = Collator(0 if pad is None else pad)
        self.trainer = StudySFTTrainer(
            micro_batches=MicroBatches(self.order, lengths, num_steps=self.num_steps, num_parts=num_parts),
            config=config,
            num_steps=self.num_steps,
            model=self.model,
            args=_arguments(request, device, precision, num_steps=self.num_steps, num_parts=num_parts),
            train_dataset=dataset_of(self.examples, loss_on_prompt=config.loss_on == "all"),
            data_collator=self.collator,
            processing_class=self.tokenizer,
            callbacks=[_Follower(self)],
        )
        self.trainer.remove_callback(PrinterCallback)

    def train(self) -> Trained:
        found = self.saved.find()
        resumed_at = None
        if found is not None:
            folder, resumed_at, content = found
            self.meter.restore(content["meter"])
            self.best.restore_state(content["best"])
            self.num_tokens, self.seconds = content["num_tokens"], content["seconds"]
        self.started, self.seconds_before, self.tokens_before = time.monotonic(), self.seconds, self.num_tokens
        self.trainer.train(resume_from_checkpoint=None if found is None else str(folder))
        self._finish()
        return Trained(
            num_steps=self.num_steps,
            selected_step=self.best.step or self.num_steps,
            num_tokens=self.num_tokens,
            seconds=self.seconds_before + time.monotonic() - self.started,
            precision=self.precision,
            device=str(self.device),
            resumed_at=resumed_at,
        )

    def begin_step(self, step: int) -> None:
        """Seed dropout. `step`: index of the step, counted from 0."""
        torch.manual_seed(seed_of(self.request.seed, "step", step))

    def end_step(self, step: int) -> None:
        """Record the losses of a step, and validate. `step`: completed steps."""
        rows = self.order.batch(step - 1)
        loss = self.meter.add_step(step - 1, self.trainer.take_losses(), rows)
        self.num_tokens += int(self.examples.lengths[rows].sum())
        now = time.monotonic() - self.started
        self.seconds = self.seconds_before + now
        speed = (self.num_tokens - self.tokens_before) / now
        rate = learning_rate(step - 1, self.num_steps, self.config)
        columns = {"step": step, "epoch": step / self.order.steps_per_epoch, "learning_rate": rate}
        row_every = math.ceil(self.num_steps / NUM_LOG_ROWS)
        if step % row_every == 0 or step in self.validation_steps or step == self.num_steps:
            self.meter.close_window(**columns)
        self.request.report(
            Progress(step=step, num_steps=self.num_steps, loss=loss, tokens_per_second=speed, curve=self.meter.curve)
        )
        if step in self.validation_steps:
            self._validate(columns)

    def save(self, step: int) -> None:
        """Let the trainer write a checkpoint from which the run resumes after `step` completed steps."""
        started, trainer = time.monotonic(), self.trainer
        trainer._save_checkpoint(trainer.model, trial=None)
        content = {
            "meter": self.meter.state(),
            "best": self.best.state(),
            "num_tokens": self.num_tokens,
            "seconds": self.seconds,
        }
        self.saved.mark(trainer.checkpoint_folder(), step, content, started=started)

    def _validate(self, columns: dict[str, Any]) -> None:
        sums = None if self.validation is None else self._validation_sums(self.validation)
        score = score_of_candidate(self.request, self._write)
        if sums is not None:
            self.meter.rows += sums.rows(split="validation", score=score, **columns)
        if self.config.select_by != "last":
            self.best.consider(selection_value(self.examples, sums, score), columns["step"])

    def _validation_sums(self, table: TokenTable) -> LossSums:
        rows, sums = dataset_of(table, loss_on_prompt=False), LossSums(table)
        self.model.eval()
        parts = micro_batches(
            np.arange(len(table)), table.lengths, max_tokens=self.config.micro_batch_tokens, padded=True
        )
        for part in parts:
            batch = self.collator([rows[int(row)] for row in part])
            sums.add_losses(*self.trainer.losses_of(batch))
            sums.add_bytes(table, part)
        self.model.train()
        return sums

    def _write(self, folder: Path) -> None:
        write_checkpoint(self.model, self.tokenizer, folder, self.request, self.dtype)

    def _finish(self) -> None:
        if self.best.step not in (None, self.num_steps):
            try:
                self.best.load(self.device)
            except TrainingError:
                remove(self.request.folder / OUTPUT)  # the next start trains from the beginning
                raise
        self._write(self.request.folder / "checkpoint")
        with atomic_write(self.request.folder / "metrics.parquet") as temporary:
            self.meter.frame().write_parquet(temporary)
        remove(self.request.folder / OUTPUT)
        self.best.remove()


class _Follower(TrainerCallback):  # type: ignore[misc]  # mypy does not follow transformers
    def __init__(self, run: _Run) -> None:
        self._run = run

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._run.begin_step(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._run.end_step(state.global_step)
        if self._run.saved.is_due():
            self._run.save(state.global_step)


def _without_checkpointing(request: TrainingRequest) -> TrainingRequest:
    """The request without gradient checkpointing, which the trainer itself enables."""
    return replace(request, config=replace(request.config, gradient_checkpointing=False))


def _arguments(
    request: TrainingRequest, device: torch.device, precision: str, *, num_steps: int, num_parts: int
) -> TRLConfig:
    config = request.config
    warnings.filterwarnings("ignore", "`gradient_checkpointing` is deprecated", FutureWarning)  # TRL needs that name
    return TRLConfig(
        output_dir=str(request.folder / OUTPUT),
        max_steps=num_steps,
        gradient_accumulation_steps=num_parts,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        gradient_checkpointing=config.gradient_checkpointing,
        bf16=device.type == "cuda" and precision == "bfloat16",
        use_cpu=device.type == "cpu",
        seed=seed_of(request.seed, "trl") % 2**32,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,  # already truncated
        packing=False,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",  # `_Run.save` decides by time
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
    )
