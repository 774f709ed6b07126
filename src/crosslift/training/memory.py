"""Memory of a training run on each of its devices, from the numbers of a model's configuration.

The estimate adds up what the native trainer holds: weights, gradients, the moments of AdamW, activations saved for the
backward pass, logits under the loss mask, and with several devices the layers that are gathered to be computed. It
needs no model and no torch, so a plan can give it before anything is downloaded. `benchmarks/memory.py` compares it
with measured peaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from crosslift.training.trainer import SFTConfig

Device = Literal["cpu", "cuda"]

RUNTIME_BYTES = {"cpu": 480 * 2**20, "cuda": 1280 * 2**20}
"""Bytes of a process before a model is loaded: Python with its libraries on a CPU (resident memory), the context and
the workspaces of the matrix library on a GPU."""
SAVED_SCORES = 1 << 24
"""`MAX_SAVED_SCORES` of the native trainer's attention on a CPU: above it, attention is recomputed."""
FLOAT = 4
"""Bytes of float32, the type of weights, gradients and moments unless the study sets another."""
ROUNDED = 2
"""Bytes of bfloat16."""
MOMENT_BLOCKS = range(16, 257)
"""Elements of a block of 8-bit moments; every block has a scale in float32."""
MIN_QUANTISED = 4096
"""Elements of the smallest matrix whose moments are quantised (T. Dettmers et al. 2022, arXiv 2110.02861)."""
UPDATED_AT_ONCE = 1 << 21
"""Elements of a matrix that the optimizer updates at once if weights or moments are not float32."""
OF_UPDATE = 64
"""Bytes for each of them: float32 copies, and indices of eight bytes while codes are found."""

RETAINED = {"full": 1.7, "lora": 2.5}
"""Factor of activations and logits on a CPU whose freed memory stays with the process (`retain_freed_memory`): tensors
are allocated between others of different sizes. Measured with glibc 2.36 by benchmarks/memory.py."""

_TIED = ("gemma", "cohere")
"""Beginnings of the model types whose configurations tie the embedding to the head unless they say otherwise."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of a dense decoder that determine its memory."""

    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether the language-model head is the embedding."""
    stored_bytes: int = ROUNDED
    """Bytes per parameter in the model's files."""
    other_parameters: int = 0
    """Parameters outside the decoder, such as an image encoder, which are loaded but not passed through."""
    soft_cap: bool = False
    """Whether logits pass through a tanh, whose result is saved."""

    @property
    def query_size(self) -> int:
        """Width of the queries of a layer."""
        return self.heads * self.head_size

    @property
    def key_size(self) -> int:
        """Width of the keys of a layer, and of its values."""
        return self.key_heads * self.head_size

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Linear layers of one decoder layer: name -> (outputs, inputs)."""
        return {
            "q": (self.query_size, self.hidden),
            "k": (self.key_size, self.hidden),
            "v": (self.key_size, self.hidden),
            "o": (self.hidden, self.query_size),
            "gate": (self.intermediate, self.hidden),
            "up": (self.intermediate, self.hidden),
            "down": (self.hidden, self.intermediate),
        }

    @property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer; norm weights are negligible."""
        return sum(math.prod(shape) for shape in self.matrices.values()) + self.norms * self.hidden

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding and of the head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        return self.layers * self.layer_parameters + self.embedding_parameters + self.hidden + self.other_parameters

    @property
    def norms(self) -> int:
        """Norms over the hidden state in one decoder layer."""
        if self.model_type.startswith("cohere"):
            return 1
        return 4 if self.model_type.startswith(("gemma2", "gemma3")) else 2

    @property
    def norms_of_heads(self) -> bool:
        """Whether queries and keys are normalised."""
        return self.model_type.startswith(("qwen3", "gemma3"))

    def adapter_parameters(self, rank: int, targets: tuple[str, ...] | str = "all-linear") -> int:
        """Parameters of a LoRA adapter.

        Args:
            rank: its rank.
            targets: names of the modules as in `LoRAConfig.target_modules`.
        """
        chosen = [
            shape
            for name, shape in self.matrices.items()
            if isinstance(targets, str) or any(one.removesuffix("_proj") == name for one in targets)
        ]
        return self.layers * rank * sum(sum(shape) for shape in chosen)


