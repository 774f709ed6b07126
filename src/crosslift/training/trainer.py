"""What a trainer is given and what it leaves behind.

A trainer is a module in `trainers/` with one function,

    train(request: TrainingRequest) -> Trained

that ends with `folder/checkpoint/` (a Hugging Face folder: safetensors, config, tokenizer; an adapter folder for LoRA)
and `folder/metrics.parquet`. Killed at any moment and called again with the same request, it ends in the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

METRICS = pl.Schema(
    {
        "step": pl.Int64,  # optimiser steps done
        "epoch": pl.Float64,
        "split": pl.String,  # "train" (mean since the last row) | "validation"
        "language": pl.String,  # a tag, or "all"
        "task": pl.String,  # a task, or "all"
        "num_tokens": pl.Int64,  # completion tokens behind the row; cumulative for "train"
        "loss": pl.Float64,  # nats per completion token
        "bits_per_byte": pl.Float64,  # of the completion's UTF-8 text: comparable across languages and tokenizers
        "score": pl.Float64,  # validation score where selection asks for one; else null
        "learning_rate": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class LoRAConfig:
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """The science of a run's training: everything here is in the fingerprint. Exactly one of epochs and steps, and
    exactly one of batch_examples and batch_tokens is given."""

    method: Literal["full", "lora"] = "full"
    trainer: str = "native"
    epochs: float | None = None
    steps: int | None = None
    learning_rate: float
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_examples: int | None = None
    """Examples in one optimiser step. An epoch is cut into ceil(n / batch_examples) batches whose sizes differ by one
    at most: a last batch of 32 after batches of 512 would give its examples sixteen times the weight."""
    batch_tokens: int | None = None
    """Tokens in one optimiser step, prompt and completion together; an epoch is cut likewise, after tokens."""
    max_length: int = 1024
    """In tokens, prompt and completion together. Longer examples are an error unless `truncate`."""
    truncate: bool = False
    loss_on: Literal["completion", "all"] = "completion"
    packing: bool = True
    """Lay the examples of a batch end to end, each attending to itself only: no token is spent on padding and every
    logit equals that of the lone example. False pads: for architectures whose layers look across the border (state
    space, linear attention). It says where tokens lie, never which examples share a step."""
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What matrices are multiplied in; weights and optimiser stay float32. "auto": bfloat16 on GPUs that compute in it
    and on CPUs with AMX, else float32; `Trained` says which it was."""
    micro_batch_tokens: int = 16384
    """Upper bound of tokens (padding included) in one forward pass; a batch above it is accumulated."""
    lora: LoRAConfig | None = None
    select_by: Literal["last", "loss", "score"] = "last"
    """Which checkpoint is kept: the last, the one with the best validation loss, or validation score; over the
    mixture's own languages only."""
    validate_every: float | None = None
    """In epochs. None: at the end, and after every epoch where a checkpoint is selected. 0: never."""


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """Tokenised examples, flat. Example i is ids[offsets[i]:offsets[i + 1]], its first prompt_lengths[i] ids being the
    prompt."""

    ids: np.ndarray  # int32, (num_tokens,)
    offsets: np.ndarray  # int64, (num_examples + 1,)
    prompt_lengths: np.ndarray  # int32, (num_examples,)
    completion_bytes: np.ndarray  # int32, (num_examples,): UTF-8 bytes of the completion's text
    languages: tuple[str, ...]  # names that `language` indexes
    language: np.ndarray  # int16, (num_examples,)
    tasks: tuple[str, ...]
    task: np.ndarray  # int16, (num_examples,)

    def __len__(self) -> int:
        return len(self.prompt_lengths)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example, int64, (num_examples,)."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> TokenTable:
        """The examples of these rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return replace(
            self,
            ids=self.ids[np.repeat(self.offsets[rows], lengths) + within],
            offsets=offsets,
            prompt_lengths=self.prompt_lengths[rows],
            completion_bytes=self.completion_bytes[rows],
            language=self.language[rows],
            task=self.task[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    step: int
    num_steps: int
    loss: float
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    model: str
    """Local folder or hub name, as for `AutoModelForCausalLM.from_pretrained`."""
    revision: str | None
    config: SFTConfig
    examples: TokenTable
    """In the mixture's order."""
    validation: TokenTable | None
    seed: int
    """Order of batches, dropout, LoRA initialisation. Never which examples are seen."""
    folder: Path
    score: Callable[[Path], float] | None = None
    """Mean validation score of a checkpoint folder; given when `select_by` is "score"."""
    report: Callable[[Progress], None] = field(default=lambda progress: None)
    device: str = "auto"
    shuffle: bool = True
    """Another order in every epoch. False: always the mixture's own order, for curricula."""
    template: str | None = None
    """Chat template that is saved with the checkpoint, as `chat.load_tokenizer` takes it."""
    save_seconds: float = 60.0
    """Time between two savings of the state that a killed run resumes from; made longer where saving is slow, so that
    it never costs more than a few percent. It cannot change the result."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What provenance needs to know and the files do not say."""

    num_steps: int
    selected_step: int
    num_tokens: int  # in all forward passes of training, prompts included, padding not
    seconds: float  # over all processes, if the run was killed and resumed: of the work that was kept
    precision: str
    device: str
    resumed_at: int | None  # step of the state that this process started from


def steps_per_epoch(num_examples: int, config: SFTConfig, *, num_tokens: int | None = None) -> int:
    """ceil(examples / batch_examples), or ceil(tokens / batch_tokens) but never more steps than examples."""
    if config.batch_examples is not None:
        return max(1, math.ceil(num_examples / config.batch_examples))
    if config.batch_tokens is None:
        raise ValueError("one of batch_examples and batch_tokens must be given")
    if num_tokens is None:
        raise ValueError("with batch_tokens the number of steps depends on num_tokens")
    return max(1, min(num_examples, math.ceil(num_tokens / config.batch_tokens)))


def num_steps(num_examples: int, config: SFTConfig, *, num_tokens: int | None = None) -> int:
    """Optimiser steps of a run: `steps`, or epochs x `steps_per_epoch`, rounded up where epochs are fractional.

    The last batch of an epoch does not reach into the next one, so the ceiling is taken per epoch. With batch 512 and
    6 epochs this gives the published step counts of arXiv 2604.13286.

    Args:
        num_tokens: tokens of all examples, prompts included; needed with `batch_tokens` only.
    """
    if config.steps is not None:
        return config.steps
    if config.epochs is None:
        raise ValueError("one of epochs and steps must be given")
    # 0.1 + 0.2 epochs must not become a step more than 0.3.
    return max(1, math.ceil(config.epochs * steps_per_epoch(num_examples, config, num_tokens=num_tokens) - 1e-9))
