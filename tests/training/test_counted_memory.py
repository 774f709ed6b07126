"""The estimate of a GPU's memory is that of the tensors of a step, counted without a GPU."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counted_memory import counted_peak, counted_peak_together

from crosslift.studies.planning import devices
from crosslift.training.activations import Workload
from crosslift.training.architecture import read_architecture
from crosslift.training.memory import estimate
from crosslift.training.trainer import LoRAConfig, SFTConfig

KNOWN = tomllib.loads((Path(devices.__file__).parent / "architectures.toml").read_text())
MODELS = {
    "qwen3": "Qwen/Qwen3-0.6B-Base",
    "gemma3": "google/gemma-3-1b-pt",
    "cohere": "CohereLabs/aya-23-8B",
    "llama": "meta-llama/Llama-3.1-8B",
}
TOKENS, LENGTH = 4096, 256
EVERY = [(model, method, recomputes) for model in MODELS for method in ("full", "lora") for recomputes in (False, True)]
SOME = [("qwen3", "full", False), ("cohere", "full", False)]


def configuration(method: str, *, recomputes: bool = False, num_examples: int) -> SFTConfig:
    return SFTConfig(
        steps=2, learning_rate=1e-4, batch_examples=num_examples, micro_batch_tokens=TOKENS, max_length=LENGTH,
        method=method, lora=LoRAConfig(rank=16) if method == "lora" else None, gradient_checkpointing=recomputes,
        validate_every=0.0,
    )  # fmt: skip


def expected(settings: dict, config: SFTConfig, *, accumulates: bool, together: int = 1) -> int:
    """Bytes in tensors by the estimate."""
    load = Workload(tokens=TOKENS, loss_tokens=TOKENS, mean_length=LENGTH, accumulates=accumulates)
    architecture = replace(read_architecture(settings), stored_bytes=2)
    found = estimate(architecture, config, load=load, device="cuda", together=together)
    return found.total - found.runtime


def with_layers(model: str, number: int) -> dict:
    return KNOWN[MODELS[model]] | {"num_hidden_layers": number}


@pytest.mark.parametrize(("model", "method", "recomputes"), [
    pytest.param(*case, marks=[] if case in SOME else pytest.mark.slow) for case in EVERY
])  # fmt: skip
def test_one_run(tmp_path, model, method, recomputes):
    """Two layers of the real size; the loss takes several chunks."""
    settings, number = with_layers(model, 2), TOKENS // LENGTH
    config = configuration(method, recomputes=recomputes, num_examples=number)
    counted = counted_peak(tmp_path, settings, config, lengths=np.full(2 * number, LENGTH))
    assert expected(settings, config, accumulates=False) == pytest.approx(counted, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_held_beside_activations_where_a_step_has_several_passes(tmp_path, model):
    settings, number = with_layers(model, 4), 2 * TOKENS // LENGTH
    config = configuration("full", num_examples=number)
    counted = counted_peak(tmp_path, settings, config, lengths=np.full(2 * number, LENGTH))
    assert expected(settings, config, accumulates=True) == pytest.approx(counted, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "number"), [("qwen3", 4), ("qwen3", 8), ("gemma3", 4)])
def test_runs_that_are_trained_together(tmp_path, model, number):
    settings = with_layers(model, 3)
    config = configuration("lora", num_examples=TOKENS // LENGTH // number)
    lengths = np.full(2 * TOKENS // LENGTH // number, LENGTH)
    counted = counted_peak_together(tmp_path, settings, config, lengths=lengths, number=number)
    assert expected(settings, config, accumulates=False, together=number) == pytest.approx(counted, rel=0.03)
