"""What a trainer is given and what it leaves behind.

A trainer is a module in `trainers/` with one function,

    train(request: TrainingRequest) -> None

that ends with `folder/checkpoint/` (a Hugging Face folder: safetensors, config, tokenizer; an adapter folder for LoRA)
and `folder/metrics.parquet`. Killed at any moment and called again with the same request, it ends in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    batch_tokens: int | None = None
    max_length: int = 1024
    """In tokens, prompt and completion together. Longer examples are an error unless `truncate`."""
    truncate: bool = False
    loss_on: Literal["completion", "all"] = "completion"
    packing: bool = False
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """"auto": bfloat16 autocast on GPUs that compute in it and on CPUs with AMX; the choice is written to provenance."""
    micro_batch_tokens: int = 16384
    """Upper bound of tokens (padding included) in one forward pass; a batch above it is accumulated."""
    lora: LoRAConfig | None = None
    select_by: Literal["last", "loss", "score"] = "last"
    """Which checkpoint is kept: the last, the one with the best validation loss, or validation score; over the
    mixture's own languages only."""
    validate_every: float | None = None
    """In epochs; None: only at the end."""


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

    def take(self, rows: np.ndarray) -> TokenTable:
        """The examples of these rows, in this order."""
        raise NotImplementedError


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
