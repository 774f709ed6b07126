"""Choice of device and precision, and the torch settings that belong to them, restored afterwards."""

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
    """The torch device of this name; "auto" is a CUDA device if there is one, else the CPU.

    Raises:
        TrainingError: the name is no device, or it is CUDA and torch finds none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"'{name}' is not a device. Use auto, cpu, cuda or cuda:<number>.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError('the device is cuda, but torch finds no CUDA device. Set device = "auto" in site.toml.')
    return device


def choose_precision(wanted: str, device: torch.device, *, weights: str = "float32") -> str:
    """The precision of matrix products, "float32" or "bfloat16".

    Args:
        wanted: "auto", "float32" or "bfloat16"; "auto" takes bfloat16 where the hardware is faster in it.
        device: the device that computes.
        weights: precision of the weights. Products of bfloat16 weights are bfloat16, on a CPU without such
            instructions as well, where they are slow.

    Raises:
        TrainingError: bfloat16 is requested and the hardware does not support it.
    """
    if weights == "bfloat16":
        if device.type == "cpu":
            return weights
        wanted = weights
    if device.type == "cuda":
        able = gains = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        gains = torch.cpu._is_amx_tile_supported()
        able = gains or torch.cpu._is_avx512_bf16_supported()
    else:
        able = gains = False
    if wanted == "bfloat16" and not able:
        raise TrainingError(f'this {device.type} does not support bfloat16. Set precision = "auto" or "float32".')
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and gains) else "float32"


@contextlib.contextmanager
def numerics(device: torch.device, precision: str, *, retain: bool = True) -> Iterator[None]:
    """Context in which matrix products use this precision and are deterministic.

    Args:
        device: the device that computes.
        precision: "float32" or "bfloat16".
        retain: whether this process retains the memory that it frees (`retain_freed_memory`).

    On GPUs bfloat16 uses autocast, without its cache: the cache keeps the rounded weights until the outermost context
    ends, so that every step after the first would compute with the weights of the first. On CPUs autocast would cast
    every activation, which costs more than small matrices gain, and torch's attention is several times slower in
    bfloat16. There oneDNN rounds to bfloat16 inside the product instead (AMX tiles, float32 accumulation), and all
    tensors in memory stay float32.
    """
    if retain:
        retain_freed_memory()
    else:
        return_freed_memory()
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
        rounds = device.type == "cuda" and precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=rounds, cache_enabled=False):
            yield
    finally:
        matmul.fp32_precision = before
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


@contextlib.contextmanager
def deterministic(*, strictly: bool) -> Iterator[None]:
    """Context in which an operation without a deterministic implementation is an error, or only a warning.

    Flash attention has both kinds, and takes the deterministic one for its gradient only if the other is an error.

    Args:
        strictly: whether it is an error.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=not strictly)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@cache
def retain_freed_memory() -> None:
    """Configure glibc's allocator to retain freed memory instead of returning it to the operating system.

    By default every large activation is mapped, zeroed page by page by the kernel, and unmapped again in every step,
    which takes a tenth of the time of small models.
    """
    _set_allocator(mmap_threshold=1 << 30, trim_threshold=(1 << 31) - 1, top_pad=1 << 26)


@cache
def return_freed_memory() -> None:
    """Configure glibc's allocator to map large tensors, so that freed ones leave no holes between others.

    A run is divided among processes because its memory is short; gathered layers of changing size would otherwise take
    as much as the division saves.
    """
    _set_allocator(mmap_threshold=1 << 20, trim_threshold=1 << 24, top_pad=1 << 20)


def _set_allocator(*, mmap_threshold: int, trim_threshold: int, top_pad: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such setting
            libc = ctypes.CDLL("libc.so.6")
            for number, value in ((-3, mmap_threshold), (-1, trim_threshold), (-2, top_pad)):  # M_* of malloc.h
                libc.mallopt(number, value)