def read_architecture(config: Mapping[str, Any]) -> Architecture | None:
    """Read the numbers from the content of a config.json.

    Args:
        config: the JSON object; the text part of a model with images is found in it.

    Returns:
        The architecture, or None if it is not a dense decoder with the usual names.
    """
    text = config.get("text_config") or config
    if not isinstance(text, Mapping):
        return None
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    sizes = [text.get(name) for name in names]
    if not all(type(size) is int and size > 0 for size in sizes) or any("expert" in str(key) for key in text):
        return None
    layers, hidden, intermediate, heads, vocabulary = (int(size) for size in sizes if size is not None)
    kind = str(text.get("model_type") or config.get("model_type") or "")
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    dtype = str(config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype") or "")
    return Architecture(
        model_type=kind,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        key_heads=int(text.get("num_key_value_heads") or heads),
        head_size=int(text.get("head_dim") or hidden // heads),
        vocabulary=vocabulary,
        tied=kind.startswith(_TIED) if tied is None else bool(tied),
        stored_bytes=FLOAT if dtype in ("float32", "") else ROUNDED,
        soft_cap=text.get("final_logit_softcapping") is not None,
    )


def moment_block(shape: tuple[int, ...]) -> int | None:
    """Elements of a block of 8-bit moments of a weight; None if its moments are not quantised.

    A block divides a row, so that blocks are the same on any number of devices, which divide a matrix by rows.

    Args:
        shape: shape of the whole weight.
    """
    block = math.gcd(math.prod(shape[1:]), MOMENT_BLOCKS[-1])
    return block if len(shape) > 1 and math.prod(shape) >= MIN_QUANTISED and block in MOMENT_BLOCKS else None


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
class Memory:
    """Bytes on one device. `total` is the peak, in which not all parts occur together."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    """Saved for the backward pass."""
    logits: int
    gathered: int
    """Layers gathered from the other devices, and their gradients before they are distributed; 0 on one device."""
    loading: int
    """Peak while the model is loaded, without `runtime`."""
    runtime: int
    accumulates: bool = True
    updating: int = 0
    """What the update of the weights takes at once, when there are no activations."""

    @property
    def total(self) -> int:
        """Peak of the run."""
        passing = self.activations + self.logits
        updating = self.gradients + self.updating
        held = max(updating, self.gradients + passing if self.accumulates else passing)
        training = self.weights + self.optimizer + held + self.gathered
        return self.runtime + max(self.loading, training)

    def parts(self) -> dict[str, int]:
        """The parts by name, without loading, which other parts exceed."""
        return {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "activations": self.activations,
            "logits": self.logits,
            "gathered layers": self.gathered,
            "runtime": self.runtime,
        }

    def words(self) -> str:
        """The total and its parts in a phrase, largest first."""
        parts = sorted(((size, name) for name, size in self.parts().items() if size), reverse=True)
        return f"{gigabytes(self.total)} ({', '.join(f'{name} {gigabytes(size)}' for size, name in parts)})"


def workload(config: SFTConfig, *, num_devices: int = 1, mean_length: int | None = None, together: int = 1) -> Workload:
    """The largest micro-batch of a configuration.

    Args:
        config: the settings of training.
        num_devices: devices that share a step.
        mean_length: mean tokens of an example; None assumes `max_length`, an upper bound.
        together: LoRA runs whose steps share passes.

    Returns:
        The micro-batch. All of its tokens are taken to be under the loss mask, which is an upper bound too.
    """
    length = min(mean_length or config.max_length, config.max_length)
    step = config.batch_tokens or (config.batch_examples or 1) * length
    share = math.ceil(step * together / num_devices)
    tokens = max(min(config.micro_batch_tokens, share), config.max_length if mean_length is None else length)
    return Workload(
        tokens=tokens, loss_tokens=tokens, mean_length=length, accumulates=share > config.micro_batch_tokens
    )


def estimate(
    architecture: Architecture,
    config: SFTConfig,
    *,
    load: Workload | None = None,
    device: Device = "cuda",
    num_devices: int = 1,
    cpu_offload: bool = False,
    retains: bool = True,
    together: int = 1,
) -> Memory:
    """Estimate the memory of a run of the native trainer on each device.

    Args:
        architecture: the model.
        config: the settings of training.
        load: the largest micro-batch; None for that of `workload`.
        device: where it is computed.
        num_devices: devices of the run.
        cpu_offload: keep weights, gradients and moments in the memory of the machine instead of the device's.
        retains: whether the process retains freed memory on a CPU, as the native trainer makes it do on
            one device.
        together: LoRA runs that are trained together: they share the frozen weights and the passes.

    Returns:
        The estimate.
    """
    load = load or workload(config, num_devices=num_devices, together=together)
    lora = config.method == "lora"
    rank, targets = (config.lora.rank, config.lora.target_modules) if config.lora else (16, "all-linear")
    trained = together * architecture.adapter_parameters(rank, targets) if lora else architecture.parameters
    frozen = architecture.parameters if lora else 0
    frozen_bytes = architecture.stored_bytes if device == "cuda" else FLOAT
    size = ROUNDED if config.weight_precision == "bfloat16" else FLOAT
    weights = size * trained + frozen_bytes * frozen
    sharded = num_devices > 1
    memory = Memory(
        weights=weights // num_devices,
        gradients=size * trained // num_devices,
        optimizer=_moments(architecture, config, trained, rank=rank if lora else None) // num_devices,
        activations=_activations(architecture, config, load, device, fused=not sharded, rank=rank if lora else 0),
        logits=_logits(architecture, load, device, rounded=size == ROUNDED),
        gathered=_gathered(architecture, device, lora=lora, size=size) if sharded else 0,
        loading=_loading(architecture, weights, device, num_devices),
        runtime=RUNTIME_BYTES[device],
        accumulates=load.accumulates,
        updating=OF_UPDATE * min(UPDATED_AT_ONCE, trained) if config.saves_memory else 0,
    )
    if retains and device == "cpu" and not sharded:
        factor = RETAINED[config.method]
        memory = replace(memory, activations=int(factor * memory.activations), logits=int(factor * memory.logits))
    if cpu_offload and device == "cuda":
        memory = replace(memory, weights=0, gradients=0, optimizer=0, loading=0)
    return memory


def _moments(model: Architecture, config: SFTConfig, trained: int, *, rank: int | None) -> int:
    """The two moments of AdamW. Rows of matrices are taken to be as long as the hidden state, or as the rank of an
    adapter, whose first matrices have longer rows."""
    if config.optimizer_state != "8-bit":
        return 2 * FLOAT * trained
    columns = model.hidden if rank is None else rank
    block = moment_block((MIN_QUANTISED, columns))
    return 2 * FLOAT * trained if block is None else 2 * trained + 2 * FLOAT * trained // block


def gigabytes(size: float) -> str:
    """Format bytes as gigabytes (10^9) with two significant digits at least: 0.051 GB, 3.2 GB, 128 GB."""
    number = size / 1e9
    return f"{number:,.0f} GB" if number >= 10 else f"{number:.2g} GB"


def _activations(
    model: Architecture, config: SFTConfig, load: Workload, device: Device, *, fused: bool, rank: int
) -> int:
    """Tensors saved for the backward pass, by what autograd keeps of each operation of a decoder layer."""
    if device == "cpu" and config.weight_precision == "bfloat16":
        layer = _layer_of_rounded_weights(model, load)
    else:
        layer = _layer_bytes(model, load, device, fused=fused, rank=rank)
    boundary = (ROUNDED if config.weight_precision == "bfloat16" else FLOAT) * load.tokens * model.hidden
    if config.gradient_checkpointing:
        return model.layers * boundary + layer + _transient(model, load, device)
    return model.layers * layer + boundary + _transient(model, load, device)


def _layer_bytes(model: Architecture, load: Workload, device: Device, *, fused: bool, rank: int) -> int:
    hidden, query, key, wide = model.hidden, model.query_size, model.key_size, model.intermediate
    if device == "cpu":
        # Values of four bytes. A fused norm keeps its normalised input; the linear layers keep its result.
        of_norm = 1 if fused and not model.model_type.startswith("cohere") else 2
        values = of_norm * model.norms * hidden + (1 if model.norms == 1 else 2) * hidden
        values += 2 * query + 2 * key  # queries, keys and values of the attention, and its result
        if model.norms_of_heads:
            values += of_norm * (query + key)
        values += 4 * wide  # gate, its activation, the other half, their product
        values += rank * len(model.matrices)
        scores = load.tokens * load.mean_length * model.heads
        return FLOAT * (load.tokens * values + (scores if scores <= SAVED_SCORES else 0))
    # On a GPU norms are computed in float32 and every matrix product copies its input to bfloat16.
    norms = 2 * FLOAT * model.norms * hidden
    inputs = ROUNDED * (5 * hidden + query + wide)
    attention = ROUNDED * (2 * query + 2 * key) + (3 * FLOAT * (query + key) if model.norms_of_heads else 0)
    gated = ROUNDED * 3 * wide
    return load.tokens * (norms + inputs + attention + gated + ROUNDED * rank * len(model.matrices))


def _layer_of_rounded_weights(model: Architecture, load: Workload) -> int:
    """As `_layer_bytes`, on a CPU with weights in bfloat16: norms and attention are computed in float32."""
    hidden, query, key, wide = model.hidden, model.query_size, model.key_size, model.intermediate
    of_norms = model.norms * hidden + (query + key if model.norms_of_heads else 0)
    floats = 2 * of_norms + 2 * query + 2 * key
    rounded = of_norms + 2 * hidden + query + 4 * wide
    scores = load.tokens * load.mean_length * model.heads
    saved = FLOAT * scores if scores <= SAVED_SCORES else 0
    return load.tokens * (FLOAT * floats + ROUNDED * rounded) + saved


def _transient(model: Architecture, load: Workload, device: Device) -> int:
    """Gradients of activations that are alive at once in the backward pass of a layer."""
    size = FLOAT if device == "cpu" else ROUNDED
    return load.tokens * (2 * size * model.intermediate + 2 * FLOAT * model.hidden)


def _logits(model: Architecture, load: Workload, device: Device, *, rounded: bool) -> int:
    """Logits with their log-probabilities, which are float32."""
    size = (FLOAT if device == "cpu" and not rounded else ROUNDED) * (2 if model.soft_cap else 1)
    return load.loss_tokens * model.vocabulary * (size + FLOAT)


def _gathered(model: Architecture, device: Device, *, lora: bool, size: int) -> int:
    """The layer that is computed and the next, and embedding and head, which stay gathered; with their gradients.

    `size` is that of a trained weight in bytes.
    """
    of_layers = 2 * (size if device == "cpu" else ROUNDED) * model.layer_parameters
    of_embeddings = (model.stored_bytes if lora and device == "cuda" else size) * model.embedding_parameters
    if lora:
        return of_layers + of_embeddings
    return of_layers + FLOAT * model.layer_parameters + 2 * of_embeddings


def _loading(model: Architecture, weights: int, device: Device, num_devices: int) -> int:
    """The weights, and on a CPU the pages of the file that are mapped while they are read."""
    largest = FLOAT * model.vocabulary * model.hidden
    if num_devices > 1:
        return weights // num_devices + largest
    return weights + (model.stored_bytes * model.parameters if device == "cpu" else 0)
