"""LoRA runs that are trained together end as each alone would, to rounding, whatever happens to the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import ARCHITECTURES, table, write_model

from crosslift.errors import TrainingError
from crosslift.training.trainer import LoRAConfig, SFTConfig, Trained, TrainingRequest
from crosslift.training.trainers.native import alone, train, train_together
from crosslift.training.trainers.native.model import load_base, load_model
from crosslift.training.trainers.native.together import grouped, joint
from crosslift.training.trainers.native.together.grouped import Slices, grouped_products

CONFIG = SFTConfig(
    method="lora",
    lora=LoRAConfig(rank=4),
    steps=6,
    learning_rate=3e-3,
    batch_examples=7,
    micro_batch_tokens=500,
    warmup_share=0.2,
    precision="float32",
    select_by="loss",
    validate_every=0.5,
)
RUNS = {
    "first": {"seed": 0, "examples": table(12), "config": CONFIG},
    "long": {
        "seed": 1,
        "examples": table(9, first=30),
        "config": replace(CONFIG, steps=9, learning_rate=1e-3, schedule="linear", select_by="last"),
    },
    "short": {"seed": 2, "examples": table(15, first=60), "config": replace(CONFIG, steps=4, batch_examples=20)},
}


class Killed(BaseException):
    pass


def request(base: str, folder: Path, **changes) -> TrainingRequest:
    settings = {
        "model": base,
        "revision": None,
        "validation": table(3, first=100),
        "folder": folder,
        "device": "cpu",
        "save_seconds": 0.0,
    }
    return TrainingRequest(**settings | changes)


def requests(base: str, folder: Path, **changes) -> list[TrainingRequest]:
    return [request(base, folder / name, **settings | changes) for name, settings in RUNS.items()]


def together(asked: list[TrainingRequest]) -> dict[str, Trained | Exception]:
    ended = {}
    reason = train_together(asked, lambda index, result: ended.update({asked[index].folder.name: result}))
    assert reason is None
    return ended


def equal_runs(one: Path, other: Path) -> bool:
    losses = [pl.read_parquet(folder / "metrics.parquet") for folder in (one, other)]
    assert losses[0].drop("loss", "bits_per_byte").equals(losses[1].drop("loss", "bits_per_byte"))
    assert (losses[0]["loss"] / losses[1]["loss"] - 1).abs().max() < 1e-5
    weights = [load_file(folder / "checkpoint" / "adapter_model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]) < 1e-4
    assert sorted(file.name for file in other.iterdir()) == ["checkpoint", "metrics.parquet"]
    names = sorted(file.name for file in (one / "checkpoint").iterdir())
    assert sorted(file.name for file in (other / "checkpoint").iterdir()) == names
    for name in set(names) - {"adapter_model.safetensors"}:
        assert (other / "checkpoint" / name).read_bytes() == (one / "checkpoint" / name).read_bytes()
    return True


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base model, and the runs of `RUNS`, each trained alone."""
    folder = tmp_path_factory.mktemp("together")
    base = write_model(folder / "base")
    for one in requests(base, folder / "alone"):
        train(one)
    return folder


@pytest.fixture
def base(place):
    return str(place / "base")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_run_ends_as_alone(tmp_path, architecture):
    base = write_model(tmp_path / "base", architecture)
    for one in requests(base, tmp_path / "alone"):
        train(one)
    ended = together(requests(base, tmp_path / "together"))
    assert list(ended) == ["short", "first", "long"]
    assert [one.trained_together for one in ended.values()] == [3, 3, 3]
    assert all(equal_runs(tmp_path / "alone" / name, tmp_path / "together" / name) for name in RUNS)


def test_passes_with_several_micro_batches_and_recomputed_activations_change_nothing(place, base, tmp_path):
    settings = {"micro_batch_tokens": 120, "gradient_checkpointing": True}
    asked = [replace(one, config=replace(one.config, **settings)) for one in requests(base, tmp_path)]
    together(asked)
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in RUNS)


def test_adapters_computed_as_on_a_gpu_are_the_same(place, base, tmp_path, monkeypatch):
    monkeypatch.setattr(joint, "_ALWAYS_GROUPED", True)
    together(requests(base, tmp_path))
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in RUNS)


def test_adapters_begin_as_those_of_the_run_alone(base, tmp_path):
    shared = load_base(requests(base, tmp_path)[0], torch.device("cpu"))
    for one in requests(base, tmp_path):
        expected = dict(load_model(one, torch.device("cpu")).named_parameters())
        member = joint.Member(one, shared, torch.device("cpu"), "float32")
        found = dict(member.model.named_parameters())
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        frozen = {weight.data_ptr() for weight in found.values() if not weight.requires_grad}
        assert frozen == {weight.data_ptr() for weight in shared.parameters()}


