"""Memory of a training run on each of its devices, from the numbers of a model's configuration.

The estimate adds up what the native trainer holds: weights, gradients, the moments of AdamW, activations saved for the
backward pass, what head and loss take (see `activations`), and with several devices the layers that are gathered to be
computed. It needs no model and no torch, so a plan can give it before anything is downloaded. `benchmarks/memory.py`
compares it with measured peaks, and for a GPU with the bytes of tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from crosslift.training.activations import Device, Held, Workload, held_for_backward, held_for_loss
from crosslift.training.architecture import FLOAT, ROUNDED, Architecture
from crosslift.training.trainer import SFTConfig

RUNTIME_BYTES = {"cpu": 480 * 2**20, "cuda": 1280 * 2**20}
"""Bytes of a process before a model is loaded: Python with its libraries on a CPU (resident memory), the context and
the workspaces of the matrix library on a GPU."""
MOMENT_BLOCKS = range(16, 257)
"""Elements of a block of 8-bit moments; every block has a scale in float32."""
MIN_QUANTISED = 4096
"""Elements of the smallest matrix whose moments are quantised (T. Dettmers et al. 2022, arXiv 2110.02861)."""
UPDATED_AT_ONCE = 1 << 21
"""Elements of a matrix that the optimizer updates at once if weights or moments are not float32."""
OF_UPDATE = 64
"""Bytes for each of them: float32 copies, and indices of eight bytes while codes are found."""

RETAINED = {"full": 1.7, "lora": 2.5, "together": 1.9}
"""Factor of activations and logits on a CPU whose freed memory stays with the process (`retain_freed_memory`): tensors
are allocated between others of different sizes, fewer where adapters of several runs are computed in place. Measured
with glibc 2.36 by benchmarks/memory.py."""


def moment_block(shape: tuple[int, ...]) -> int | None:
    """Elements of a block of 8-bit moments of a weight; None if its moments are not quantised.

    A block divides a row, so that blocks are the same on any number of devices, which divide a matrix by rows.

    Args:
        shape: shape of the whole weight.
    """
    block = math.gcd(math.prod(shape[1:]), MOMENT_BLOCKS[-1])
    return block if len(shape) > 1 and math.prod(shape) >= MIN_QUANTISED and block in MOMENT_BLOCKS else None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one device. `total` is the peak, in which not all parts occur together."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    """Saved for the backward pass."""
    logits: int
    """What head and loss take at their peak."""
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
    held = Held(
        device=device,
        weight_bytes=frozen_bytes if lora else size,
        rank=rank if lora else 0,
        num_adapters=together,
        adapts_head=lora and "lm_head" in targets,
        sharded=sharded,
    )
    memory = Memory(
        weights=weights // num_devices,
        gradients=size * trained // num_devices,
        optimizer=_moments(architecture, config, trained, rank=rank if lora else None) // num_devices,
        activations=held_for_backward(architecture, config, load, held),
        logits=held_for_loss(architecture, load, held),
        gathered=_gathered(architecture, device, lora=lora, size=size) if sharded else 0,
        loading=_loading(architecture, weights, device, num_devices),
        runtime=RUNTIME_BYTES[device],
        accumulates=load.accumulates,
        updating=OF_UPDATE * min(UPDATED_AT_ONCE, trained) if config.saves_memory else 0,
    )
    if retains and device == "cpu" and not sharded:
        factor = RETAINED["together" if together > 1 else config.method]
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
