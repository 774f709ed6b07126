"""Out of memory is no end of a run: the micro-batches are halved, and it continues from its last state.

Micro-batches do not change what is computed, only the order of summation, so the result differs by rounding from that
of a device with more memory. The bound that was used is written to the provenance of the run.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from crosslift.errors import ModelError, TrainingError
from crosslift.training.activations import Workload
from crosslift.training.architecture import read_architecture
from crosslift.training.memory import estimate
from crosslift.training.trainer import TrainingRequest
from crosslift.untrusted.model_files import read_settings

log = logging.getLogger(__name__)


Result = TypeVar("Result")


def train_within_memory(request: TrainingRequest, attempt: Callable[[int | None], Result]) -> Result:
    """Train, with micro-batches halved as often as memory runs out.

    Args:
        request: the request of the run; of several runs, the one with the longest example.
        attempt: trains from the last saved state with this bound of tokens per micro-batch; None: the configured one.

    Returns:
        What the last attempt returned.

    Raises:
        TrainingError: the longest example alone does not fit; the message contains the estimate of the memory.
    """
    longest = int(min(request.examples.lengths.max(initial=1), request.config.max_length))
    limit: int | None = None
    while True:
        try:
            return attempt(limit)
        except torch.OutOfMemoryError as error:
            said = str(error).splitlines()[0] if str(error) else "out of memory"
        # Here the exception no longer references the tensors of the failed attempt.
        present = limit or request.config.micro_batch_tokens
        if present <= longest:
            raise TrainingError(_explanation(request, present, said))
        limit = max(longest, present // 2)
        log.warning("out of memory with micro_batch_tokens = %d; continuing with %d (%s)", present, limit, said)
        _free()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _explanation(request: TrainingRequest, tokens: int, said: str) -> str:
    """The message when nothing can be halved any more."""
    changes = []
    if not request.config.gradient_checkpointing:
        changes.append("set gradient_checkpointing = true")
    if request.config.optimizer_state == "float32":
        changes.append('set optimizer_state = "8-bit"')
    if request.config.weight_precision == "float32" and request.config.method == "full":
        changes.append('set weight_precision = "bfloat16"')
    changes.append(f"raise devices under [resources] in site.toml (now {request.num_devices})")
    if request.config.method == "full":
        changes.append('set method = "lora"')
    return (
        f"the device has too little memory even for micro-batches of {tokens} tokens, the longest example alone "
        f"({said}). {_estimate(request, tokens)}Under [training], {', or '.join(changes)}."
    )


def _estimate(request: TrainingRequest, tokens: int) -> str:
    config = _configuration(request.model)
    architecture = None if config is None else read_architecture(config)
    if architecture is None:
        return ""
    found = estimate(
        architecture,
        request.config,
        load=Workload(tokens=tokens, loss_tokens=tokens, mean_length=tokens, accumulates=True),
        device="cpu" if request.device == "cpu" or not torch.cuda.is_available() else "cuda",
        num_devices=request.num_devices,
        cpu_offload=request.cpu_offload,
    )
    return f"The run needs about {found.words()} per device. "


def _configuration(model: str) -> dict[str, Any] | None:
    try:
        return read_settings(Path(model) / "config.json")
    except ModelError:
        return None
