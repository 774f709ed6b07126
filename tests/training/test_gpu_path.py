"""The path of a GPU, taken on a CPU: the same losses and gradients, nothing that waits for the device."""

from __future__ import annotations

import importlib.util
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
import varlen_on_cpu  # noqa: F401 - registers kernels
from safetensors.torch import load_file
from tiny_models import ARCHITECTURES, WINDOW, table, write_model
from torch.utils._python_dispatch import TorchDispatchMode

from crosslift.errors import TrainingError
from crosslift.training.packing import build_micro_batch
from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native import loop
from crosslift.training.trainers.native.gpu import blocks, linear_loss, path, varlen
from crosslift.training.trainers.native.gpu.transfers import HostCopy, prepared_ahead
from crosslift.training.trainers.native.hardware import numerics
from crosslift.training.trainers.native.loop import Run, train
from crosslift.training.trainers.native.model import for_training
from crosslift.training.trainers.native.optimization import optimizer

needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="torchao is not installed (extra low-memory)"
)
CPU = torch.device("cpu")
CONFIG = SFTConfig(
    epochs=2, learning_rate=1e-3, batch_examples=7, micro_batch_tokens=120, select_by="loss", precision="float32"
)


def request_(folder, base, config=CONFIG, **settings):
    return TrainingRequest(
        model=str(base), revision=None, config=config, examples=table(12), validation=table(3, first=40), seed=1,
        folder=folder, **settings,
    )  # fmt: skip


@pytest.fixture
def on_gpu_path(monkeypatch):
    monkeypatch.setattr(path, "is_for", lambda device: True)
    monkeypatch.setattr(varlen, "why_not", lambda asked, device, precision: None)