def test_killed_each_run_continues_from_its_own_state_together_or_alone(place, base, tmp_path):
    def kill(progress):
        if progress.step == 3:
            raise Killed

    asked = requests(base, tmp_path)
    with pytest.raises(Killed):
        together([asked[0], replace(asked[1], report=kill), asked[2]])
    trained = train(asked[2])
    assert trained.resumed_at in (1, 2, 3)
    assert trained.trained_together == 3
    ended = together(asked[:2])
    assert all(ended[name].resumed_at in (1, 2, 3) for name in ("first", "long"))
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in RUNS)


def test_one_failing_run_leaves_the_others(place, base, tmp_path):
    def lose(progress):
        if progress.step == 3:
            raise TrainingError("the lease is lost")

    diverges = request(base, tmp_path / "diverges", **RUNS["first"] | {"config": replace(CONFIG, learning_rate=1e30)})
    invalid = request(base, tmp_path / "invalid", **RUNS["first"] | {"examples": table(0)})
    first, long, short = requests(base, tmp_path)
    ended = together([diverges, first, invalid, replace(short, report=lose), long])
    assert [str(ended[name])[:40] for name in ("invalid", "short", "diverges")] == [
        "there are no examples to train on: the m",
        "the lease is lost",
        "the loss is not finite in step 2 of 6: t",
    ]
    assert ended["long"].trained_together == 4
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in ("first", "long"))


def test_told_to_end_all_runs_save_their_states(place, base, tmp_path):
    told = []
    asked = requests(base, tmp_path, ending=lambda: bool(told), save_seconds=1e6, report=told.append)
    with pytest.raises(SystemExit):
        together(asked)
    assert all((tmp_path / name / "state.safetensors").exists() for name in RUNS)
    told.clear()
    ended = together([replace(one, report=lambda progress: None, ending=lambda: False) for one in asked])
    assert {one.resumed_at for one in ended.values()} <= {1, 2}
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in RUNS)


def test_out_of_memory_halves_the_passes_of_all(place, base, tmp_path, monkeypatch):
    losses = joint.Joint._losses

    def limited(self, one_pass):
        if sum(one.num_tokens for _, one in one_pass.parts) > 260:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, one_pass)

    monkeypatch.setattr(joint.Joint, "_losses", limited)
    ended = together(requests(base, tmp_path)[1:])
    assert {one.micro_batch_tokens for one in ended.values()} == {250}
    assert all(equal_runs(place / "alone" / name, tmp_path / name) for name in ("long", "short"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "full"}, "full fine-tuning changes the base model"),
        ({"lora": LoRAConfig(dropout=0.1)}, "the masks of its dropout"),
        ({"packing": False}, "packing is false"),
        ({}, None),
    ],
)
def test_settings_that_need_runs_one_by_one_are_known_before(changes, reason):
    found = alone(replace(CONFIG, **changes))
    assert found is None if reason is None else reason in found


def test_an_adapter_of_the_head_and_different_ranks_are_left_to_runs_one_by_one(base, tmp_path):
    def never(index, result):
        raise AssertionError(result)

    asked = requests(base, tmp_path)
    of_head = LoRAConfig(target_modules=("q_proj", "lm_head"))
    with_head = [replace(one, config=replace(one.config, lora=of_head)) for one in asked]
    assert "language-model head has an adapter" in train_together(with_head, never)
    other = replace(asked[0], config=replace(CONFIG, lora=LoRAConfig(rank=8)))
    assert train_together([other, *asked[1:]], never) == "the runs differ in lora"


def test_a_model_that_mixes_examples_is_left_to_runs_one_by_one(base, tmp_path, monkeypatch):
    forward = grouped.GroupedLinear.forward

    def mixing(self, hidden):
        return forward(self, hidden + hidden.mean(1, keepdim=True))

    monkeypatch.setattr(grouped.GroupedLinear, "forward", mixing)
    assert "losses of a probe differ" in train_together(requests(base, tmp_path), lambda index, result: None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_grouped_products_are_those_of_each_run(dtype):
    torch.manual_seed(0)
    rows = torch.randn(48, 16, dtype=dtype, requires_grad=True)
    weights = [torch.randn(8, 16, dtype=dtype, requires_grad=True) for _ in range(3)]
    slices = Slices()
    slices.set([0, 2, 5], [(0, 16), (16, 40), (40, 48)], 48, torch.tensor([16, 40, 48], dtype=torch.int32))
    found = grouped_products(rows, weights, slices)
    expected = torch.cat([rows[:16] @ weights[0].T, rows[16:40] @ weights[1].T, rows[40:] @ weights[2].T])
    gradient = torch.randn_like(expected)
    ours = torch.autograd.grad(found, [rows, *weights], gradient)
    theirs = torch.autograd.grad(expected, [rows, *weights], gradient)
    for one, other in zip((found, *ours), (expected, *theirs), strict=True):
        assert torch.allclose(one, other, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)
