"""site.toml: where a study runs. Nothing here can change a result, so nothing here is fingerprinted.

executor = "slurm"            # see: crosslift list executors
num_workers = 8
threads_per_worker = 4
device = "cuda"
timeout_seconds = 86400       # of one worker
keep_checkpoints = false      # remove a run's checkpoint once all its evaluations are done
rehearsal = { steps = 3 }     # every run in a few steps, in rehearsal/: does it run through?
partition = "gpu"             # further keys belong to the executor, whose OPTIONS check them

[generators.endpoint]         # settings of a generator, whose OPTIONS check them
base_url = "http://localhost:8000/v1"
model = "{run}"

[translation]                 # who translates (see docs/translation.md)
[judge]                       # who judges answers (see docs/judging.md)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.discover import member, members
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema import Positive, Table, Text
from crosslift.studies.parsing.toml_file import read_toml
from crosslift.studies.planning.rehearsal import Rehearsal


@dataclass(frozen=True, kw_only=True)
class Site:
    """Placement. What is None is the executor's choice."""

    executor: str = "local"
    num_workers: int | None = None
    threads_per_worker: int | None = None
    device: str = "auto"
    timeout_seconds: float | None = None
    """Of one worker; None: no limit but the scheduler's."""
    rehearsal: Rehearsal | None = None
    """Cut every run to a few steps, in a folder of its own."""
    keep_checkpoints: bool = True
    """Checkpoints of a study of 8B models fill a disk; without them only what is asked later must be trained again."""
    generators: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Generator -> settings that it documents in its OPTIONS: where its server is, how much memory it takes."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further keys that the executor documents in its OPTIONS."""


class RehearsalTable(Table):
    """The fields of studies.rehearsal.Rehearsal."""

    steps: Positive = Field(3, description="training steps of each run")
    items: Positive = Field(8, description="items per corpus and language")
    tokens: Positive = Field(16, description="generated tokens per answer")


class SiteTable(Table):
    """site.toml as it is written."""

    model_config = ConfigDict(extra="allow", strict=True)

    executor: Text = Field("local", description="how workers are started; see: crosslift list executors")
    num_workers: Positive | None = Field(None, description="workers at a time; default: one per GPU, else one per core")
    threads_per_worker: Positive | None = Field(
        None, description="default: 1 on CPUs, else the cores divided by the workers"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description='"auto": a CUDA GPU where there is one')
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="of one worker; its run is continued at the next start"
    )
    keep_checkpoints: bool = Field(True, description="false: a checkpoint is removed after its evaluations")
    rehearsal: RehearsalTable | None = Field(None, description="every run in a few steps, in a folder of its own")
    generators: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="generator -> its settings: where its server is, how much memory it takes"
    )
    translation: dict[str, Any] | None = Field(None, description="who translates; read by crosslift translate")
    judge: dict[str, Any] | None = Field(None, description="who judges answers; read by crosslift judge")


def load_site(path: Path, *, executor: str | None = None) -> Site:
    """Read a site file.

    Args:
        executor: overrides the file's, as `--executor` does.

    Raises:
        StudyError: with every problem found.
    """
    raw = read_toml(path, remedy="Correct the path, or leave --site out to run on this machine.")
    if executor is not None:
        raw["executor"] = executor
    problems = Problems(path.name)
    table: SiteTable | None = problems.read(SiteTable, raw, "", TypeAdapter(SiteTable))
    if table is not None and problems.reference("executor", "executor", table.executor, members("executor")):
        options = getattr(member("executor", table.executor), "OPTIONS", {})
        problems.options("", table.model_extra or {}, options, SiteTable.model_fields)
    for name, given in (table.generators if table is not None else {}).items():
        if problems.reference(f"generators.{name}", "generator", name, members("generator")):
            problems.options(f"generators.{name}", given, getattr(member("generator", name), "OPTIONS", {}), ())
    if problems or table is None:
        raise StudyError(problems)
    values = {name: getattr(table, name) for name in SiteTable.model_fields if name not in ("translation", "judge")}
    values["rehearsal"] = None if table.rehearsal is None else Rehearsal(**dict(table.rehearsal))
    return Site(**values, options=dict(table.model_extra or {}))
