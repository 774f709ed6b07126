"""Interface of a trainer: its configuration, its input and its output.

A trainer is a module in `trainers/` with one function,

    train(request: TrainingRequest) -> Trained

that writes `folder/checkpoint/` (a Hugging Face folder: safetensors, config, tokenizer; an adapter folder for LoRA)
and `folder/metrics.parquet`. If it is killed at any moment and called again with the same request, it must write the
same bytes. A trainer that does not support every setting has a second function,

    refused(config: SFTConfig) -> list[str]

that lists the unsupported ones, one sentence each, without importing torch; `crosslift check` reports them. A trainer
that can divide a run among several devices says so by `SEVERAL_DEVICES = True`; the others always get one.

A trainer that can train several LoRA runs of one base model in one process has

    alone(config: SFTConfig) -> str | None                      why such runs must be trained one by one; None: need not
    train_together(requests, ended: Ended) -> str | None

The latter writes for each request what `train` would, up to rounding, and calls `ended(index, result)` as soon as a run
has ended; an error of one run does not end the others. A returned reason means that the runs for which `ended` was not
called must be trained one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

METRICS = pl.Schema(
    {
        "step": pl.Int64,  # optimizer steps completed
        "epoch": pl.Float64,
        "split": pl.String,  # "train" (mean since the previous row) | "validation"
        "language": pl.String,  # a tag, or "all"
        "task": pl.String,  # a task, or "all"
        "num_tokens": pl.Int64,  # completion tokens that the row averages; cumulative for "train"
        "loss": pl.Float64,  # nats per completion token
        "bits_per_byte": pl.Float64,  # of the completion's UTF-8 text: comparable across languages and tokenizers
        "score": pl.Float64,  # validation score if checkpoint selection uses one; else null
        "learning_rate": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class LoRAConfig:
    """Hyperparameters of low-rank adaptation (E. Hu et al. 2022, arXiv 2106.09685), as PEFT defines them."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """Hyperparameters of supervised fine-tuning; all of them enter the fingerprint of a run.

    Exactly one of epochs and steps, and exactly one of batch_examples and batch_tokens must be given.
    """

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
    """Examples in one optimizer step. An epoch is divided into ceil(n / batch_examples) batches whose sizes differ by
    at most one: a last batch of 32 after batches of 512 would give its examples sixteen times the weight."""
    batch_tokens: int | None = None
    """Tokens in one optimizer step, prompt and completion together. An epoch is divided into batches with equal numbers
    of tokens."""
    max_length: int = 1024
    """Maximum tokens of an example, prompt and completion together. Longer examples are an error unless `truncate`."""
    truncate: bool = False
    loss_on: Literal["completion", "all"] = "completion"
    packing: bool = True
    """Pack the examples of a micro-batch into one sequence in which each attends only to itself: there is no padding,
    and every logit equals that of the example alone. False pads instead, for architectures whose layers cross sequence
    boundaries (state space, linear attention). It never changes which examples share a step."""
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of matrix products. "auto": bfloat16 on GPUs with native bfloat16 and on CPUs with AMX, else float32.
    `Trained` records the choice."""
    weight_precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of trained weights and of their gradients. In bfloat16, updates are rounded stochastically, and matrix
    products and activations are bfloat16 as well. For full fine-tuning only: the weights of an adapter are few."""
    optimizer_state: Literal["float32", "8-bit"] = "float32"
    """Precision of the moments of AdamW. "8-bit": block-wise dynamic quantisation (T. Dettmers et al. 2022, arXiv
    2110.02861) of those of matrices with at least 4,096 elements."""
    micro_batch_tokens: int = 16384
    """Upper bound of tokens (padding included) in one forward pass; larger batches use gradient accumulation."""
    lora: LoRAConfig | None = None
    select_by: Literal["last", "loss", "score"] = "last"
    """Which checkpoint is kept: the last one, or the one with the best validation loss or validation score, over the
    languages of the mixture only."""
    validate_every: float | None = None
    """Epochs between validations. None: at the end, and after every epoch if a checkpoint is selected. 0: never."""
    validate_every_steps: int | None = None
    """Optimizer steps between validations, in place of `validate_every`."""

    @property
    def saves_memory(self) -> bool:
        """Whether weights or moments take less memory than in float32."""
        return self.weight_precision != "float32" or self.optimizer_state != "float32"

    @property
    def reductions(self) -> str:
        """Which of these take less, in words for tables; empty if none."""
        weights = f"weights {self.weight_precision}" if self.weight_precision != "float32" else ""
        moments = f"moments {self.optimizer_state}" if self.optimizer_state != "float32" else ""
        return ", ".join(filter(None, (weights, moments)))

    def recorded(self) -> dict[str, Any]:
        """The fields as fingerprints and reports contain them: those that earlier versions did not have only if they
        are set, so that finished runs stay what they are."""
        added = {"weight_precision": "float32", "optimizer_state": "float32"}
        return {name: value for name, value in asdict(self).items() if name not in added or value != added[name]}


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """Tokenized examples in flat arrays.

    Example i is ids[offsets[i]:offsets[i + 1]]; its first prompt_lengths[i] ids are the prompt.
    """

    ids: np.ndarray
    """Token ids, int32, (num_tokens,)."""
    offsets: np.ndarray
    """Start of each example in `ids`, int64, (num_examples + 1,)."""
    prompt_lengths: np.ndarray
    """Tokens of each prompt, int32, (num_examples,)."""
    completion_bytes: np.ndarray
    """UTF-8 bytes of each completion's text, int32, (num_examples,)."""
    languages: tuple[str, ...]
    """Language tags that `language` indexes."""
    language: np.ndarray
    """int16, (num_examples,)."""
    tasks: tuple[str, ...]
    """Task names that `task` indexes."""
    task: np.ndarray
    """int16, (num_examples,)."""

    def __len__(self) -> int:
        return len(self.prompt_lengths)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example, int64, (num_examples,)."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> TokenTable:
        """A table of the examples with these indices, in this order."""
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
    """Progress of a training run, as handed to `TrainingRequest.report`."""

    step: int
    """Optimizer steps completed."""
    num_steps: int
    loss: float
    """Mean loss of the last step's completion tokens, in nats."""
    tokens_per_second: float
    curve: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Training losses so far, as the columns of a table with one row per logged step: "step", "all" (nats per
    completion token), and one column per language tag; None where a language had no token. Empty if the trainer does
    not record losses while it trains."""
    together: int = 1
    """Runs that this process trains at present. Their speeds and times are shares: those of all add up to the time of
    the process."""


@dataclass(frozen=True, kw_only=True)
class BaseName:
    """Name of a base model in the configuration of an adapter. It never contains a path of the machine."""

    name: str | None
    """Hub name, `pocket:<name>`, or a path relative to the checkpoint that begins with a dot; None: not named."""
    revision: str | None = None
    """Commit of a hub model."""


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """Everything that a trainer needs for one run."""

    model: str
    """Local folder or hub name, as for `AutoModelForCausalLM.from_pretrained`."""
    revision: str | None
    config: SFTConfig
    examples: TokenTable
    """Training examples, in the order of the mixture."""
    validation: TokenTable | None
    seed: int
    """Seed of batch order, dropout and LoRA initialization. It never changes which examples are used."""
    folder: Path
    """Folder for the checkpoint, the metrics and the state of an interrupted run."""
    score: Callable[[Path], float] | None = None
    """Computes the mean validation score of a checkpoint folder; required when `select_by` is "score"."""
    report: Callable[[Progress], None] = field(default=lambda progress: None)
    """Called with the progress whenever losses are read from the device."""
    device: str = "auto"
    shuffle: bool = True
    """Shuffle anew in every epoch, within each stage. False: always the order of the mixture."""
    stages: tuple[int, ...] = ()
    """Numbers of examples of the stages of a curriculum, in order; empty: one stage. Every epoch goes through all
    stages. A batch at the end of a stage is filled with the first examples of the next one."""
    template: str | None = None
    """Chat template to save with the checkpoint, in the form that `chat.load_tokenizer` takes."""
    base_name: BaseName | None = None
    """Name of the base model in an adapter's configuration; None: `model` and `revision`."""
    num_devices: int = 1
    """Devices that share the run. It changes the result by rounding only, as the kind of the device does."""
    cpu_offload: bool = False
    """With several GPUs: keep weights, gradients and moments in the memory of the machine."""
    compile: bool = True
    """On a GPU: compile the decoder layers where that pays. It changes the result by rounding only."""
    save_seconds: float = 60.0
    """Seconds between two saves of the state that an interrupted run resumes from. The interval grows if saving is
    slow, so that saving takes at most a few percent of the time. It does not change the result."""
    ending: Callable[[], bool] = field(default=lambda: False)
    """Whether the process was told to end, for example before the time limit of a job. A trainer that can resume saves
    its state at the next step and raises SystemExit; the others are ended some time later."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Summary of a finished run, for its provenance record."""

    num_steps: int
    """Optimizer steps of the run."""
    selected_step: int
    """Step of the checkpoint that was kept."""
    num_tokens: int
    """Tokens of all training forward passes, prompts included, padding excluded."""
    seconds: float
    """Training time. For a resumed run it includes earlier processes, without the work that was lost."""
    precision: str
    device: str
    resumed_at: int | None
    """Step of the saved state that this process resumed from; None if it started from the base model."""
    num_devices: int = 1
    """Devices that shared the run."""
    micro_batch_tokens: int | None = None
    """Bound that replaced the configured one because a device ran out of memory; None if none did."""
    trained_together: int = 1
    """Largest number of runs that were trained in the same passes. It changes the result by rounding only."""
    kernels: Mapping[str, str] = field(default_factory=dict)
    """On a GPU: how attention, loss, layers and batches were computed, and why not the fast way where it was not."""


