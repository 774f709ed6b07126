"""Time, memory and energy of a measurement."""

from __future__ import annotations

import contextlib
import importlib.util
import resource
import time
from typing import Any


class Watch:
    """Time, memory and energy between `begin` and `end`."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.started = time.monotonic()
        self.found: dict[str, Any] = {}

    def begin(self) -> None:
        self._wait()
        self.found["seconds_before"] = time.monotonic() - self.started
        self._energy, self._began = self._joules(), time.monotonic()

    def end(self) -> None:
        self._wait()
        self.found["seconds"] = time.monotonic() - self._began
        energy = self._joules()
        self.found["joules"] = None if energy is None or self._energy is None else energy - self._energy
        if self.device.type == "cuda":
            import torch

            self.found["peak_bytes"] = torch.cuda.max_memory_allocated()
        else:
            self.found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _wait(self) -> None:
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize()

    def _joules(self) -> float | None:
        """Energy of the device since the driver was loaded; None if nothing tells it."""
        if self.device.type != "cuda" or importlib.util.find_spec("pynvml") is None:
            return None
        import pynvml

        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        return None
