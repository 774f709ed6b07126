"""The estimate of a run's memory, from the numbers of a configuration."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from crosslift.pocket import checkpoints
from crosslift.training import activations
from crosslift.training.activations import Workload
from crosslift.training.architecture import Architecture, read_architecture
from crosslift.training.memory import estimate, gigabytes, workload
from crosslift.training.trainer import LoRAConfig, SFTConfig
from crosslift.training.trainers.native import attention
from crosslift.training.trainers.native.gpu import linear_loss
from crosslift.untrusted.model_files import tensor_shapes

CONFIG = SFTConfig(epochs=1, learning_rate=1e-5, batch_examples=512, max_length=2048)
LARGE = Architecture(
    model_type="qwen3",
    layers=36,
    hidden=4096,
    intermediate=12288,
    heads=32,
    key_heads=8,
    head_size=128,
    vocabulary=151936,
    tied=False,
)


@pytest.mark.parametrize("name", ["qwen3-m", "gemma3-m", "cohere-m", "llama-m"])
def test_parameters_are_those_of_the_files(name):
    folder = checkpoints.folder(name)
    shapes = [shape for file in folder.glob("*.safetensors") for shape in tensor_shapes(file).values()]
    found = read_architecture(json.loads((folder / "config.json").read_text()))
    assert found.parameters == pytest.approx(sum(map(math.prod, shapes)), rel=2e-3)
    assert found.stored_bytes == 2


def test_adapters_have_the_size_of_both_matrices():
    matrices = [(4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (12288, 4096), (12288, 4096), (4096, 12288)]
    assert LARGE.adapter_parameters(16) == 36 * 16 * sum(map(sum, matrices))
    assert LARGE.adapter_parameters(16, ("q_proj", "v_proj")) == 36 * 16 * (8192 + 5120)


def test_full_training_holds_sixteen_bytes_per_parameter_and_lora_two():
    full = estimate(LARGE, CONFIG)
    assert full.weights + full.gradients + full.optimizer == pytest.approx(16 * 8.19e9, rel=0.01)
    assert full.total > 128e9
    lora = estimate(LARGE, replace(CONFIG, method="lora", lora=LoRAConfig()))
    assert 2 * 8.19e9 < lora.weights + lora.gradients + lora.optimizer < 2.2 * 8.19e9


def test_lower_precision_takes_six_bytes_per_parameter():
    def bytes_of(**settings):
        found = estimate(LARGE, replace(CONFIG, **settings))
        return (found.weights + found.gradients + found.optimizer) / 8.19e9

    assert bytes_of(optimizer_state="8-bit") == pytest.approx(10.03, rel=0.01)
    assert bytes_of(weight_precision="bfloat16") == pytest.approx(12, rel=0.01)
    assert bytes_of(weight_precision="bfloat16", optimizer_state="8-bit") == pytest.approx(6.03, rel=0.01)
    lora = replace(CONFIG, method="lora", lora=LoRAConfig(rank=64))
    assert estimate(LARGE, replace(lora, optimizer_state="8-bit")).optimizer < estimate(LARGE, lora).optimizer / 3


def test_devices_share_weights_and_moments_and_offloading_frees_them():
    one, four = estimate(LARGE, CONFIG), estimate(LARGE, CONFIG, num_devices=4)
    assert four.weights * 4 == pytest.approx(one.weights)
    assert four.optimizer * 4 == pytest.approx(one.optimizer)
    assert four.gathered > 0 == one.gathered
    offloaded = estimate(LARGE, CONFIG, num_devices=4, cpu_offload=True)
    assert offloaded.weights == offloaded.optimizer == 0


def test_checkpointing_and_smaller_micro_batches_need_less():
    plain = estimate(LARGE, CONFIG)
    checkpointed = estimate(LARGE, replace(CONFIG, gradient_checkpointing=True))
    assert checkpointed.activations < plain.activations / 4
    smaller = estimate(LARGE, replace(CONFIG, micro_batch_tokens=2048))
    assert smaller.activations < plain.activations / 5  # rounded weights are held for any number of tokens


def test_the_loss_in_chunks_holds_one_chunk_unless_the_model_changes_its_logits():
    """Where the head is trained, gradients of its weights come on top."""
    tokens = {"logits": 16_384 * 151_936}
    lora = replace(CONFIG, method="lora", lora=LoRAConfig())
    chunk = 6 * activations.CHUNK_BYTES / 4
    assert chunk <= estimate(LARGE, lora).logits < chunk * 1.6 < 6 * tokens["logits"] / 10
    scaled = replace(LARGE, scales_logits=True)
    assert estimate(scaled, lora).logits == 6 * tokens["logits"]
    of_head = replace(lora, lora=LoRAConfig(target_modules=("q_proj", "lm_head")))
    assert estimate(LARGE, of_head).logits == 6 * tokens["logits"]
    assert estimate(LARGE, CONFIG).logits > estimate(LARGE, lora).logits + 4 * 151_936 * 4096
    assert estimate(LARGE, lora, device="cpu", retains=False).logits == 8 * tokens["logits"]


def test_sizes_of_chunks_and_of_saved_scores_are_those_of_the_trainer():
    assert (activations.CHUNK_BYTES, activations.ROW_MULTIPLE) == (linear_loss.CHUNK_BYTES, linear_loss.ROW_MULTIPLE)
    assert activations.SAVED_SCORES == attention.MAX_SAVED_SCORES


def test_runs_that_are_trained_together_share_the_base_and_the_tokens_of_a_pass():
    lora = replace(CONFIG, method="lora", lora=LoRAConfig())
    one, two, eight = (estimate(LARGE, lora, together=number) for number in (1, 2, 8))
    adapter = LARGE.adapter_parameters(16)
    assert eight.gradients == 8 * one.gradients == 8 * 4 * adapter
    assert eight.weights - one.weights == 7 * 4 * adapter
    assert eight.activations - two.activations == pytest.approx(6 * 2 * adapter)
    assert two.activations < one.activations and eight.logits == one.logits


def test_a_small_batch_limits_the_micro_batch():
    config = replace(CONFIG, batch_examples=8)
    assert workload(config, mean_length=100) == Workload(
        tokens=800, loss_tokens=800, mean_length=100, accumulates=False
    )
    assert workload(config, mean_length=100, num_devices=4).tokens == 200
    assert workload(CONFIG).accumulates


@pytest.mark.parametrize(
    "config", [{}, {"hidden_size": "wide"}, {"text_config": 3}, {"num_hidden_layers": 2, "num_experts": 8}]
)
def test_other_configurations_are_unknown(config):
    assert read_architecture(config) is None


def test_sizes_have_two_digits():
    assert [gigabytes(size) for size in (5.14e7, 3.21e9, 128.4e9)] == ["0.051 GB", "3.2 GB", "128 GB"]
