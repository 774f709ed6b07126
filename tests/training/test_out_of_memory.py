"""Out of memory halves the micro-batches and continues from the last state."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import table, write_model

from crosslift.errors import TrainingError
from crosslift.training.trainer import SFTConfig, TrainingRequest
from crosslift.training.trainers.native import loop, train

CONFIG = SFTConfig(
    steps=6,
    learning_rate=1e-3,
    batch_examples=8,
    micro_batch_tokens=400,
    warmup_share=0.2,
    precision="float32",
    validate_every=0.0,
)


@pytest.fixture
def request_(tmp_path):
    return TrainingRequest(
        model=write_model(tmp_path / "base"),
        revision=None,
        config=CONFIG,
        examples=table(20),
        validation=None,
        seed=0,
        folder=tmp_path / "run",
        device="cpu",
        save_seconds=0.0,
    )


def device_with(monkeypatch, tokens, *, from_step=0):
    """A device that has memory for so many tokens only, from a step on. Returns the tokens of its passes."""
    seen, losses, seed = [], loop.Run._losses, loop.Run._seed_dropout
    step = 0

    def limited(self, one):
        if step >= from_step and one.num_tokens > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        seen.append(one.num_tokens)
        return losses(self, one)

    def remember(self, number):
        nonlocal step
        step = number
        seed(self, number)

    monkeypatch.setattr(loop.Run, "_losses", limited)
    monkeypatch.setattr(loop.Run, "_seed_dropout", remember)
    return seen


def test_the_run_continues_from_its_state_with_smaller_micro_batches(request_, monkeypatch, tmp_path):
    undisturbed = train(replace(request_, folder=tmp_path / "undisturbed"))
    assert undisturbed.micro_batch_tokens is None
    seen = device_with(monkeypatch, 120, from_step=3)
    trained = train(request_)
    assert trained.micro_batch_tokens == 100
    assert trained.resumed_at in (1, 2, 3)
    assert max(seen[-6:]) <= 100
    weights = [load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("undisturbed", "run")]
    assert max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]) < 2e-5
    losses = [pl.read_parquet(tmp_path / name / "metrics.parquet")["loss"] for name in ("undisturbed", "run")]
    assert (losses[0] - losses[1]).abs().max() < 1e-5


def test_an_interrupted_run_continues_with_the_reduced_bound(request_, monkeypatch):
    device_with(monkeypatch, 120)

    def stop(progress):
        if progress.step == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(replace(request_, report=stop))
    monkeypatch.undo()
    assert train(request_).micro_batch_tokens == 100


def test_when_one_example_does_not_fit_the_message_gives_the_estimate(request_, monkeypatch):
    device_with(monkeypatch, 5)
    with pytest.raises(TrainingError) as raised:
        train(request_)
    message = str(raised.value)
    assert "the longest example alone (CUDA out of memory. Tried to allocate 2 GiB.)" in message
    assert "The run needs about" in message
    assert "runtime" in message
    assert "gradient_checkpointing = true" in message
