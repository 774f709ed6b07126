"""Where a run was made: for people who compare two runs that should agree and do not.

It tells versions, processor and precision, and never a path, a host, a user or anything of the environment: a study's
folder is there to be shared.
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
    """Versions and hardware of this process. Imports nothing that is not imported already."""
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
    """Name, family and model: processors of one name add up in different orders."""
    cpuinfo = Path("/proc/cpuinfo")
    said: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            said.setdefault(key.strip(), value.strip())
    name = said.get("model name") or said.get("Model") or platform.processor() or "unknown"
    kind = [f"{key} {said[key]}" for key in ("cpu family", "model") if key in said]
    return f"{name} ({', '.join(kind)})" if kind else name


def _accelerator() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def _threads() -> int:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else int(os.environ.get("OMP_NUM_THREADS", "0")) or 1