Ended = Callable[[int, Trained | Exception], None]
"""Called with the index of a request, and with its summary or the error that ended it."""


def steps_per_epoch(num_examples: int, config: SFTConfig, *, num_tokens: int | None = None) -> int:
    """Optimizer steps of one epoch.

    It is ceil(examples / batch_examples), or ceil(tokens / batch_tokens) limited to the number of examples.

    Args:
        num_examples: examples of the epoch.
        config: gives the batch size.
        num_tokens: tokens of all examples, prompts included; required with `batch_tokens` only.

    Raises:
        ValueError: the configuration has no batch size, or `num_tokens` is required and missing.
    """
    if config.batch_examples is not None:
        return max(1, math.ceil(num_examples / config.batch_examples))
    if config.batch_tokens is None:
        raise ValueError("one of batch_examples and batch_tokens must be given")
    if num_tokens is None:
        raise ValueError("with batch_tokens the number of steps depends on num_tokens")
    return max(1, min(num_examples, math.ceil(num_tokens / config.batch_tokens)))


def num_steps(num_examples: int, config: SFTConfig, *, num_tokens: int | None = None) -> int:
    """Optimizer steps of a run: `steps`, or epochs x `steps_per_epoch`, rounded up for fractional epochs.

    No batch crosses the end of an epoch, so the number of batches is rounded up per epoch. With a batch of 512 and 6
    epochs this gives the published step counts of arXiv 2604.13286.

    Args:
        num_examples: examples of one epoch.
        config: gives the batch size and the epochs or steps.
        num_tokens: tokens of all examples, prompts included; required with `batch_tokens` only.

    Raises:
        ValueError: the configuration has no batch size, or neither epochs nor steps.
    """
    if config.steps is not None:
        return config.steps
    if config.epochs is None:
        raise ValueError("one of epochs and steps must be given")
    # 0.1 + 0.2 epochs must not give one step more than 0.3 epochs.
    return max(1, math.ceil(config.epochs * steps_per_epoch(num_examples, config, num_tokens=num_tokens) - 1e-9))
