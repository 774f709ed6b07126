"""What only a GPU can show. Without one these tests are skipped: `pytest -m cuda -rs` says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from tiny_models import table as table_of
from tiny_models import write_model

from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native.gpu import blocks, linear_loss, path, varlen
from crosslift.training.trainers.native.hardware import choose_precision, numerics
from crosslift.training.trainers.native.loop import Run, train

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

GPU = torch.device("cuda")
CONFIG = SFTConfig(epochs=4, learning_rate=1e-3, batch_examples=7, micro_batch_tokens=400)


def request_(folder, base, config=CONFIG, **settings):
    return TrainingRequest(
        model=str(base), revision=None, config=config, examples=table_of(12), validation=table_of(3, first=40), seed=1,
        folder=folder, device="cuda", **settings,
    )  # fmt: skip


def asked(heads, key_heads, size, window=None):
    return varlen.Asked(heads=heads, key_heads=key_heads, size=size, value_size=size, window=window, dropout=0.0)


@pytest.mark.parametrize("layer", [
    asked(16, 8, 128), asked(32, 8, 128), asked(4, 1, 256, 64), asked(4, 1, 256), asked(4, 2, 8, 12),
], ids=str)  # fmt: skip
def test_the_kernel_computes_attention_of_lone_examples(layer):
    """Qwen3-0.6B and 1.7B, 8B, Gemma-3-1B (with and without its window), the models of the tests."""
    assert varlen.why_not([layer], GPU, "bfloat16") is None


def test_head_and_loss_in_one_are_torch_s():
    head = torch.nn.Linear(64, 1000, bias=False, device=GPU)
    assert linear_loss.why_not(head, GPU, torch.bfloat16) is None
    assert linear_loss.why_not(head, GPU, torch.float32) is None


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3", "llama", "cohere2"])
def test_losses_are_those_of_a_cpu_to_the_rounding_of_bfloat16(tmp_path, architecture):
    base = write_model(tmp_path / "base", architecture)
    trained = train(request_(tmp_path / "gpu", base))
    plain = train(replace(request_(tmp_path / "cpu", base), device="cpu"))
    assert trained.precision == "bfloat16" and trained.kernels["attention"] == "varlen"
    assert trained.kernels["gradients"] == "repeatable"
    losses = [pl.read_parquet(tmp_path / name / "metrics.parquet")["loss"] for name in ("gpu", "cpu")]
    assert np.allclose(*losses, rtol=0.03, atol=0.02), plain


@pytest.mark.parametrize("settings", [
    {"method": "full"}, {"method": "lora", "lora": LoRAConfig(rank=4, dropout=0.1)},
    {"method": "full", "gradient_checkpointing": True}, {"method": "full", "precision": "float32"},
], ids=["full", "lora", "checkpointing", "float32"])  # fmt: skip
@pytest.mark.parametrize("compiles", [False, True], ids=["written", "compiled"])
def test_the_machine_waits_for_nothing_in_a_step(tmp_path, monkeypatch, settings, compiles):
    monkeypatch.setattr(blocks, "MIN_STEPS", 1)
    base = write_model(tmp_path / "base")
    config = replace(CONFIG, **settings)
    precision = choose_precision(config.precision, GPU)
    with numerics(GPU, precision):
        run = Run(request_(tmp_path / "run", base, config, compile=compiles), GPU, precision)
        assert run.gpu.kernels["layers"].startswith("compiled" if compiles else "as written")
        batches = [run._batch(step) for step in range(4)]
        run._step(batches[0], 1e-3)  # moments of the optimiser are created
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = [run._step(batch, 1e-3) for batch in batches[1:]]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert all(np.isfinite(losses.numpy()).all() for parts in found for losses, _ in parts)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3"])
def test_compiled_layers_compute_what_is_written(tmp_path, monkeypatch, architecture):
    monkeypatch.setattr(blocks, "MIN_STEPS", 1)
    torch._dynamo.reset()
    base = write_model(tmp_path / "base", architecture)
    found = []
    for compiles in (True, False):
        folder = tmp_path / str(compiles)
        trained = train(request_(folder, base, compile=compiles))
        assert trained.kernels["layers"].startswith("compiled" if compiles else "as written: compile = false")
        found.append(pl.read_parquet(folder / "metrics.parquet")["loss"])
    assert np.allclose(*found, rtol=0.03, atol=0.02)


def test_a_killed_run_ends_with_the_same_bytes(tmp_path):
    base = write_model(tmp_path / "base")
    train(request_(tmp_path / "whole", base))
    steps = iter([False, False, True])
    with pytest.raises(SystemExit):
        train(request_(tmp_path / "cut", base, ending=lambda: next(steps)))
    assert train(request_(tmp_path / "cut", base)).resumed_at == 3
    for name in ("checkpoint/model.safetensors", "metrics.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_batches_are_page_locked(tmp_path):
    precision = choose_precision("auto", GPU)
    with numerics(GPU, precision):
        run = Run(request_(tmp_path / "run", write_model(tmp_path / "base")), GPU, precision)
    (one, _), *_ = run._batch(0).passes
    assert one.ids.is_pinned() and one.starts.is_pinned() and path.is_for(GPU)
