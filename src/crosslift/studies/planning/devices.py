"""What a training run of each model needs on each device, whether it fits, and what to change where it does not.

The devices are those that the site file names, or those of this machine. A model is known by its config.json: that of
its folder, of the cache of the hub, or, for the models of the presets, the numbers in architectures.toml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from crosslift.errors import ModelError
from crosslift.studies.planning.volume import model_folder
from crosslift.studies.run import Model
from crosslift.studies.study import Study
from crosslift.training.architecture import Architecture, read_architecture
from crosslift.training.memory import Memory, estimate, gigabytes, workload
from crosslift.training.trainer import SFTConfig
from crosslift.untrusted.model_files import check_settings, read_settings

USABLE = 0.92
"""Share of a GPU's memory that a run may need by the estimate; the rest is lost between allocations."""
CPU = "cpu"


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Devices of one machine."""

    kind: str
    """Name in messages, such as "H100"; "cpu" for the cores of a machine."""
    memory: float
    """GB (10^9 bytes) of one device; of the machine for "cpu"."""
    per_machine: int = 1

    @property
    def type(self) -> Literal["cpu", "cuda"]:
        """How the trainer computes on them."""
        return "cpu" if self.kind.lower() == CPU else "cuda"

    def fits(self, memory: Memory, *, num_devices: int = 1) -> bool:
        """Whether a run fits that needs this memory on each of its devices. Processes on CPUs share the machine's."""
        if self.type == "cpu":
            return num_devices * memory.total <= self.memory * 1e9
        return memory.total <= USABLE * self.memory * 1e9

    @property
    def words(self) -> str:
        """One device in words."""
        return f"this machine with {self.memory:.0f} GB" if self.type == "cpu" else f"{self.kind} of {self.memory:g} GB"


@dataclass(frozen=True, kw_only=True)
class ModelNeed:
    """What a training run of a model needs."""

    model: str
    architecture: Architecture | None
    """None if the configuration is unknown."""
    on_one: Memory | None = None
    """On one device."""
    num_devices: int | None = None
    """Devices of a run; None if it fits on no number of devices of a machine, or if the model is unknown."""
    on_each: Memory | None = None
    """On each of `num_devices` devices."""
    given: bool = False
    """Whether the site sets the number of devices."""
    changes: tuple[str, ...] = ()
    """Changes after which the run fits on one device or on the devices of a machine."""

    def sentence(self, devices: Devices) -> str:
        """What is needed, whether it fits, and what to change."""
        start = f"models.{self.model}: "
        if self.architecture is None or self.on_one is None:
            return f"{start}memory unknown until the model's config.json is on this disk (crosslift prepare)"
        size = f"{self.architecture.parameters / 1e9:.2g}B parameters, " if self.architecture.parameters > 1e8 else ""
        changes = f" Or: {'; or '.join(self.changes)}." if self.changes else ""
        if self.num_devices == 1:
            fit = f"fits {devices.words}" if devices.fits(self.on_one) else f"does not fit {devices.words}.{changes}"
            return f"{start}{size}a training run needs {self.on_one.words()}; {fit}"
        if self.num_devices is not None and self.on_each is not None:
            fits = devices.fits(self.on_each, num_devices=self.num_devices)
            given = " as site.toml sets" if self.given else ""
            state = "" if fits else f", which does not fit {devices.words}"
            return (
                f"{start}{size}a training run needs {self.on_one.words()}; on one {devices.words} it does not fit: "
                f"{self.num_devices} devices per run{given}, {gigabytes(self.on_each.total)} on each{state}.{changes}"
                if not devices.fits(self.on_one)
                else f"{start}{size}{self.num_devices} devices per run{given}, {self.on_each.words()} on each{state}"
            )
        return (
            f"{start}{size}a training run needs {self.on_one.words()} on one device; it does not fit "
            f"{devices.per_machine} x {devices.words}. "
            + (f"To change: {'; or '.join(self.changes)}." if self.changes else "Use larger devices.")
        )


def needs(
    study: Study,
    devices: Devices,
    *,
    num_devices: Mapping[str, int] | None = None,
    mean_lengths: Mapping[str, int] | None = None,
) -> tuple[ModelNeed, ...]:
    """Estimate what the training runs of each model need.

    Args:
        study: the study.
        devices: the devices of a machine.
        num_devices: model -> devices of a run, where the site sets them.
        mean_lengths: model -> mean tokens of an example, where they are known.

    Returns:
        One entry per model that is trained, in the study's order.
    """
    trained = {run.model.name: run.model for run in study.runs() if run.mixture is not None}
    return tuple(
        _need(study, model, devices, (num_devices or {}).get(name), (mean_lengths or {}).get(name))
        for name, model in trained.items()
    )


def _need(study: Study, model: Model, devices: Devices, given: int | None, mean_length: int | None) -> ModelNeed:
    architecture = architecture_of(study, model)
    if architecture is None:
        return ModelNeed(model=model.name, architecture=None, num_devices=given, given=given is not None)

    def on(config: SFTConfig, number: int) -> Memory:
        load = workload(config, num_devices=number, mean_length=mean_length)
        return estimate(architecture, config, load=load, device=devices.type, num_devices=number)

    config = study.training
    on_one = on(config, 1)
    number = given or smallest_number(devices, lambda n: on(config, n))
    return ModelNeed(
        model=model.name,
        architecture=architecture,
        on_one=on_one,
        num_devices=number,
        on_each=None if number is None else on(config, number),
        given=given is not None,
        changes=() if devices.fits(on_one) else tuple(_changes(config, devices, on, number)),
    )


