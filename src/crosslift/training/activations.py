"""Memory of a pass through a model: what is saved for the backward pass, and what the loss takes.

The terms follow the operations of the native trainer, one by one. On a GPU its layers are taken as they are written,
with attention over packed rows and, where the head allows it, the loss in chunks; tests compare the sums with the bytes
of the tensors of such a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from crosslift.training.architecture import FLOAT, ROUNDED, Architecture
from crosslift.training.trainer import SFTConfig

Device = Literal["cpu", "cuda"]

SAVED_SCORES = 1 << 24
"""`MAX_SAVED_SCORES` of the native trainer's attention on a CPU: above it, attention is recomputed."""
CHUNK_BYTES, ROW_MULTIPLE = 1 << 29, 64
"""Those of the native trainer's `gpu.linear_loss`: log-probabilities of a chunk, and a factor of its rows."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What passes through the model at once."""

    tokens: int
    """Tokens of the largest micro-batch."""
    loss_tokens: int
    """Tokens of it under the loss mask."""
    mean_length: int
    """Mean tokens of an example."""
    accumulates: bool
    """Whether a step has several micro-batches on a device, so that gradients are held beside activations."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """How a device holds the model."""

    device: Device
    weight_bytes: int
    """Bytes per weight of the layers."""
    rank: int = 0
    """Rank of the adapters; 0 if all weights are trained."""
    num_adapters: int = 1
    """Adapters that share the pass."""
    adapts_head: bool = False
    """Whether the head has an adapter."""
    sharded: bool = False
    """Whether the layers are gathered from several devices, which rounds them where that is needed."""

    @property
    def is_trained(self) -> bool:
        """Whether the model's own weights are trained."""
        return self.rank == 0

    @property
    def rounds(self) -> bool:
        """Whether every product with a weight keeps a copy of it in bfloat16."""
        return self.device == "cuda" and self.weight_bytes == FLOAT and not self.sharded

    @property
    def stream_bytes(self) -> int:
        """Bytes of a value of the residual stream."""
        return self.weight_bytes  # on a CPU frozen weights are float32


def loss_in_chunks(model: Architecture, held: Held) -> bool:
    """Return whether the loss is computed together with the head, chunk by chunk."""
    return held.device == "cuda" and not (model.changes_logits or held.adapts_head)


def held_for_backward(model: Architecture, config: SFTConfig, load: Workload, held: Held) -> int:
    """Return the bytes saved for the backward pass, with what its first layer takes beyond what the loss took.

    Args:
        model: the model.
        config: the settings of training.
        load: the largest micro-batch.
        held: how the device holds the model.
    """
    layer = _layer_bytes(model, load, held)
    boundary = held.stream_bytes * load.tokens * model.hidden
    saved = model.layers * (boundary if config.gradient_checkpointing else layer)
    last = boundary if held.device == "cpu" else _ends(model, load, held)
    computed = _transient(model, load, held) + (layer if config.gradient_checkpointing else 0)
    if held.device == "cpu":
        return saved + last * (not config.gradient_checkpointing) + computed
    of_loss = held_for_loss(model, load, held)
    return max(saved + last + max(0, computed - of_loss), _held_at_end(model, load, held) - of_loss)