def gradients(run, rows):
    one = run._micro_batch(rows)
    total, losses = run._losses(one)
    total.backward()
    return losses.detach(), {name: weight.grad for name, weight in run.model.named_parameters()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_losses_and_gradients_are_those_of_a_cpu(tmp_path, architecture, monkeypatch, on_gpu_path):
    base = write_model(tmp_path / "base", architecture)
    rows = np.arange(12)
    with numerics(CPU, "float32"):
        fast = Run(request_(tmp_path / "fast", base), CPU, "float32")
        losses, found = gradients(fast, rows)
        monkeypatch.setattr(path, "is_for", lambda device: False)
        expected_losses, expected = gradients(Run(request_(tmp_path / "plain", base), CPU, "float32"), rows)
    assert fast.gpu.kernels["attention"] == "varlen"
    together = "with the head, in chunks"
    changes = "after the head: the model changes the logits of its head"
    assert fast.gpu.kernels["loss"] == {"qwen3": together, "llama": together}.get(architecture, changes)
    assert (losses - expected_losses).abs().max() < 1e-5
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() < 1e-5 * max(1, gradient.abs().max()), name


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_ends_as_on_a_cpu(tmp_path, monkeypatch, on_gpu_path, method):
    """Losses read some steps later, batches prepared in a thread: the same table and weights to rounding."""
    base = write_model(tmp_path / "base")
    config = replace(CONFIG, method=method, lora=LoRAConfig(rank=4) if method == "lora" else None)
    seen = []
    trained = train(request_(tmp_path / "fast", base, config, report=seen.append))
    monkeypatch.setattr(path, "is_for", lambda device: False)
    plain = train(request_(tmp_path / "plain", base, config))
    assert plain.kernels == {} and trained.num_tokens == plain.num_tokens
    assert trained.kernels["layers"] == "as written: the run has 8 steps, and compiling pays from 200"
    assert seen[-1].step == trained.num_steps
    tables = [pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("fast", "plain")]
    for column in tables[0].columns:
        if column in {"loss", "bits_per_byte"}:
            assert np.allclose(tables[0][column], tables[1][column], rtol=1e-4)
        else:
            assert tables[0][column].equals(tables[1][column], null_equal=True)
    file = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    weights = [load_file(tmp_path / name / "checkpoint" / file) for name in ("fast", "plain")]
    for name in weights[1]:
        assert (weights[0][name] - weights[1][name]).abs().max() < 1e-3, name


def test_a_killed_run_ends_with_the_same_bytes(tmp_path, on_gpu_path, monkeypatch):
    base = write_model(tmp_path / "base")
    monkeypatch.setattr(loop, "NUM_LOG_ROWS", 2)  # in between, losses are read whenever they are due
    train(request_(tmp_path / "whole", base))
    monkeypatch.setattr(loop, "SYNC_EVERY", 2)
    steps = iter([False, False, True])
    with pytest.raises(SystemExit):
        train(request_(tmp_path / "cut", base, ending=lambda: next(steps)))
    assert threading.active_count() == 1 or not [one for one in threading.enumerate() if one.name == "batches"]
    assert train(request_(tmp_path / "cut", base)).resumed_at == 3
    for name in ("checkpoint/model.safetensors", "metrics.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


class Operators(TorchDispatchMode):
    """Counts the operators that are called."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator.overloadpacket.__name__
        self.counts[name] += 1
        if name.startswith(("index", "_index")) and isinstance(args[1], list):
            self.counts["nonzero"] += sum(one is not None and one.dtype == torch.bool for one in args[1])
        return operator(*args, **(kwargs or {}))

    @property
    def num_reads(self):
        """Operators that wait for a GPU: their result, or its shape, is needed by the machine."""
        waiting = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique_dim", "_unique2")
        return sum(self.counts[name] for name in waiting)


@pytest.mark.parametrize("settings", [
    {"method": "full"}, {"method": "lora", "lora": LoRAConfig(rank=4, dropout=0.1)},
    {"method": "full", "gradient_checkpointing": True}, {"method": "full", "max_grad_norm": 0.0, "loss_on": "all"},
    pytest.param({"weight_precision": "bfloat16", "optimizer_state": "8-bit"}, marks=needs_torchao),
], ids=["full", "lora", "checkpointing", "all tokens", "low memory"])  # fmt: skip
@pytest.mark.parametrize("architecture", ["qwen3", "gemma3"])
def test_a_step_reads_nothing_from_the_device(tmp_path, architecture, settings, on_gpu_path):
    base = write_model(tmp_path / "base", architecture)
    config = replace(CONFIG, **({"precision": "auto"} if "weight_precision" in settings else {}), **settings)
    run = Run(request_(tmp_path / "run", base, config), CPU, "float32")
    batches = [run._batch(step) for step in range(2)]
    with Operators() as operators:
        for batch in batches:
            run._step(batch, 1e-3)
    assert operators.counts["bucketize" if run.config.saves_memory else "_fused_adamw_"]
    assert operators.counts["index_select"]
    assert operators.num_reads == 0


def test_a_pass_over_padded_examples_is_read_once(tmp_path, on_gpu_path):
    """Transformers looks at the positions, to find out whether examples are packed."""
    base = write_model(tmp_path / "base")
    run = Run(request_(tmp_path / "run", base, replace(CONFIG, packing=False)), CPU, "float32")
    assert run.gpu.kernels["attention"] == "examples side by side: packing = false"
    batch = run._batch(0)
    with Operators() as operators:
        run._step(batch, 1e-3)
    assert operators.num_reads == len(batch.passes)


def test_operators_that_read_are_counted():
    with Operators() as operators:
        values = torch.arange(3)
        assert values.sum().item() == 3
        assert len(values[values > 0]) == 2
        assert not torch.zeros(1)
    assert operators.counts["_local_scalar_dense"] == 2 and operators.counts["nonzero"] == 1
    assert operators.num_reads == 3


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3"])
def test_a_step_runs_on_a_device_that_cannot_be_read(tmp_path, architecture, monkeypatch, on_gpu_path):
    """Tensors of torch's meta device have a shape and a type only: whatever reads one fails."""
    base = write_model(tmp_path / "base", architecture)
    device = torch.device("meta")

    class Unreadable(Run):
        def _load(self):
            kind, config = ARCHITECTURES[architecture]
            with device:
                return for_training(kind(config), self.request)

    def plain_adamw(model, config, *, seed):
        return torch.optim.AdamW(model.parameters())  # the fused one wants a real device, as does clipping by foreach

    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(optimizer, "build_optimizer", plain_adamw)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda weights, limit, foreach: clip(weights, limit))
    monkeypatch.setattr(linear_loss, "why_not", lambda head, device, dtype: None)
    run = Unreadable(request_(tmp_path / "run", base), device, "bfloat16")
    (losses, cells), *_ = run._step(run._batch(0), 1e-3)
    assert losses._copy.device == device and losses._copy.shape == (len(cells),)
    assert losses._copy.dtype == torch.float32
    assert all(weight.device == device for weight in run.model.parameters())
    with pytest.raises((RuntimeError, NotImplementedError)):
        losses.numpy()


def test_gradients_are_computed_so_that_they_can_be_repeated(tmp_path, monkeypatch, on_gpu_path, caplog):
    """Flash attention takes its deterministic gradient only where another one would be an error."""
    base = write_model(tmp_path / "base")
    load, strict, able = Run._load, [], True

    def watched(run):
        def told(gradient):
            strict.append(not torch.is_deterministic_algorithms_warn_only_enabled())
            if strict[-1] and not able:
                raise RuntimeError("put_ does not have a deterministic implementation, but you set ...")

        model = load(run)
        model.get_input_embeddings().weight.register_hook(told)
        return model

    monkeypatch.setattr(Run, "_load", watched)
    run = Run(request_(tmp_path / "able", base), CPU, "float32")
    run._step(run._batch(0), 1e-3)
    assert run.gpu.kernels["gradients"] == "repeatable" and all(strict)
    assert not torch.are_deterministic_algorithms_enabled()
    able = False
    run = Run(request_(tmp_path / "unable", base), CPU, "float32")
    assert all(weight.grad is None for weight in run.model.parameters())
    run._step(run._batch(0), 1e-3)
    assert run.gpu.kernels["gradients"].startswith("may differ in the last bits: put_ does not have a deterministic")
    assert not strict[-1] and "may differ in the last bits" in caplog.text


def test_what_layers_ask_of_attention_is_found_out(tmp_path, monkeypatch, on_gpu_path):
    seen = []
    monkeypatch.setattr(varlen, "why_not", lambda asked, device, precision: seen.append(asked) or "for a test")
    base = write_model(tmp_path / "base", "gemma3")
    run = Run(request_(tmp_path / "run", base), CPU, "float32")
    layer = varlen.Asked(heads=4, key_heads=2, size=8, value_size=8, window=None, dropout=0.0)
    assert seen == [{layer, replace(layer, window=WINDOW)}]
    assert run.gpu.kernels["attention"] == "examples side by side: for a test"
    losses, _ = gradients(run, np.arange(6))
    assert losses.isfinite().all()


@pytest.mark.parametrize(("change", "reason"), [
    ({"dropout": 0.1}, "drops attention weights"), ({"value_size": 64}, "heads of values 64"),
    ({"size": 260, "value_size": 260}, "multiples of 8 up to 256"), ({"size": 12, "value_size": 12}, "multiples of 8"),
    ({"key_heads": 3}, "no multiple"),
])  # fmt: skip
def test_what_the_kernel_cannot_compute_is_named(monkeypatch, change, reason):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    asked = varlen.Asked(heads=4, key_heads=2, size=128, value_size=128, window=None, dropout=0.0)
    assert reason in varlen.why_not([replace(asked, **change)], CPU, "bfloat16")


def test_the_kernel_is_tried_out_on_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    asked = varlen.Asked(heads=4, key_heads=2, size=16, value_size=16, window=20, dropout=0.0)
    assert varlen.why_not([asked], CPU, "bfloat16") is None
    assert "precision is float32" in varlen.why_not([asked], CPU, "float32")
    right = varlen.varlen_attention
    monkeypatch.setattr(varlen, "varlen_attention", lambda *given, scale, window: right(*given, scale=scale, window=2))
    assert "differs from attention in float32" in varlen.why_not([asked], CPU, "bfloat16")

    def fails(*given, **settings):
        raise RuntimeError("no kernel image is available\nfor this device")

    monkeypatch.setattr(varlen, "varlen_attention", fails)
    assert varlen.why_not([asked], CPU, "bfloat16").endswith("fails on this device: no kernel image is available")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "compute capability 8.0, and the device has 7.5" in varlen.why_not([asked], CPU, "bfloat16")


def test_boundaries_cover_the_row_with_its_padding():
    starts, longest = varlen.boundaries_of(np.array([5, 200, 1]), 256)
    assert starts.tolist() == [0, 5, 205, 206, 256] and starts.dtype == np.int32 and longest == 256
    assert varlen.boundaries_of(np.array([60, 4]), 64)[0].tolist() == [0, 60, 64]


# ----------------------------------------------------------------------------------------------- head and loss in one


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_head_and_loss_in_one_are_torch_s(monkeypatch, dtype):
    torch.manual_seed(0)
    monkeypatch.setattr(linear_loss, "CHUNK_BYTES", 4 * 50 * 64)  # several chunks
    hidden, weight = torch.randn(192, 16).requires_grad_(), torch.randn(50, 16).requires_grad_()
    targets = torch.randint(0, 50, (192,))
    total, losses = linear_loss.linear_losses(hidden, weight, targets, 150, dtype=dtype)
    found = torch.autograd.grad(total / 7, (hidden, weight))
    exact = torch.nn.functional.linear_cross_entropy(hidden[:150], weight, targets[:150], reduction="none")
    expected = torch.autograd.grad(exact.sum() / 7, (hidden, weight))
    near = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.05}
    assert losses.dtype == torch.float32 and torch.allclose(losses, exact, **near)
    assert torch.allclose(total, exact.sum(), rtol=1e-3)
    assert found[0].dtype == found[1].dtype == torch.float32
    assert all(torch.allclose(ours, theirs, **near) for ours, theirs in zip(found, expected, strict=True))
    assert found[0][150:].abs().max() == 0


