"""What the machine computes in: device, precision, and the settings of torch that go with them, put back afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from functools import cache

import torch

from crosslift.errors import TrainingError


def choose_device(name: str) -> torch.device:
    """ "auto" is a CUDA device where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"'{name}' is not a device. Say auto, cpu, cuda or cuda:<number>.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError('the device is cuda, and torch sees none. Set device = "auto" in site.toml.')
    return device


def choose_precision(wanted: str, device: torch.device) -> str:
    """ "float32" or "bfloat16".

    Raises:
        TrainingError: bfloat16 is asked for and the hardware does not compute in it.
    """
    if device.type == "cuda":
        able = gains = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        gains = torch.cpu._is_amx_tile_supported()
        able = gains or torch.cpu._is_avx512_bf16_supported()
    else:
        able = gains = False
    if wanted == "bfloat16" and not able:
        raise TrainingError(f'this {device.type} does not compute in bfloat16. Set precision = "auto" or "float32".')
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and gains) else "float32"


@contextlib.contextmanager
def numerics(device: torch.device, precision: str) -> Iterator[None]:
    """Multiply matrices in this precision, reproducibly.

    On GPUs bfloat16 is autocast. On CPUs it is not: casting every activation costs more than small matrices gain, and
    torch's attention is several times slower in bfloat16 there. Instead oneDNN is told to round to bfloat16 inside the
    product (AMX tiles, float32 sums): what lies in memory stays float32.
    """
    keep_memory()
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    deterministic = torch.are_deterministic_algorithms_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        if device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        elif device.type == "cpu":
            matmul.fp32_precision = "bf16" if precision == "bfloat16" else "ieee"
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and precision == "bfloat16"):
            yield
    finally:
        matmul.fp32_precision = before
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


@cache
def keep_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the system.

    By default every large activation is mapped, zeroed page by page by the kernel, and unmapped again in every step;
    for small models that is a tenth of the time.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library: nothing to set, nothing lost
            libc = ctypes.CDLL("libc.so.6")
            mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # M_* of malloc.h
            libc.mallopt(mmap_threshold, 1 << 30)
            libc.mallopt(trim_threshold, (1 << 31) - 1)
            libc.mallopt(top_pad, 1 << 26)
