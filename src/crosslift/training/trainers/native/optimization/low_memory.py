"""AdamW with moments in 8 bits, or with weights in bfloat16 that are rounded stochastically, or with both.

The update and the 8-bit code are torchao's (`single_param_adam`, `create_dynamic_map`): dynamic quantisation by block,
T. Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization", arXiv 2110.02861. As there, vectors and
matrices of fewer than 4,096 elements keep float32 moments. Four things differ from torchao's class `AdamW8bit`:

- A block lies within a row. torchao cuts blocks out of the part of a matrix that a device holds, so that moments would
  depend on the number of devices, and a state could not be read by another number of them.
- Moments that are not quantised are float32. torchao gives them the type of the weights, and a second moment in
  bfloat16 stops to change, because it changes by a thousandth per step.
- The noise of rounding follows from seed, step and place (`rounding`), not from the global generator.
- Rows are updated in chunks of limited size, as torch operators. torchao compiles a function for every shape.

Gradients are clipped within the update, in float32: multiplied before, bfloat16 gradients would be rounded once more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, zeros
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from crosslift.extras import optional
from crosslift.training.memory import UPDATED_AT_ONCE, moment_block
from crosslift.training.trainers.native.optimization.rounding import RoundingNoise, round_stochastically

MOMENTS = ("exp_avg", "exp_avg_sq")
SCALE = "_scale"
"""Ending of the name of the scales that belong to 8-bit moments."""


class LowMemoryAdamW(torch.optim.Optimizer):
    """AdamW for weights of float32 or bfloat16, on one device or sharded by rows. See the module.

    Args:
        groups: parameters with their weight decay, as for torch's optimizers.
        names: name of each parameter, which addresses the noise of its rounding.
        eight_bit: whether moments are kept in 8 bits.
        max_grad_norm: largest norm of all gradients together; 0 for no limit.
        seed: seed of the run.

    Raises:
        MissingPackage: torchao is not installed.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        names: Mapping[Tensor, str],
        eight_bit: bool,
        max_grad_norm: float,
        seed: int,
    ) -> None:
        super().__init__(groups, {"lr": 0.0, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0})
        self._names = dict(names)
        self._eight_bit = eight_bit
        self._max_grad_norm = max_grad_norm
        self._noise = RoundingNoise(seed)
        self._torchao = _TorchAO()

    def empty_moments(self, weight: Tensor) -> dict[str, Tensor]:
        """Moments of a weight before the first step, sharded as the weight is.

        Args:
            weight: a parameter.

        Returns:
            "exp_avg" and "exp_avg_sq": float32, or codes in uint8 of the weight's shape; then also the scale of every
            block as "exp_avg_scale" and "exp_avg_sq_scale", float32, (rows, blocks of a row).
        """
        block = self._block(weight)
        found: dict[str, Tensor] = {}
        for name in MOMENTS:
            found[name] = torch.zeros_like(weight.detach(), dtype=torch.float32 if block is None else torch.uint8)
            if block is not None:
                found[name + SCALE] = _zeros_by_row(weight, math.prod(weight.shape[1:]) // block)
        return found

    def kinds_of_moments(self, weight: Tensor) -> tuple[str, ...]:
        """Keys of what `empty_moments` returns."""
        scales = () if self._block(weight) is None else tuple(name + SCALE for name in MOMENTS)
        return (*MOMENTS, *scales)

    def _block(self, weight: Tensor) -> int | None:
        return moment_block(tuple(weight.shape)) if self._eight_bit else None

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient. `closure` is not supported."""
        assert closure is None
        factor = self._gradient_factor()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state.update(step=0, **self.empty_moments(weight))
                state["step"] += 1
                self._update(weight, state, factor, group)

    def _gradient_factor(self) -> Tensor | None:
        """What gradients are multiplied by, so that their norm is at most `max_grad_norm`; None for 1."""
        if self._max_grad_norm <= 0:
            return None
        whole = [weight.grad for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        parts = [part for grad in whole if (part := _part_here(grad)[0]).numel()]
        norms = torch._foreach_norm(parts, 2.0, torch.float32) if parts else [torch.zeros((), device=whole[0].device)]
        norm = torch.linalg.vector_norm(torch.stack(list(norms)))
        sharded = next((grad for grad in whole if isinstance(grad, DTensor)), None)
        if sharded is not None:
            squares = norm.square()
            dist.all_reduce(squares, group=sharded.device_mesh.get_group())
            norm = squares.sqrt()
        factor: Tensor = (self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
        return factor

    def _update(self, weight: Tensor, state: dict[str, Any], factor: Tensor | None, group: dict[str, Any]) -> None:
        (values, first), (gradient, _) = _part_here(weight.detach()), _part_here(weight.grad)
        held = {name: _part_here(value)[0] for name, value in state.items() if name != "step"}
        for chunk in _chunks(tuple(weight.shape), first, len(values) if values.ndim else 1):
            rows = {name: _rows(one)[chunk.here] for name, one in held.items()}
            target = part = _rows(values)[chunk.here]
            if part.dtype != torch.float32:
                target = part.float()
            gradients = _rows(gradient)[chunk.here].float()
            moments = [self._read(rows, name) for name in MOMENTS]
            self._torchao.update(
                target,
                gradients if factor is None else gradients * factor,
                torch.tensor(float(state["step"])),
                *moments,
                None,  # no maximum of the second moments
                group["lr"],
                *group["betas"],
                group["weight_decay"],
                group["eps"],
                True,  # AdamW
                False,  # rounded below
            )
            for name, moment in zip(MOMENTS, moments, strict=True):
                self._write(rows, name, moment)
            if target is not part:
                noise = self._noise.chunk(self._names[weight], state["step"], chunk.number, chunk.shape, target.device)
                part.copy_(round_stochastically(target, noise[chunk.inside]))

    def _read(self, rows: Mapping[str, Tensor], name: str) -> Tensor:
        """A moment of some rows in float32: itself, or the values that its codes stand for."""
        if (scale := rows.get(name + SCALE)) is None:
            return rows[name]
        found: Tensor = self._torchao.decode(rows[name], self._torchao.values(name, scale.device), scale.flatten())
        return found

    def _write(self, rows: Mapping[str, Tensor], name: str, moment: Tensor) -> None:
        """Keep a moment of some rows that was updated."""
        if (scale := rows.get(name + SCALE)) is not None:
            scaled, scales = self._torchao.scale(moment, moment.shape[1] // scale.shape[1])
            scale.copy_(scales.view_as(scale))
            rows[name].copy_(nearest_codes(scaled, self._torchao.values(name, scale.device)))


def nearest_codes(scaled: Tensor, values: Tensor) -> Tensor:
    """Quantise to the nearest value.

    torchao's `quantize_8bit_with_qmap` finds the same codes by eight steps of a search, each of them several operators
    over integers of eight bytes; here it is one operator, and an update takes a fraction of the time and memory.

    Args:
        scaled: float32, from -1 to 1.
        values: the values of the codes, ascending, float32, (256,).

    Returns:
        Codes, int32, of the shape of `scaled`.
    """
    return torch.bucketize(scaled, (values[:-1] + values[1:]) / 2, right=True, out_int32=True)


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """Rows of a matrix that are updated at once."""

    number: int
    shape: tuple[int, int]
    """Rows and columns of the whole chunk, of which this device may hold a part."""
    inside: slice
    """The rows of this device within the chunk."""
    here: slice
    """The same rows within what this device holds."""


def _chunks(shape: tuple[int, ...], first: int, number: int) -> Iterator[_Chunk]:
    """Chunks of a weight of which a device holds some rows.

    Args:
        shape: shape of the whole weight.
        first: first row that this device holds.
        number: rows that it holds.
    """
    rows, columns = (shape[0] if shape else 1), math.prod(shape[1:])
    size, end = max(1, UPDATED_AT_ONCE // max(1, columns)), first + number
    for chunk in range(first // size, math.ceil(end / size)):
        start, stop = chunk * size, min((chunk + 1) * size, rows)
        own = max(first, start), min(end, stop)
        yield _Chunk(
            number=chunk,
            shape=(stop - start, columns),
            inside=slice(own[0] - start, own[1] - start),
            here=slice(own[0] - first, own[1] - first),
        )


def _rows(tensor: Tensor) -> Tensor:
    """A view with two axes: rows and all others."""
    return tensor.view(tensor.shape[0] if tensor.ndim else 1, math.prod(tensor.shape[1:]))


def _part_here(tensor: Any) -> tuple[Tensor, int]:
    """The rows of a tensor that this device holds, and the number of the first."""
    if not isinstance(tensor, DTensor):
        return tensor, 0
    shape, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tensor.to_local(), offset[0] if shape[0] else 0


def _zeros_by_row(weight: Tensor, columns: int) -> Tensor:
    """Zeros in float32 with the rows of a weight, sharded as the weight is."""
    if not isinstance(weight, DTensor):
        return torch.zeros(len(weight), columns, device=weight.device)
    made = zeros(len(weight), columns, device_mesh=weight.device_mesh, placements=weight.placements)
    return made.to(weight.device)  # offloaded weights are on the CPU


class _TorchAO:
    """What is used of torchao: the update, the code's values, and blocks with their scales."""

    def __init__(self) -> None:
        with optional():
            from torchao.optim import quant_utils
            from torchao.optim.adam import single_param_adam
        self.update: Any = single_param_adam
        self.decode: Any = quant_utils.dequant_with_qmap
        self.scale: Any = quant_utils.scale_tensor
        self._maps = {name: quant_utils.create_dynamic_map(signed=name == "exp_avg") for name in MOMENTS}
        self._on_device: dict[tuple[str, torch.device], Tensor] = {}

    def values(self, name: str, device: torch.device) -> Tensor:
        """The values that the codes of a moment stand for, ascending, float32, (256,)."""
        if (name, device) not in self._on_device:
            self._on_device[name, device] = torch.tensor(self._maps[name], device=device)
        return self._on_device[name, device]