def held_for_loss(model: Architecture, load: Workload, held: Held) -> int:
    """Return the bytes that head and loss take at their peak, weights and saved activations apart.

    Args:
        model: the model.
        load: the largest micro-batch.
        held: how the device holds the model.
    """
    num, weights = load.loss_tokens, model.vocabulary * model.hidden
    if held.device == "cpu":  # logits, and log-probabilities, which become the gradient
        return num * model.vocabulary * (held.weight_bytes * (2 if model.soft_cap else 1) + FLOAT)
    rounded = ROUNDED * weights if held.weight_bytes == FLOAT else 0
    if not loss_in_chunks(model, held):
        forward = num * model.vocabulary * (ROUNDED * (2 if model.soft_cap else 1) + FLOAT)
        # The gradient of the weights is computed in bfloat16, and then converted.
        backward = ROUNDED * num * model.vocabulary + (ROUNDED + FLOAT) * weights if held.is_trained else 0
        return rounded + max(forward, backward)
    rows = min(num, max(ROW_MULTIPLE, CHUNK_BYTES // (FLOAT * model.vocabulary) // ROW_MULTIPLE * ROW_MULTIPLE))
    chunk = (ROUNDED + FLOAT) * rows * model.vocabulary  # logits and log-probabilities; or the gradient in both types
    states = 2 * ROUNDED * num * model.hidden  # and their gradient
    if not held.is_trained:
        return rounded + chunk + states
    gradient = FLOAT * weights  # of the weights: of all chunks so far, and of this one
    before = gradient if rows < num else 0
    in_all = 0 if held.sharded else before  # on several devices it counts as gathered
    return rounded + states + max(in_all + chunk, in_all + ROUNDED * rows * model.vocabulary + gradient)


def _layer_bytes(model: Architecture, load: Workload, held: Held) -> int:
    """Tensors that autograd saves of each operation of a decoder layer."""
    hidden, query, key, wide = model.hidden, model.query_size, model.key_size, model.intermediate
    if held.device == "cpu" and held.weight_bytes == ROUNDED:
        return _rounded_layer_bytes(model, load)
    if held.device == "cpu":
        # Values of four bytes. A fused norm keeps its normalised input; the linear layers keep its result.
        of_norm = 1 if not held.sharded and not model.model_type.startswith("cohere") else 2
        values = of_norm * model.norms * hidden + (1 if model.norms == 1 else 2) * hidden
        values += 2 * query + 2 * key  # queries, keys and values of the attention, and its result
        if model.norms_of_heads:
            values += of_norm * (query + key)
        values += 4 * wide  # gate, its activation, the other half, their product
        values += held.rank * len(model.matrices)
        scores = load.tokens * load.mean_length * model.heads
        return FLOAT * (load.tokens * values + (scores if scores <= SAVED_SCORES else 0))
    norms = _norm_bytes(model, held) * model.norms * hidden
    heads = 0
    if model.norms_of_heads:
        normalised = FLOAT if model.model_type.startswith("gemma") else ROUNDED
        heads = (FLOAT + normalised * held.is_trained) * (query + key)
    attention = ROUNDED * (2 * query + 2 * key)  # with its result
    gated = ROUNDED * 3 * wide
    if not held.is_trained and held.num_adapters == 1:  # PEFT converts the input of each adapter
        inputs = ROUNDED * (5 * hidden + query + wide)
    elif held.stream_bytes == FLOAT:  # every product rounds its input; the result of attention is rounded already
        inputs = ROUNDED * (5 * hidden + wide)
    else:  # products of the same values share them
        inputs = ROUNDED * (2 * hidden + wide)
    adapters = ROUNDED * held.rank * len(model.matrices)
    copies = ROUNDED * sum(math.prod(shape) for shape in model.matrices.values()) if held.rounds else 0
    copies += ROUNDED * held.num_adapters * model.adapter_parameters(held.rank) // model.layers
    return load.tokens * (norms + heads + attention + gated + inputs + adapters) + copies


def _rounded_layer_bytes(model: Architecture, load: Workload) -> int:
    """As `_layer_bytes`, on a CPU with weights in bfloat16: norms and attention are computed in float32."""
    hidden, query, key, wide = model.hidden, model.query_size, model.key_size, model.intermediate
    of_norms = model.norms * hidden + (query + key if model.norms_of_heads else 0)
    floats = 2 * of_norms + 2 * query + 2 * key
    rounded = of_norms + 2 * hidden + query + 4 * wide
    scores = load.tokens * load.mean_length * model.heads
    saved = FLOAT * scores if scores <= SAVED_SCORES else 0
    return load.tokens * (FLOAT * floats + ROUNDED * rounded) + saved


def _norm_bytes(model: Architecture, held: Held) -> int:
    """On a GPU: bytes per value of a norm, which is computed in float32.

    It keeps its input, and the normalised values where its weights are trained. Cohere's subtract the mean, twice.
    """
    inputs = FLOAT * (2 if model.model_type.startswith("cohere") else 1)
    return inputs + (FLOAT if held.is_trained else 0)


def _held_at_end(model: Architecture, load: Workload, held: Held) -> int:
    """On a GPU, at the end of the backward pass: gradients of a tied embedding, beside those of earlier passes.

    That of the head waits for that of the embedding, and their sum is a third.
    """
    if not (model.tied and held.is_trained):
        return 0
    gradient = held.weight_bytes * model.vocabulary * model.hidden
    if held.sharded:  # one of them counts as gathered
        return 2 * gradient
    return 3 * gradient if load.accumulates else 2 * gradient + held.weight_bytes * model.parameters


def _ends(model: Architecture, load: Workload, held: Held) -> int:
    """On a GPU: the last norm, and its result, from which the head takes the tokens with a loss."""
    return load.tokens * model.hidden * (_norm_bytes(model, held) + held.stream_bytes)


def _transient(model: Architecture, load: Workload, held: Held) -> int:
    """Gradients of activations that are alive at once in the backward pass of a layer, and that of a matrix."""
    size = FLOAT if held.device == "cpu" else ROUNDED
    activations = load.tokens * (2 * size * model.intermediate + 2 * FLOAT * model.hidden)
    if held.device == "cpu" or not held.is_trained:
        return activations
    return activations + (ROUNDED + FLOAT) * model.hidden * model.intermediate
