"""Examples laid end to end are the examples alone: logits, losses, gradients, on four architectures."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, WINDOW, table, write_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from crosslift.errors import TrainingError
from crosslift.training.packing import build_micro_batch
from crosslift.training.trainer import SFTConfig, TrainingRequest
from crosslift.training.trainers.native import attention
from crosslift.training.trainers.native.hardware import numerics
from crosslift.training.trainers.native.loss import LogitSelector, token_losses
from crosslift.training.trainers.native.passes import apply_rotary_embedding, fuse_modules


@pytest.fixture(params=ARCHITECTURES)
def folder(request, tmp_path):
    return write_model(tmp_path, request.param)


def load(folder, implementation):
    if implementation == attention.NAME:
        attention.register()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.set_attn_implementation(implementation)
    return model.train()


def alone(model, examples):
    """Logits of each example by itself, through the model's own code."""
    for i in range(len(examples)):
        ids = examples.ids[examples.offsets[i] : examples.offsets[i + 1]]
        yield model(input_ids=torch.from_numpy(ids.astype(np.int64))[None], use_cache=False).logits[0]


def packed_logits(model, one):
    return model(
        input_ids=torch.from_numpy(one.ids),
        position_ids=torch.from_numpy(one.positions),
        use_cache=False,
        boundaries=attention.SequenceBoundaries(one.lengths, one.ids.size, torch.device("cpu")),
    ).logits


def test_logits_of_packed_examples_are_those_of_lone_ones(folder):
    examples = table(6)
    assert examples.lengths.max() > examples.lengths.min() > WINDOW
    one = build_micro_batch(examples, np.arange(12), packed=True)
    with torch.no_grad(), numerics(torch.device("cpu"), "float32"):
        together = packed_logits(load(folder, attention.NAME), one)[0, : one.num_tokens]
        apart = torch.cat(list(alone(load(folder, "eager"), examples)))
    assert apart.std() > 0.1
    assert (together - apart).abs().max() < 1e-5


def test_a_neighbour_changes_nothing(folder):
    """Not one bit of contamination: other tokens before it, the same logits."""
    model, examples = load(folder, attention.NAME), table(3)
    other = table(3, first=50)
    with torch.no_grad(), numerics(torch.device("cpu"), "float32"):
        first, second = (
            packed_logits(model, build_micro_batch(source, np.array([4, 2]), packed=True))[0]
            for source in (examples, mixed(examples, other))
        )
    length = examples.lengths[2]
    start = examples.lengths[4]
    assert (first[start : start + length] - second[start : start + length]).abs().max() == 0
    assert (first[:start] - second[:start]).abs().max() > 0.1


def mixed(examples, other):
    """`examples` with the ids of example 4 replaced."""
    ids = examples.ids.copy()
    where = slice(examples.offsets[4], examples.offsets[5])
    ids[where] = np.resize(other.ids, examples.lengths[4])
    return replace(examples, ids=ids)


