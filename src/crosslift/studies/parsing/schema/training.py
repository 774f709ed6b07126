"""Schema of the training table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crosslift.studies.parsing.schema.values import Names, Positive, Real, Table, Text


class LoRATable(Table):
    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Names | Literal["all-linear"] = "all-linear"


class ValidationTable(Table):
    corpora: Names
    max_items: Positive | None = Field(None, description="the first n items of each corpus")


class TrainingTable(Table):
    """The fields of `training.trainer.SFTConfig` (a test ensures that they agree) and `validation`."""

    method: Literal["full", "lora"] = Field("full", description="all weights, or adapters")
    trainer: Text = Field("native", description="see: crosslift list trainers")
    epochs: Real | None = Field(None, description="passes over the mixture; this or steps")
    steps: Positive | None = Field(None, description="optimiser steps; this or epochs")
    learning_rate: Real = Field(description="peak learning rate, reached after warm-up")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="share of all steps")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_grad_norm: Real = 1.0
    batch_examples: Positive | None = Field(None, description="examples per optimiser step; this or batch_tokens")
    batch_tokens: Positive | None = Field(None, description="tokens per optimiser step; this or batch_examples")
    max_length: Positive = Field(1024, description="tokens of prompt and completion; longer examples are an error")
    truncate: bool = Field(False, description="truncate longer examples instead")
    loss_on: Literal["completion", "all"] = Field("completion", description="tokens that contribute to the loss")
    packing: bool = Field(True, description="pack examples without attention across them; false: pad")
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="precision of matrix products")
    weight_precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of trained weights; bfloat16: with stochastic rounding, to save memory"
    )
    optimizer_state: Literal["float32", "8-bit"] = Field(
        "float32", description="precision of the moments of AdamW; 8-bit to save memory"
    )
    micro_batch_tokens: Positive = Field(16384, description="most tokens per forward pass; lower it to save memory")
    lora: LoRATable | None = Field(None, description='for method = "lora"')
    select_by: Literal["last", "loss", "score"] = Field(
        "last", description="criterion of checkpoint selection, on the validation items in the mixture's languages"
    )
    validate_every: Real | None = Field(None, description="interval in epochs; default: only at the end")
    validate_every_steps: Positive | None = Field(
        None, description="interval in optimiser steps, in place of validate_every"
    )
    validation: ValidationTable | None = Field(None, description="held-out items for checkpoint selection")
