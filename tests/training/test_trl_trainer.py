"""The trainer `trl` gives what the built-in trainer gives, resumes, and refuses what it cannot do by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from fake_study import open_graph
from safetensors.torch import load_file
from tiny_models import table, write_model
from tiny_study import STUDY, write_study

from crosslift.errors import StudyError, TrainingError
from crosslift.execution.phases.preflight import preflight
from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native import train as train_natively
from crosslift.training.trainers.trl import refused, train
from crosslift.training.trainers.trl.saved import SavedCheckpoints

FULL = SFTConfig(
    steps=6,
    learning_rate=3e-3,
    batch_examples=8,
    warmup_share=0.2,
    weight_decay=0.1,
    precision="float32",
    packing=False,
    micro_batch_tokens=120,
)
LORA = SFTConfig(
    epochs=1,
    learning_rate=3e-3,
    batch_examples=7,
    precision="float32",
    packing=False,
    method="lora",
    lora=LoRAConfig(rank=4, dropout=0.2),
    select_by="loss",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return write_model(tmp_path_factory.mktemp("trl") / "base")


def request(base: str, folder: Path, config: SFTConfig = FULL, **changes) -> TrainingRequest:
    settings = {
        "model": base,
        "revision": None,
        "config": config,
        "examples": table(20),
        "validation": table(4, first=50),
        "seed": 0,
        "folder": folder,
    }
    return TrainingRequest(**settings | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


class Stop(Exception):
    pass


def stop_at(step: int):
    def stop(progress):
        if progress.step == step:
            raise Stop

    return stop


def needs_trl():
    pytest.importorskip("trl", reason="the extra trl is not installed")


@pytest.mark.parametrize(
    "config", [FULL, replace(LORA, lora=LoRAConfig(rank=4)), replace(FULL, loss_on="all", batch_examples=None,
               batch_tokens=400, micro_batch_tokens=4096, schedule="linear")], ids=["full", "lora", "tokens"]
)  # fmt: skip
def test_losses_and_weights_agree_with_the_built_in_trainer(base, tmp_path, config):
    needs_trl()
    live: dict[str, list] = {"native": [], "trl": []}
    ours = train_natively(request(base, tmp_path / "native", config, report=live["native"].append))
    theirs = train(request(base, tmp_path / "trl", config, report=live["trl"].append))
    facts = ("num_steps", "selected_step", "num_tokens", "precision", "device")
    assert [getattr(theirs, name) for name in facts] == [getattr(ours, name) for name in facts]
    found, expected = (pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("trl", "native"))
    assert found.schema == expected.schema
    assert found.drop("loss", "bits_per_byte").equals(expected.drop("loss", "bits_per_byte"))
    assert (found["loss"] - expected["loss"]).abs().max() < 1e-4 < expected["loss"].max() - expected["loss"].min()
    curves = {name: [one.curve for one in progress] for name, progress in live.items()}  # per language, for `view`
    for one, other in zip(curves["trl"], curves["native"], strict=True):
        assert one == {name: pytest.approx(losses, abs=2e-3) for name, losses in other.items()}
    assert len(curves["trl"][-1]) > 2
    assert contents(tmp_path / "trl").keys() == contents(tmp_path / "native").keys()
    file = "adapter_model.safetensors" if config.method == "lora" else "model.safetensors"
    weights, others = (load_file(tmp_path / name / "checkpoint" / file) for name in ("trl", "native"))
    assert max((weights[name] - others[name]).abs().max().item() for name in others) < 1e-3


@pytest.mark.parametrize("config", [FULL, LORA], ids=["full", "lora"])
def test_an_interrupted_run_resumes_from_the_trainers_checkpoint_to_the_same_bytes(base, tmp_path, config):
    needs_trl()
    train(request(base, tmp_path / "whole", config))
    with pytest.raises(Stop):
        train(request(base, tmp_path / "stopped", config, report=stop_at(5), save_seconds=0.0))
    assert len(list((tmp_path / "stopped" / "trl").iterdir())) == 1
    assert b"stopped" not in b"".join(contents(tmp_path / "stopped" / "trl").values())  # no path
    assert 0 < train(request(base, tmp_path / "stopped", config)).resumed_at < 5
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize("spoil", ["resume.json", "optimizer.pt", None])
def test_a_damaged_or_unfinished_checkpoint_is_removed_and_not_resumed(tmp_path, spoil):
    output = tmp_path / "trl"
    for step in (1, 2):
        (output / f"checkpoint-{step}").mkdir(parents=True)
        (output / f"checkpoint-{step}" / "optimizer.pt").write_text("moments")
    made = request("base", tmp_path)
    SavedCheckpoints(made, output).mark(output / "checkpoint-2", 2, {"seconds": 1.0}, started=0.0)
    assert [one.name for one in output.iterdir()] == ["checkpoint-2"]
    if spoil:
        (output / "checkpoint-2" / spoil).unlink()
    found = SavedCheckpoints(made, output).find()
    assert found == (None if spoil else (output / "checkpoint-2", 2, {"seconds": 1.0}))
    other = replace(made, seed=1)
    assert SavedCheckpoints(other, output).find() is None and list(output.iterdir()) == []


def test_what_it_cannot_do_is_refused_by_name():
    assert refused(FULL) == [] == refused(LORA)
    told = refused(replace(LORA, packing=True, lora=LoRAConfig(target_modules=("q_proj", "lm_head"))))
    assert [one.partition(":")[0] for one in told] == ["training.packing", "training.lora.target_modules"]


def test_check_reports_what_it_cannot_do(tmp_path):
    text = STUDY.replace("[training]", '[training]\ntrainer = "trl"')
    graph = open_graph(write_study(tmp_path / "study", text=text))
    with pytest.raises(StudyError, match=r"training\.packing: .* Set packing = false"):
        preflight(graph, say=lambda line: None)


def test_steps_that_cannot_be_divided_equally_are_refused_before_training(base, tmp_path):
    needs_trl()
    with pytest.raises(TrainingError, match=r"training\.micro_batch_tokens.*Raise micro_batch_tokens to"):
        train(request(base, tmp_path / "run", replace(FULL, micro_batch_tokens=10, batch_examples=7)))
    assert not (tmp_path / "run" / "checkpoint").exists()