def gradients(folder, examples, *, packed, rewritten=False):
    implementation = attention.NAME if packed else "sdpa"
    model = load(folder, implementation)
    head = LogitSelector(model)
    with numerics(torch.device("cpu"), "float32"), fuse_modules(model) if rewritten else nullcontext():
        one = build_micro_batch(examples, np.arange(len(examples)), packed=packed)
        head.positions = torch.from_numpy(one.predicting_positions)
        more = (
            {"boundaries": attention.SequenceBoundaries(one.lengths, one.ids.size, torch.device("cpu"))}
            if packed
            else {}
        )
        logits = model(
            input_ids=torch.from_numpy(one.ids), position_ids=torch.from_numpy(one.positions), use_cache=False, **more
        ).logits
        losses = token_losses(logits, torch.from_numpy(one.targets))[: len(one.cells)]
        losses.mean().backward()
    return losses.detach(), {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("packed", [True, False])
def test_losses_and_gradients_are_those_of_lone_examples(folder, packed):
    examples = table(4)
    losses, found = gradients(folder, examples, packed=packed)
    model = load(folder, "eager")
    expected = []
    for i, logits in enumerate(alone(model, examples)):
        ids = torch.from_numpy(examples.ids[examples.offsets[i] : examples.offsets[i + 1]].astype(np.int64))
        start = examples.prompt_lengths[i]
        expected.append(cross_entropy(logits[start - 1 : -1], ids[start:], reduction="none"))
    torch.cat(expected).mean().backward()
    assert (losses - torch.cat(expected).detach()).abs().max() < 1e-5
    for name, weight in model.named_parameters():
        assert (found[name] - weight.grad).abs().max() < 1e-5 * max(1, weight.grad.abs().max()), name


def test_scores_computed_in_parts_and_again_give_the_same_gradients(folder, monkeypatch):
    examples = table(5)
    losses, expected = gradients(folder, examples, packed=True)
    monkeypatch.setattr(attention, "MAX_SCORES_PER_BLOCK", 1)
    monkeypatch.setattr(attention, "MAX_SAVED_SCORES", 0)
    again, found = gradients(folder, examples, packed=True)
    assert (again - losses).abs().max() < 1e-6
    for name in expected:
        assert (found[name] - expected[name]).abs().max() < 1e-5 * max(1, expected[name].abs().max()), name


def test_torch_s_own_kernel_gives_the_same(folder, monkeypatch):
    """The path of GPUs, taken on a CPU."""
    examples = table(5)
    losses, expected = gradients(folder, examples, packed=True)
    monkeypatch.setattr(attention, "_ALWAYS_TORCH", True)
    again, found = gradients(folder, examples, packed=True)
    assert (again - losses).abs().max() < 1e-5
    for name in expected:
        assert (found[name] - expected[name]).abs().max() < 1e-5 * max(1, expected[name].abs().max()), name


def test_norms_and_rotations_in_fewer_passes_give_the_same(folder):
    examples = table(5)
    losses, expected = gradients(folder, examples, packed=True)
    again, found = gradients(folder, examples, packed=True, rewritten=True)
    assert (again - losses).abs().max() < 1e-5
    for name in expected:
        assert (found[name] - expected[name]).abs().max() < 1e-5 * max(1, expected[name].abs().max()), name


@pytest.mark.parametrize(("architecture", "num_norms"), [("qwen3", 9), ("gemma3", 13), ("llama", 5), ("cohere2", 0)])
def test_only_what_computes_the_same_is_rewritten_and_all_is_put_back(tmp_path, architecture, num_norms):
    model = load(write_model(tmp_path, architecture), "eager")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 2)
    home = sys.modules[type(model).__module__]
    theirs = home.apply_rotary_pos_emb
    with fuse_modules(model):
        assert sum("forward" in vars(module) for module in model.modules()) == num_norms
        assert (home.apply_rotary_pos_emb is apply_rotary_embedding) == (architecture != "cohere2")
    assert not any("forward" in vars(module) for module in model.modules())
    assert home.apply_rotary_pos_emb is theirs


def test_token_losses_are_torch_s_cross_entropy():
    torch.manual_seed(0)
    ours = torch.randn(7, 11, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    targets, weights = torch.randint(0, 11, (7,)), torch.rand(7)
    losses = token_losses(ours, targets)
    expected = cross_entropy(theirs, targets, reduction="none")
    assert torch.allclose(losses, expected)
    (losses * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-7)


def test_loss_on_all_leaves_out_only_first_tokens():
    examples = table(2)
    one = build_micro_batch(examples, np.arange(4), packed=True, loss_on_prompt=True)
    assert len(one.cells) == examples.lengths.sum() - 4
    assert (one.cells >= 0).sum() == (examples.lengths - examples.prompt_lengths).sum()


def test_architecture_that_crosses_sequence_boundaries_is_padded_or_refused(tmp_path):
    from tiny_models import tokenizer
    from transformers import MambaConfig, MambaForCausalLM

    from crosslift.training.trainers.native import train

    model = MambaForCausalLM(MambaConfig(vocab_size=258, hidden_size=16, num_hidden_layers=1, state_size=4))
    model.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    request = TrainingRequest(
        model=str(tmp_path / "base"),
        revision=None,
        config=SFTConfig(steps=1, learning_rate=1e-3, batch_examples=2),
        examples=table(2),
        validation=None,
        seed=0,
        folder=tmp_path,
    )
    with pytest.raises(TrainingError, match="packing = false"):
        train(request)
    train(replace(request, config=replace(request.config, packing=False)))
    assert (tmp_path / "checkpoint" / "model.safetensors").is_file()
