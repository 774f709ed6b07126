"""Compiled decoder layers: torch.compile fuses norms, rotary embeddings, gates and casts between matrix products.

Layers of the same kind share one compiled function, with the number of tokens as a variable. The checkpoint is not
affected: a compiled layer keeps its parameters and their names.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch

from crosslift.errors import TrainingError

MIN_STEPS = 200
"""Optimizer steps below which compiling, which takes about a minute, is not attempted."""
BACKEND = "inductor"

log = logging.getLogger(__name__)


class CompiledBlocks:
    """The compiled layers of a model."""

    def __init__(self, model: Any) -> None:
        kinds = set(getattr(model, "_no_split_modules", None) or ())
        # A layer that is divided among devices is of a subclass with another name.
        self._layers = [
            one for one in model.modules() if kinds.intersection(kind.__name__ for kind in type(one).__mro__)
        ]
        self._graphs_before = _counted()

    def __len__(self) -> int:
        return len(self._layers)

    def compile(self) -> None:
        """Compile each layer at its next call."""
        for layer in self._layers:
            layer.compile(dynamic=True, backend=BACKEND)

    def remove(self) -> None:
        """Let the layers be computed as they are written."""
        for layer in self._layers:
            layer._compiled_call_impl = None

    @property
    def words(self) -> str:
        """What was compiled so far."""
        graphs, breaks = (now - before for now, before in zip(_counted(), self._graphs_before, strict=True))
        return f"compiled ({graphs} graphs" + (f", {breaks} breaks" if breaks else "") + ")"


def _counted() -> tuple[int, int]:
    """Graphs and graph breaks of this process so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


def compile_blocks(
    model: Any, try_out: Callable[[], None], *, num_steps: int, num_devices: int = 1
) -> CompiledBlocks | str:
    """Compile the decoder layers of a model, and try them out.

    Args:
        model: the model without an adapter around it.
        try_out: runs the model forwards and backwards.
        num_steps: optimizer steps of the run.
        num_devices: devices of the run, all of which must do this.

    Returns:
        The layers, or why they are not compiled.

    Raises:
        TrainingError: on one of several devices, the compiler fails. The other devices may wait in the middle of the
            pass that failed, so the run cannot go on without it.
    """
    if num_steps < MIN_STEPS:
        return f"the run has {num_steps} steps, and compiling pays from {MIN_STEPS}"
    if BACKEND == "inductor" and importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    blocks = CompiledBlocks(model)
    if not len(blocks):
        return f"{type(model).__name__} does not name its layers"
    blocks.compile()
    try:
        try_out()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # compilers fail in many ways
        blocks.remove()
        torch._dynamo.reset()
        reason = f"torch.compile fails ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        if num_devices > 1:
            raise TrainingError(f"{reason}. Set compile = false in site.toml.") from error
        log.warning("the layers are not compiled: %s", reason)
        return reason
    return blocks