def smallest_number(devices: Devices, memory: Any) -> int | None:
    """Return the smallest number of devices of a machine on which a run fits, by doubling; None if there is none.

    Args:
        devices: the devices of a machine.
        memory: number of devices -> memory on each.
    """
    if devices.type == "cpu":  # more processes only need more of the machine's memory
        return 1
    numbers = [2**power for power in range(12) if 2**power <= devices.per_machine]
    return next((number for number in numbers if devices.fits(memory(number), num_devices=number)), None)


def _changes(config: SFTConfig, devices: Devices, on: Any, number: int | None) -> list[str]:
    """Return changes of the study file with which a run fits on one device, or on a machine if it fits on none."""
    small = max(config.max_length, 1024)
    smaller = replace(config, micro_batch_tokens=min(config.micro_batch_tokens, small))
    checkpointing, adapters = "gradient_checkpointing = true", 'method = "lora"'
    lower = _lower_precision(config)
    as_lora = replace(config, method="lora", weight_precision="float32")
    precisions = " and ".join(f'{key} = "{value}"' for key, value in lower.items())
    tokens = f"micro_batch_tokens = {smaller.micro_batch_tokens}"
    options = {
        checkpointing: replace(config, gradient_checkpointing=True),
        tokens: smaller,
        f"{checkpointing} with {tokens}": replace(smaller, gradient_checkpointing=True),
        precisions: replace(config, **lower),
        f"{precisions} with {checkpointing} and {tokens}": replace(smaller, gradient_checkpointing=True, **lower),
        adapters: as_lora,
        f"{adapters} with {checkpointing} and {tokens}": replace(
            as_lora, micro_batch_tokens=smaller.micro_batch_tokens, gradient_checkpointing=True
        ),
    }
    found: list[str] = []
    for words, changed in options.items():
        if changed == config or any(known.split(" on ")[0].split(" (")[0] in words for known in found):
            continue
        fitting = smallest_number(devices, lambda n, changed=changed: on(changed, n))
        if fitting is not None and devices.fits(on(changed, fitting)) and (number is None or fitting < number):
            saved = gigabytes(on(config, 1).total - on(changed, 1).total)
            less = f" ({saved} less in all)" if words == precisions else ""
            found.append(f"{words}{less} on {fitting} device{'s' * (fitting > 1)}")
    return found


def _lower_precision(config: SFTConfig) -> dict[str, Any]:
    """Return settings with which weights, gradients and moments take less memory, beyond those that are set."""
    if config.trainer != "native":
        return {}
    rounds = config.method == "full" and config.precision != "float32" and config.weight_precision == "float32"
    moments = {"optimizer_state": "8-bit"} if config.optimizer_state == "float32" else {}
    return ({"weight_precision": "bfloat16"} if rounds else {}) | moments


def adapters_that_fit(study: Study, model: Model, devices: Devices, *, limit: int, num_workers: int = 1) -> int:
    """Return how many LoRA runs of a model can be trained together on one device.

    Args:
        study: the study.
        model: the base model.
        devices: the devices of a machine.
        limit: the largest number; it is returned if the model's memory is unknown.
        num_workers: workers that share the memory of a machine without GPUs.

    Returns:
        The number, at least 1.
    """
    architecture = architecture_of(study, model)
    if architecture is None:
        return limit
    sharing = num_workers if devices.type == "cpu" else 1
    for number in range(limit, 1, -1):
        if devices.fits(
            estimate(architecture, study.training, device=devices.type, together=number), num_devices=sharing
        ):
            return number
    return 1


def architecture_of(study: Study, model: Model) -> Architecture | None:
    """Read the numbers of a model from this disk; nothing is downloaded.

    Args:
        study: the study, for relative paths.
        model: the model.

    Returns:
        The architecture; None if it is unknown or no dense decoder.
    """
    try:
        folder = model_folder(study, model)
        if folder is not None:
            check_settings(folder)
            config = read_settings(folder / "config.json")
        else:
            config = _cached(model) or _known().get(model.path)
        found = None if config is None else read_architecture(config)
    except ModelError:  # reported by check and prepare
        return None
    if found is not None and config is not None and "other_parameters" in config:
        found = replace(found, other_parameters=int(config["other_parameters"]), stored_bytes=2)
    return found if folder is not None or found is None else replace(found, stored_bytes=2)


def _cached(model: Model) -> dict[str, Any] | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    except ValueError:  # not a name of the hub
        return None
    return read_settings(Path(found)) if isinstance(found, str) else None


@cache
def _known() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "architectures.toml").read_text(encoding="utf-8"))


@cache
def devices_here(device: str = "auto") -> Devices:
    """Return the devices of this machine, without importing torch.

    Args:
        device: as in the site file.
    """
    if device in ("auto", "cuda") and (program := shutil.which("nvidia-smi")) is not None:
        command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
            rows = [line.rsplit(",", 1) for line in done.stdout.splitlines() if "," in line]
            if rows:
                smallest = min(float(memory) for _, memory in rows)
                return Devices(kind=rows[0][0].strip(), memory=smallest * 2**20 / 1e9, per_machine=len(rows))
        except (OSError, ValueError, subprocess.SubprocessError):
            pass  # as if there were none
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Devices(kind=CPU, memory=memory, per_machine=os.cpu_count() or 1)