def test_a_frozen_head_gets_no_gradient_and_evaluation_computes_none():
    hidden, weight = torch.randn(64, 8).requires_grad_(), torch.randn(20, 8)
    targets = torch.zeros(64, dtype=torch.int64)
    total, _ = linear_loss.linear_losses(hidden, weight, targets, 64, dtype=torch.float32)
    total.backward()
    assert hidden.grad is not None and weight.grad is None
    with torch.no_grad():
        total, losses = linear_loss.linear_losses(hidden, weight, targets, 64, dtype=torch.float32)
    assert not total.requires_grad and losses.shape == (64,)


def test_heads_that_are_no_plain_layer_are_named():
    assert linear_loss.why_not(torch.nn.Linear(4, 4, bias=False), CPU, torch.float32) is None
    assert "has a bias" in linear_loss.why_not(torch.nn.Linear(4, 4), CPU, torch.float32)
    assert "is a Identity" in linear_loss.why_not(torch.nn.Identity(), CPU, torch.float32)


def test_chunks_of_a_large_vocabulary_fit_their_limit():
    assert linear_loss.chunk_rows(151_936) * 151_936 * 4 <= linear_loss.CHUNK_BYTES
    assert linear_loss.chunk_rows(151_936) % 64 == 0 and linear_loss.chunk_rows(10**9) == 64


