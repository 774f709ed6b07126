"""A run on two devices on the path of a GPU (processes on a CPU) is that of one device on the path of a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import ranks_on_gpu_path
from safetensors.torch import load_file
from test_several_devices import CONFIG, request
from tiny_models import write_model

from crosslift.errors import TrainingError
from crosslift.training.trainer import LoRAConfig
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.gpu import blocks
from crosslift.training.trainers.native.sharded import launch

CASES = [("llama", "full", False), ("qwen3", "lora", False), ("qwen3", "full", True), ("gemma3", "full", True)]
MARKS = [[], [pytest.mark.slow], [pytest.mark.slow], [pytest.mark.slow, pytest.mark.long]]


@pytest.mark.parametrize(("architecture", "method", "compiles"), [
    pytest.param(*case, marks=MARKS[number]) for number, case in enumerate(CASES)
])  # fmt: skip
def test_losses_and_weights_are_those_of_one_device(tmp_path, monkeypatch, architecture, method, compiles):
    write_model(tmp_path / "base", architecture)
    lora = LoRAConfig(rank=4) if method == "lora" else None
    config = replace(CONFIG, method=method, lora=lora, steps=4)
    train(request(tmp_path / "one", config=config))
    monkeypatch.setattr(launch, "main", ranks_on_gpu_path.main)
    trained = train(request(tmp_path / "two", config=config, num_devices=2, compile=compiles))
    assert trained.num_devices == 2 and trained.kernels["attention"] == "varlen"
    changed = "after the head: the model changes the logits of its head"
    assert trained.kernels["loss"] == (changed if architecture == "gemma3" else "with the head, in chunks")
    assert trained.kernels["layers"].startswith("compiled (" if compiles else "as written: compile = false")
    tables = [pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("one", "two")]
    assert (tables[0]["loss"] / tables[1]["loss"] - 1).abs().max() < 1e-5
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-4


def largest_difference(one: Path, other: Path) -> float:
    """Between weights of two checkpoints."""
    file = "adapter_model.safetensors" if (one / "checkpoint" / "adapter_config.json").exists() else "model.safetensors"
    weights = [load_file(folder / "checkpoint" / file) for folder in (one, other)]
    return max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0])


def test_a_compiler_that_fails_ends_a_run_on_several_devices_with_the_remedy(monkeypatch):
    """The other devices may wait in the middle of the pass, so none can go on without it."""
    monkeypatch.setattr(blocks, "BACKEND", "eager")
    monkeypatch.setattr(blocks, "CompiledBlocks", Blocks)

    def fails():
        raise ValueError("no such instruction")

    with pytest.raises(TrainingError, match=r"no such instruction\). Set compile = false in site\.toml"):
        blocks.compile_blocks(object(), fails, num_steps=1000, num_devices=2)
    assert "no such instruction" in blocks.compile_blocks(object(), fails, num_steps=1000)


class Blocks:
    """Stands for the layers of a model."""

    def __init__(self, model: object) -> None:
        del model

    def __len__(self) -> int:
        return 1

    def compile(self) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing."""
