"""Moments in 8 bits and weights in bfloat16: close to AdamW in float32, repeatable, and the same on several devices."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from interrupted import Stop, stop_after
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_models import table, write_model

from crosslift.errors import MissingPackage, TrainingError
from crosslift.fingerprint import fingerprint
from crosslift.training.memory import moment_block
from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers import native, trl
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.optimization import low_memory
from crosslift.training.trainers.native.optimization.optimizer import build_optimizer, update
from crosslift.training.trainers.native.optimization.rounding import RoundingNoise, round_stochastically
from crosslift.training.trainers.native.state import NAME

needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="torchao is not installed (extra low-memory)"
)
CONFIG = SFTConfig(steps=6, learning_rate=3e-3, batch_examples=5, weight_decay=0.1)
SETTINGS = {
    "moments": {"optimizer_state": "8-bit"},
    "weights": {"weight_precision": "bfloat16"},
    "both": {"optimizer_state": "8-bit", "weight_precision": "bfloat16"},
}
every_setting = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("base") / "base", "qwen3")


def request(base: str, folder: Path, config: SFTConfig = CONFIG, **changes) -> TrainingRequest:
    settings = {
        "model": base,
        "revision": None,
        "config": config,
        "examples": table(12),
        "validation": table(3, first=100),
        "seed": 0,
        "folder": folder,
        "device": "cpu",
        "save_seconds": 0.0,
    }
    return TrainingRequest(**settings | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def losses(folder: Path) -> pl.Series:
    return pl.read_parquet(folder / "metrics.parquet")["loss"]


# ------------------------------------------------------------------------------------------------------------ rounding


def test_rounding_is_right_in_expectation_and_keeps_what_bfloat16_represents():
    torch.manual_seed(0)
    values = torch.randn(7) * 10 ** torch.linspace(-3, 3, 7)
    noise = torch.randint(0, 1 << 16, (100_000, 7), dtype=torch.int32)
    rounded = round_stochastically(values.expand(100_000, 7).clone(), noise)
    assert torch.equal(rounded.bfloat16().float(), rounded)
    spacing = 2.0 ** (torch.floor(torch.log2(values.abs())) - 7)
    assert ((rounded - values).abs() < spacing).all()
    assert ((rounded.double().mean(0) - values).abs() < 0.01 * spacing).all()
    exact = values.bfloat16().float()
    assert torch.equal(round_stochastically(exact.expand(50, 7).clone(), noise[:50]), exact.expand(50, 7))


def test_noise_follows_from_seed_step_and_place():
    noise, shape, device = RoundingNoise(3), (4, 5), torch.device("cpu")
    first = noise.chunk("a", 1, 0, shape, device)
    others = [("b", 1, 0), ("a", 2, 0), ("a", 1, 1)]
    assert not any(torch.equal(first, noise.chunk(*one, shape, device)) for one in others)
    assert torch.equal(first, RoundingNoise(3).chunk("a", 1, 0, shape, device))
    assert not torch.equal(first, RoundingNoise(4).chunk("a", 1, 0, shape, device))


@pytest.mark.parametrize(("first", "number"), [(0, 10), (0, 4), (3, 5), (9, 1), (0, 0), (4, 3)])
def test_rows_are_updated_once_whatever_part_of_them_a_device_holds(first, number, monkeypatch):
    monkeypatch.setattr(low_memory, "UPDATED_AT_ONCE", 24)

    def places(first, number):
        """Row of the weight -> chunk, and row of the chunk."""
        found = {}
        for chunk in low_memory._chunks((10, 8), first, number):
            assert chunk.shape == (3 if chunk.number < 3 else 1, 8)
            for here in range(chunk.here.start, chunk.here.stop):
                found[first + here] = (chunk.number, chunk.inside.start + here - chunk.here.start)
            assert chunk.inside.stop - chunk.inside.start == chunk.here.stop - chunk.here.start
        return found

    assert places(first, number) == {row: (row // 3, row % 3) for row in range(first, first + number)}


# -------------------------------------------------------------------------------------------------------------- update


class Weights(torch.nn.Module):
    def __init__(self, dtype, value=None):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.nn.Parameter(torch.randn(80, 64, generator=generator).to(dtype))
        self.vector = torch.nn.Parameter(torch.ones(64, dtype=dtype))
        if value is not None:
            self.matrix.data.fill_(value)


def step(model, optimizer, number, config):
    generator = torch.Generator().manual_seed(number)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.dtype)
    update(optimizer, list(model.parameters()), rate=config.learning_rate, max_grad_norm=config.max_grad_norm)


@needs_torchao
def test_fifty_updates_are_close_to_those_in_float32(monkeypatch):
    monkeypatch.setattr(low_memory, "UPDATED_AT_ONCE", 2000)
    moved = {}
    for name, settings in {"float32": {}, **SETTINGS}.items():
        config = replace(CONFIG, learning_rate=1e-3, **settings)
        model = Weights(torch.bfloat16 if "weight_precision" in settings else torch.float32)
        before = model.matrix.detach().float().clone()
        optimizer = build_optimizer(model, config, seed=0)
        for number in range(50):
            step(model, optimizer, number, config)
        assert model.matrix.grad is None
        moved[name] = model.matrix.detach().float() - before
    size, noise = moved["float32"].norm(), moved["weights"] - moved["float32"]
    assert (moved["moments"] - moved["float32"]).norm() < 0.03 * size
    assert noise.norm() < size  # half the spacing of a weight is large beside fifty small updates
    assert noise.mean().abs() < 0.1 * moved["float32"].abs().mean()
    assert (moved["both"] - moved["weights"]).norm() < 0.2 * size


@needs_torchao
def test_small_updates_of_bfloat16_weights_are_kept_in_expectation_where_rounding_to_nearest_loses_them():
    config = replace(CONFIG, learning_rate=1e-5, weight_decay=0.0, weight_precision="bfloat16")
    model = Weights(torch.bfloat16, value=1.0)  # whose neighbours are 0.0039 and 0.0078 away
    optimizer = build_optimizer(model, config, seed=0)
    for _ in range(20):
        model.matrix.grad = torch.full_like(model.matrix, 0.5)
        update(optimizer, [model.matrix], rate=1e-5, max_grad_norm=0.0)
    assert torch.equal(torch.tensor(1.0).bfloat16() - 1e-5, torch.tensor(1.0).bfloat16())  # to nearest: nothing moves
    moved = 1.0 - model.matrix.detach().float()
    deviation = math.sqrt(
        20 * 1e-5 * 2**-8 / moved.numel()
    )  # of the mean of roundings that move by 2**-8 or not at all
    assert moved.mean().item() == pytest.approx(20 * 1e-5, abs=4 * deviation)
    assert 0 < (moved != 0).float().mean() < 0.2


@needs_torchao
def test_codes_are_those_of_torchao():
    from torchao.optim.quant_utils import create_dynamic_map, quantize_8bit_with_qmap

    scaled = torch.linspace(-1, 1, 100_001)
    for signed in (True, False):
        values = torch.tensor(create_dynamic_map(signed=signed))
        one, other = low_memory.nearest_codes(scaled, values), quantize_8bit_with_qmap(scaled, values).int()
        different = one != other
        assert different.float().mean() < 1e-4  # in the middle between two values
        assert torch.allclose((values[one] - scaled).abs(), (values[other] - scaled).abs(), atol=1e-6)


def test_blocks_divide_rows_and_small_tensors_are_not_quantised():
    shapes = {(4096, 4096): 256, (100, 1152): 128, (4096, 16): 16, (4096, 8): None, (63, 64): None, (4096,): None}
    assert {shape: moment_block(shape) for shape in shapes} == shapes


@needs_torchao
def test_a_parameter_takes_the_bytes_that_are_promised():
    config = replace(CONFIG, **SETTINGS["both"])
    model = torch.nn.Linear(512, 512, bias=False, dtype=torch.bfloat16)
    optimizer = build_optimizer(model, config, seed=0)
    model.weight.grad = torch.ones_like(model.weight)
    optimizer.step()
    state = [one for one in optimizer.state[model.weight].values() if isinstance(one, torch.Tensor)]
    held = sum(one.nbytes for one in (model.weight, model.weight.grad, *state))
    assert held / model.weight.numel() == 2 + 2 + 2 * (1 + 4 / 256)


# ---------------------------------------------------------------------------------------------------------------- runs


@needs_torchao
@every_setting
def test_a_run_that_was_stopped_ends_in_the_same_bytes(base, tmp_path, settings):
    config = replace(CONFIG, select_by="loss", validate_every=1.0, micro_batch_tokens=200, **settings)
    train(request(base, tmp_path / "whole", config, save_seconds=1e9))
    with pytest.raises(Stop):
        train(request(base, tmp_path / "stopped", config, report=stop_after(4)))
    with safe_open(tmp_path / "stopped" / NAME, framework="pt") as file:
        kinds = {name.partition(".")[0]: file.get_tensor(name).dtype for name in file.keys() if "embed" in name}  # noqa: SIM118
    assert ("mean_scale" in kinds) == ("optimizer_state" in settings) == (kinds["mean"] == torch.uint8)
    assert (kinds["weight"] == torch.bfloat16) == ("weight_precision" in settings)
    assert train(request(base, tmp_path / "stopped", config)).resumed_at
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@needs_torchao
def test_a_run_learns_as_in_float32(base, tmp_path):
    config = replace(CONFIG, steps=50)
    found = {}
    for name, settings in {"float32": {}, "moments": SETTINGS["moments"], "both": SETTINGS["both"]}.items():
        trained = train(request(base, tmp_path / name, replace(config, **settings)))
        assert trained.precision == ("bfloat16" if "weight_precision" in settings else trained.precision)
        found[name] = losses(tmp_path / name)[-1]
        checkpoint = load_file(tmp_path / name / "checkpoint" / "model.safetensors")
        assert {one.dtype for one in checkpoint.values()} == {torch.float32}  # as the base model is stored
    start = losses(tmp_path / "float32")[0]
    for name in found:
        assert abs(found[name] - found["float32"]) < 0.02 * (start - found["float32"])


@needs_torchao
@pytest.mark.slow
def test_stopped_on_three_devices_and_continued_on_two_a_run_is_that_of_one(base, tmp_path):
    config = replace(CONFIG, batch_examples=7, micro_batch_tokens=150, **SETTINGS["both"])
    train(request(base, tmp_path / "one", config))
    with pytest.raises(Stop):
        train(request(base, tmp_path / "several", config, num_devices=3, report=stop_after(4)))
    trained = train(request(base, tmp_path / "several", config, num_devices=2))
    assert trained.resumed_at in (3, 4)
    assert losses(tmp_path / "several").to_list() == pytest.approx(losses(tmp_path / "one").to_list(), rel=3e-3)


@needs_torchao
def test_adapters_that_are_trained_together_end_as_alone(base, tmp_path):
    config = replace(
        CONFIG, method="lora", lora=LoRAConfig(rank=64, alpha=64), precision="float32", **SETTINGS["moments"]
    )
    results = {}
    asked = [request(base, tmp_path / f"together {seed}", config, seed=seed) for seed in range(2)]
    assert native.train_together(asked, results.__setitem__) is None
    assert {one.trained_together for one in results.values()} == {2}
    for seed in range(2):
        train(request(base, tmp_path / f"alone {seed}", config, seed=seed))
        found = losses(tmp_path / f"together {seed}").to_list()
        assert found == pytest.approx(losses(tmp_path / f"alone {seed}").to_list(), rel=1e-4)


# ---------------------------------------------------------------------------------- what is recorded, what is refused


def test_defaults_are_not_recorded_and_settings_are():
    fields = set(SFTConfig.__dataclass_fields__)
    assert set(CONFIG.recorded()) == fields - {"weight_precision", "optimizer_state"}
    fingerprints = {fingerprint(replace(CONFIG, **settings).recorded()) for settings in ({}, *SETTINGS.values())}
    assert len(fingerprints) == 4
    assert CONFIG.reductions == ""
    assert replace(CONFIG, **SETTINGS["both"]).reductions == "weights bfloat16, moments 8-bit"


def test_a_missing_package_is_named_by_check_and_before_training(base, tmp_path, monkeypatch):
    monkeypatch.setattr("crosslift.extras.find_spec", lambda name: None)
    for settings in SETTINGS.values():
        config = replace(CONFIG, **settings)
        (said,) = native.refused(config)
        assert next(iter(settings)) in said and "pip install 'crosslift[low-memory]'" in said
        with pytest.raises(MissingPackage, match="torchao"):
            train(request(base, tmp_path / "run", config))
    assert native.refused(CONFIG) == []
    assert not (tmp_path / "run").exists()


def test_trl_refuses_each_by_name():
    config = replace(CONFIG, packing=False, **SETTINGS["both"])
    assert [said.partition(":")[0] for said in trl.refused(config)] == [
        "training.optimizer_state",
        "training.weight_precision",
    ]


@needs_torchao
def test_contradicting_settings_are_refused_together(base, tmp_path):
    config = replace(CONFIG, weight_precision="bfloat16", precision="float32", method="lora", lora=LoRAConfig())
    with pytest.raises(TrainingError, match=r"(?s)training\.weight_precision: .*training\.precision: "):
        train(request(base, tmp_path / "run", config))
