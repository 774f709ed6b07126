"""Provenance of a run, for comparing two runs that should agree but do not.

The record contains versions, processor and precision. It never contains paths, host names, user names or environment
variables, because the folder of a study is meant to be shared.
"""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("crosslift", "torch", "transformers", "tokenizers", "peft", "safetensors", "numpy", "polars")


def environment() -> dict[str, Any]:
    """Return the versions and hardware of this process, without importing further packages.

    Returns:
        "packages", "python", "system", "processor", "accelerator" (None without a GPU) and "threads".
    """
    return {
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "accelerator": _accelerator(),
        "threads": _threads(),
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    """Return name, family and model of the processor: those of equal name may differ in their order of summation."""
    cpuinfo = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or fields.get("Model") or platform.processor() or "unknown"
    kind = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{name} ({', '.join(kind)})" if kind else name


def _accelerator() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def _threads() -> int:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else int(os.environ.get("OMP_NUM_THREADS", "0")) or 1
