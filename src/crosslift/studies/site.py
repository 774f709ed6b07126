"""The site file, site.toml: where a study runs. It cannot change results, so it is not part of any fingerprint.

executor = "slurm"            # see: crosslift list executors
num_workers = 8
threads_per_worker = 4
device = "cuda"
timeout_seconds = 86400       # limit per worker
adapters_at_once = "auto"     # LoRA runs of a base model that a worker trains together; a number, or as memory allows
keep_checkpoints = false      # remove a run's checkpoint once all its evaluations are done
compile = true                # false: never compile the layers of a model on a GPU
rehearsal = { steps = 3 }     # test the whole study with a few steps per run, in rehearsal/
partition = "gpu"             # other keys are options of the executor, checked by its OPTIONS

[resources.default]           # what a run needs, for executors that queue work; also [resources.<model>]
devices = 1                   # 2, 4, ...; 0.5: two runs share a device
cores = 4
memory_gb = 64
hours = 24                    # time limit of a job; its runs go on in the next one

[devices]                     # what crosslift plan assumes of each machine; default: those of this one
kind = "H100"
memory = 80                   # GB of one device
per_machine = 8
cpu_offload = false           # runs on several GPUs keep weights and moments in the memory of the machine

[generators.endpoint]         # settings of a generator, checked by its OPTIONS
base_url = "http://localhost:8000/v1"
model = "{run}"

[trackers.tensorboard]        # losses and scores in TensorBoard; also trackio, wandb

[translation]                 # translation service (see docs/translation.md)
[judge]                       # judge model (see docs/judging.md)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.discover import member, members
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Positive, Real, Table, Text
from crosslift.studies.parsing.toml_file import read_toml
from crosslift.studies.planning.devices import Devices
from crosslift.studies.planning.rehearsal import Rehearsal

DEFAULT = "default"
"""Name of the table of resources of models without a table of their own."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run of a model needs. The executor chooses values that are None."""

    devices: float | None = None
    """GPUs, or cores if the site's device is "cpu". Below 1, several runs share a device."""
    cores: float | None = None
    memory_gb: float | None = None
    """Main memory in GB."""
    hours: float | None = None
    """Time limit of a job in hours. A run need not be finished in it."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Settings of a site. The executor chooses values that are None."""

    executor: str = "local"
    num_workers: int | None = None
    threads_per_worker: int | None = None
    device: str = "auto"
    compile: bool = True
    """Whether GPUs may compile the layers of a model for training."""
    timeout_seconds: float | None = None
    """Time limit of one worker in seconds; None sets no limit beyond that of the scheduler."""
    adapters_at_once: int | Literal["auto"] = 1
    """Largest number of LoRA runs of one base model that a worker trains together; "auto": as memory allows."""
    rehearsal: Rehearsal | None = None
    """Reduce every run to a few steps, in a separate folder."""
    keep_checkpoints: bool = True
    """Whether to keep checkpoints after evaluation. Evaluations added later retrain runs without a checkpoint."""
    generators: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Generator -> settings declared in its OPTIONS, such as the address of its server or its memory limit."""
    devices: Devices | None = None
    """Devices of each machine; None: those of this machine."""
    cpu_offload: bool = False
    """Whether runs on several GPUs keep weights and moments in the memory of the machine."""
    trackers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Tracker -> its options: programs that show losses and scores."""
    resources: dict[str, Resources] = field(default_factory=dict)
    """Model, or DEFAULT -> what its runs need."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options that the executor declares in its OPTIONS."""


class DevicesTable(Table):
    """The fields of `studies.planning.devices.Devices`, and whether runs on several use the machine's memory."""

    kind: Text = Field(description='name of the device, such as H100; "cpu" for the cores of a machine')
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="memory of one device in GB; of the machine, if the kind is cpu"
    )
    per_machine: Positive = Field(1, description="devices of one machine")
    cpu_offload: bool = Field(
        False, description="runs on several GPUs keep weights and moments in the memory of the machine"
    )


class RehearsalTable(Table):
    """The fields of `studies.planning.rehearsal.Rehearsal`."""

    steps: Positive = Field(3, description="training steps of each run")
    items: Positive = Field(8, description="items per corpus and language")
    tokens: Positive = Field(16, description="generated tokens per answer")


