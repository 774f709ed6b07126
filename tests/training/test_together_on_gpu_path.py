"""LoRA runs that are trained together on the path of a GPU, taken on a CPU, end as each alone on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import varlen_on_cpu  # noqa: F401 - registers kernels
from test_gpu_path import Operators
from test_together import CONFIG, RUNS, equal_runs, requests, together
from tiny_models import ARCHITECTURES, write_model

from crosslift.training.trainer import LoRAConfig
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.gpu import blocks, linear_loss, path, varlen
from crosslift.training.trainers.native.hardware import numerics
from crosslift.training.trainers.native.model import load_base
from crosslift.training.trainers.native.together import grouped, joint
from crosslift.training.trainers.native.together.passes import lay_out

CPU = torch.device("cpu")
IN_CHUNKS = "with the head, in chunks"


@pytest.fixture
def on_gpu_path(monkeypatch):
    """Return a function: from its call on, CPUs take the path of a GPU, with chunks of 64 tokens."""

    def take():
        monkeypatch.setattr(path, "is_for", lambda device: True)
        monkeypatch.setattr(varlen, "why_not", lambda asked, device, precision: None)
        monkeypatch.setattr(linear_loss, "CHUNK_BYTES", 1)

    return take


@pytest.mark.parametrize("architecture", [
    "qwen3", *(pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES if name != "qwen3")
])  # fmt: skip
def test_every_run_ends_as_alone(tmp_path, architecture, on_gpu_path):
    base = write_model(tmp_path / "base", architecture)
    for one in requests(base, tmp_path / "alone"):
        train(one)
    on_gpu_path()
    ended = together(requests(base, tmp_path / "together"))
    assert {one.trained_together for one in ended.values()} == {3}
    for one in ended.values():
        changed = "after the head: the model changes the logits of its head"
        assert one.kernels["loss"] == {"qwen3": IN_CHUNKS, "llama": IN_CHUNKS}.get(architecture, changed)
        assert one.kernels["attention"] == "varlen"
        assert one.kernels["layers"] == "as written: no kernel multiplies the adapters of all runs at once"
    assert all(equal_runs(tmp_path / "alone" / name, tmp_path / "together" / name) for name in RUNS)


@pytest.fixture
def group(tmp_path, on_gpu_path):
    """The runs of `RUNS` with the base model, ready to be trained together."""
    on_gpu_path()
    asked = requests(write_model(tmp_path / "base"), tmp_path)
    base = load_base(asked[0], CPU)
    members = {index: joint.Member(one, base, CPU, "float32") for index, one in enumerate(asked)}
    made = joint.Joint(base, members, CPU)
    yield made
    made.close()


def test_a_step_reads_nothing_from_the_device_and_is_prepared_ahead(group):
    assert all(weight.grad is None for member in group.members.values() for weight in member.weights)
    _, first = group.next_step()
    rows, passes = group.next_step()
    assert all(rows[index].tolist() == one.order.batch(1).tolist() for index, one in group.members.items())
    with Operators() as operators:
        group.accumulate(passes)
    assert operators.counts["index_select"] and operators.num_reads == 0
    group.remove(1)
    assert set(group.next_step()[0]) == {0, 2} and first[0].runs == [0, 1, 2]


def test_a_run_without_tokens_in_a_pass_has_an_empty_place(group):
    parts = [(index, group.members[index].sample()) for index in (0, 2)]
    found = lay_out(parts, {0: 4, 2: 5}, [0, 1, 2])
    assert found.places[1] == (found.places[0][1],) * 2 and found.places[2][1] == found.num_places
    assert found.ends.tolist() == [stop for _, stop in found.places]
    alone = lay_out(parts, None, None)
    assert alone.runs == [0, 2] and alone.ends is None


def grouped_mm(rows, weights, *, offs):
    """The product in float32, which torch's kernel does not offer, for any places of the runs."""
    run_of = torch.searchsorted(offs, torch.arange(len(rows)), right=True)
    return torch.bmm(rows[:, None], weights[run_of])[:, 0]


@pytest.mark.slow
@pytest.mark.long
def test_compiled_layers_compute_what_is_written(tmp_path, monkeypatch, on_gpu_path):
    """With one product for the adapters of all runs, whichever have tokens, one graph holds for all passes."""
    torch._dynamo.reset()
    monkeypatch.setattr(blocks, "BACKEND", "eager")
    monkeypatch.setattr(blocks, "MIN_STEPS", 1)
    monkeypatch.setattr(grouped, "grouped_mm", grouped_mm)
    for module in (joint, grouped):
        monkeypatch.setattr(module, "has_grouped_kernel", lambda dtype, weight: True)
    config = replace(CONFIG, lora=LoRAConfig(rank=8), micro_batch_tokens=120)
    base = write_model(tmp_path / "base")
    asked = [replace(one, config=replace(one.config, lora=config.lora, micro_batch_tokens=120)) for one in
             requests(base, tmp_path)]  # fmt: skip
    for one in asked:
        train(replace(one, folder=tmp_path / "alone" / one.folder.name))
    on_gpu_path()
    with numerics(CPU, "float32"):
        ended = together(asked)
    assert {one.kernels["layers"].split(" (")[0] for one in ended.values()} == {"compiled"}
    assert all(equal_runs(tmp_path / "alone" / name, tmp_path / name) for name in RUNS)
    assert not any("breaks" in one.kernels["layers"] for one in ended.values()), ended