# --------------------------------------------------------------------------------------------------- compiled layers


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "kinds"), [("qwen3", 1), ("gemma3", 2)])
def test_layers_of_a_kind_share_one_graph_for_all_numbers_of_tokens(
    tmp_path, monkeypatch, architecture, kinds, on_gpu_path
):
    torch._dynamo.reset()
    monkeypatch.setattr(blocks, "BACKEND", "eager")
    monkeypatch.setattr(blocks, "MIN_STEPS", 1)
    base = write_model(tmp_path / "base", architecture)
    with numerics(CPU, "float32"):
        run = Run(request_(tmp_path / "run", base), CPU, "float32")
        assert run.gpu.kernels["layers"] == f"compiled ({kinds} graphs)"
        assert all(weight.grad is None for weight in run.model.parameters())
        for number in (3, 9, 14, 24):
            losses, _ = gradients(run, np.arange(number))
        assert run.gpu.kernels["layers"] == f"compiled ({kinds} graphs)"
        plain = Run(request_(tmp_path / "plain", base, compile=False), CPU, "float32")
    assert plain.gpu.kernels["layers"] == "as written: compile = false in site.toml"
    expected, _ = gradients(plain, np.arange(24))
    assert (losses - expected).abs().max() < 1e-6
    assert run.model.state_dict().keys() == plain.model.state_dict().keys()


@pytest.mark.slow
def test_a_compiler_that_fails_is_no_end_of_the_run_and_is_recorded(tmp_path, monkeypatch, on_gpu_path, caplog):
    torch._dynamo.reset()

    def fails(graph, inputs):
        raise ValueError("no such instruction")

    monkeypatch.setattr(blocks, "BACKEND", fails)
    monkeypatch.setattr(blocks, "MIN_STEPS", 1)
    trained = train(request_(tmp_path / "run", write_model(tmp_path / "base")))
    assert trained.kernels["layers"].startswith("as written: torch.compile fails (BackendCompilerFailed")
    assert "the layers are not compiled" in caplog.text


# ---------------------------------------------------------------------------------------------------------- transfers


def test_steps_are_prepared_in_order_and_not_far_ahead():
    asked = []
    steps = prepared_ahead(lambda step: asked.append(step) or step * 2, 3, 30)
    assert [next(steps) for _ in range(4)] == [6, 8, 10, 12]
    assert len(asked) <= 4 + 3
    steps.close()
    assert not [one for one in threading.enumerate() if one.name == "batches"]


def test_what_fails_while_a_step_is_prepared_is_raised_in_its_place():
    def prepare(step):
        if step == 2:
            raise TrainingError("no such step")
        return step

    steps = prepared_ahead(prepare, 0, 5)
    assert [next(steps), next(steps)] == [0, 1]
    with pytest.raises(TrainingError, match="no such step"):
        next(steps)


def test_tensors_of_a_batch_are_those_of_the_micro_batch(tmp_path, on_gpu_path):
    run = Run(request_(tmp_path / "run", write_model(tmp_path / "base")), CPU, "float32")
    one = build_micro_batch(table(4), np.arange(5), packed=True)
    host = run.gpu.host(one)
    for name in ("ids", "positions", "predicting_positions", "targets"):
        assert np.array_equal(getattr(host, name).numpy(), getattr(one, name))
    assert host.starts[-1] == one.ids.size
    assert HostCopy(host.ids).numpy() is not None