class ResourcesTable(Table):
    """The fields of `Resources`."""

    devices: Real | None = Field(None, description="GPUs of a run (cores, if device is cpu); 0.5: two runs share one")
    cores: Real | None = Field(None, description="cores of a run; default: threads_per_worker per device")
    memory_gb: Real | None = Field(None, description="main memory of a run in GB; default: that of the scheduler")
    hours: Real | None = Field(None, description="time limit of a job; its runs go on in the next one")


class SiteTable(Table):
    """Schema of site.toml."""

    model_config = ConfigDict(extra="allow", strict=True)

    executor: Text = Field("local", description="how workers are started; see: crosslift list executors")
    num_workers: Positive | None = Field(
        None, description="concurrent workers; default: one per GPU, else one per core"
    )
    threads_per_worker: Positive | None = Field(
        None, description="default: 1 on CPUs, else the cores divided by the workers"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description='"auto": a CUDA GPU if available')
    compile: bool = Field(True, description="false: never compile the layers of a model for training on a GPU")
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="time limit of one worker; the next start resumes its run"
    )
    adapters_at_once: Positive | Literal["auto"] = Field(
        1,
        description='LoRA runs of one base model that a worker trains together, where memory allows; "auto": up to 8 '
        "on a GPU",
    )
    keep_checkpoints: bool = Field(True, description="false: remove a checkpoint after its evaluations")
    devices: DevicesTable | None = Field(None, description="devices of each machine; default: those of this machine")
    rehearsal: RehearsalTable | None = Field(None, description="a few steps of every run, in a separate folder")
    generators: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="generator -> its settings, such as the address of its server"
    )
    trackers: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="tracker -> its options; see: crosslift list trackers"
    )
    resources: dict[str, ResourcesTable] = Field(
        default_factory=dict, description="model, or default -> devices, cores, memory and time of its runs"
    )
    translation: dict[str, Any] | None = Field(None, description="translation service, used by crosslift translate")
    completion: dict[str, Any] | None = Field(
        None, description="model that answers prompts, used by crosslift complete"
    )
    judge: dict[str, Any] | None = Field(None, description="judge model, used by crosslift judge")


def load_site(path: Path, *, executor: str | None = None) -> Site:
    """Load a site file.

    Args:
        path: Path of the file.
        executor: Executor that overrides the one in the file, as `--executor` does.

    Returns:
        The settings, with defaults filled in.

    Raises:
        StudyError: The file is invalid. The error lists every problem.
    """
    raw = read_toml(path, remedy="Correct the path, or omit --site to run on this machine.")
    if executor is not None:
        raw["executor"] = executor
    problems = Problems(path.name)
    table: SiteTable | None = problems.read(SiteTable, raw, "", TypeAdapter(SiteTable))
    if table is not None and problems.reference("executor", "executor", table.executor, members("executor")):
        options = getattr(member("executor", table.executor), "OPTIONS", {})
        problems.options("", table.model_extra or {}, options, SiteTable.model_fields)
    for kind, tables in (("generator", table.generators), ("tracker", table.trackers)) if table is not None else ():
        for name, given in tables.items():
            if problems.reference(f"{kind}s.{name}", kind, name, members(kind)):
                problems.options(f"{kind}s.{name}", given, getattr(member(kind, name), "OPTIONS", {}), ())
    for name, needs in table.resources.items() if table is not None else ():
        if needs.devices is not None and not _divides(needs.devices):
            problems.add(
                f"resources.{name}.devices",
                f"is {needs.devices:g} and must be a whole number, or a fraction of one device (0.5, 0.25). Change it.",
            )
    if problems or table is None:
        raise StudyError(problems)
    values = {
        name: getattr(table, name)
        for name in SiteTable.model_fields
        if name not in ("translation", "completion", "judge")
    }
    values["devices"] = None
    if (place := table.devices) is not None:
        values["devices"] = Devices(kind=place.kind, memory=place.memory, per_machine=place.per_machine)
        values["cpu_offload"] = place.cpu_offload
    values["rehearsal"] = None if table.rehearsal is None else Rehearsal(**dict(table.rehearsal))
    values["resources"] = {name: Resources(**dict(needs)) for name, needs in table.resources.items()}
    return Site(**values, options=dict(table.model_extra or {}))


def _divides(devices: float) -> bool:
    """Return whether runs with so many devices fill devices without a remainder."""
    number = devices if devices >= 1 else 1 / devices
    return abs(number - round(number)) < 0.02
