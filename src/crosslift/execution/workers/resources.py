"""What the runs of each base model need, on how many devices they run, and how many workers execute them.

Base models whose runs need the same form one group: their runs can be executed by the same workers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crosslift.discover import member
from crosslift.execution.workers.job import Job
from crosslift.studies.planning.devices import adapters_that_fit, architecture_of, devices_here, needs
from crosslift.studies.site import DEFAULT, Resources, Site
from crosslift.studies.study import Study

NUM_WORKERS = 8
"""Default of the site's num_workers for executors that queue work."""
MOST_ADAPTERS = 8
"""Most runs that `adapters_at_once = "auto"` trains together."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one run needs, with defaults filled in."""

    devices: float
    cores: float
    memory_gb: float | None
    hours: float | None
    gpus: bool
    """Whether the devices are GPUs; otherwise they are cores, which are counted by `cores` alone."""

    @property
    def runs_per_job(self) -> int:
        """Number of runs that share the devices of one job."""
        return 1 if self.devices >= 1 else round(1 / self.devices)

    @property
    def job_gpus(self) -> int:
        """GPUs of one job."""
        return math.ceil(self.devices) if self.gpus else 0

    @property
    def job_cores(self) -> int:
        """Cores of one job."""
        return max(1, math.ceil(self.cores * self.runs_per_job - 1e-9))

    @property
    def job_memory_gb(self) -> float | None:
        """Main memory of one job in GB; None: as much as the scheduler gives."""
        return None if self.memory_gb is None else self.memory_gb * self.runs_per_job


@dataclass(frozen=True, kw_only=True)
class Group:
    """Base models whose runs need the same."""

    models: tuple[str, ...]
    need: Need
    num_runs: int
    """Missing runs."""
    num_workers: int
    """Workers at once; 0 if no run is missing."""

    @property
    def workers_per_job(self) -> int:
        """Workers in one job, which share its devices."""
        return max(1, min(self.need.runs_per_job, self.num_workers))

    @property
    def num_jobs(self) -> int:
        """Jobs at once."""
        return self.num_workers // self.workers_per_job


def need_of(site: Site, model: str) -> Need:
    """Return what a run of a model needs: its own table, completed by the table `default` and by the site.

    Args:
        site: the site.
        model: the base model.

    Returns:
        The need of one run.
    """
    own, default = site.resources.get(model, Resources()), site.resources.get(DEFAULT, Resources())
    devices = _first(own.devices, default.devices, 1.0)
    threads = site.threads_per_worker or 1
    seconds = site.timeout_seconds
    return Need(
        devices=devices,
        cores=_first(own.cores, default.cores, threads * devices if site.device == "cpu" else threads),
        memory_gb=own.memory_gb if own.memory_gb is not None else default.memory_gb,
        hours=next((one for one in (own.hours, default.hours) if one is not None), seconds and seconds / 3600),
        gpus=site.device != "cpu",
    )


def groups(job: Job) -> list[Group]:
    """Divide the workers of a site among the groups of base models, in proportion to their work.

    Args:
        job: the work.

    Returns:
        All groups in the study's order, also those without missing runs, so that the number of a group does not change
        while the study goes on.
    """
    models: dict[Need, list[str]] = {}
    for model in job.models:
        models.setdefault(need_of(job.site, model), []).append(model)
    runs = {need: sum(job.models[name] for name in names) for need, names in models.items()}
    weights = {need: num * max(1.0, need.devices) for need, num in runs.items()}
    workers = _shares(weights, runs, job.site.num_workers or NUM_WORKERS)
    return [
        Group(models=tuple(names), need=need, num_runs=runs[need], num_workers=workers[need])
        for need, names in models.items()
    ]


def problems(job: Job) -> list[str]:
    """Return what of the site's resources cannot be: tables for unknown models, fewer workers than groups."""
    unknown = [name for name in job.site.resources if name != DEFAULT and name not in job.models]
    found = [
        f"site.toml, resources.{name}: there is no model '{name}'. Known: {', '.join(job.models)}, {DEFAULT}."
        for name in unknown
    ]
    needed, given = sum(one.num_runs > 0 for one in groups(job)), job.site.num_workers
    if given is not None and given < needed:
        found.append(
            f"site.toml, num_workers: is {given}, but the models need {needed} different kinds of jobs. Give at least "
            f"{needed}, or the same resources to all models."
        )
    return found


def _shares(weights: Mapping[Need, float], limits: Mapping[Need, int], number: int) -> dict[Need, int]:
    """Divide a number in proportion to weights: at least 1 each, at most the limits, by largest remainders."""
    wanted = [need for need in weights if limits[need] > 0]
    shares = {need: int(need in wanted) for need in weights}
    total = sum(weights[need] for need in wanted)
    for _ in range(number - len(wanted)):
        open_ = [need for need in wanted if shares[need] < limits[need]]
        if not open_:
            break
        behind = max(open_, key=lambda need: number * weights[need] / total - shares[need])
        shares[behind] += 1
    return shares


def _first(*values: float | None) -> float:
    """Return the first value that is given."""
    return next(value for value in values if value is not None)


def with_devices(study: Study, site: Site) -> Site:
    """Complete a site by the devices per run of models that do not fit on one GPU.

    Args:
        study: the study.
        site: the site.

    Returns:
        The site, whose resources name the devices of every such model that the site does not mention. Models that fit
        on one device, whose memory is unknown, or which no number of devices holds, are left as they are.
    """
    default = site.resources.get(DEFAULT, Resources())
    devices = site.devices or devices_here(site.device)
    if default.devices is not None or devices.type == "cpu" or site.device == "cpu":
        return site
    resources = dict(site.resources)
    for need in needs(study, devices):
        own = resources.get(need.model, Resources())
        if own.devices is None and need.num_devices is not None and need.num_devices > 1:
            resources[need.model] = replace(own, devices=float(need.num_devices))
    return replace(site, resources=resources)


def num_devices(site: Site, model: str) -> int:
    """Return the devices that a run of a model shares; a part of a device counts as one.

    Args:
        site: the site, completed by `with_devices`.
        model: the base model.
    """
    return _given(site, model) or 1


def given_devices(study: Study, site: Site) -> dict[str, int]:
    """Return model -> devices that its runs share, for models that the site mentions."""
    return {name: number for name in study.models if (number := _given(site, name)) is not None}


def _given(site: Site, model: str) -> int | None:
    devices = _devices_of(site, model)
    return None if devices is None else max(1, round(devices))


def _devices_of(site: Site, model: str) -> float | None:
    own, default = site.resources.get(model, Resources()), site.resources.get(DEFAULT, Resources())
    return own.devices if own.devices is not None else default.devices


def adapters_at_once(study: Study, site: Site, model: str, *, num_workers: int = 1) -> tuple[int, str | None]:
    """Return how many LoRA runs of a model a worker trains together.

    Args:
        study: the study.
        site: the site, completed by `with_devices`.
        model: the base model.
        num_workers: workers that share the memory of a machine without GPUs.

    Returns:
        The number, and why it is 1 although the site allows more.
    """
    limit = MOST_ADAPTERS if site.adapters_at_once == "auto" else site.adapters_at_once
    if limit == 1:
        return 1, None
    trainer = member("trainer", study.training.trainer)
    if not hasattr(trainer, "train_together"):
        return 1, f"the trainer {study.training.trainer} trains one run at a time"
    reason = trainer.alone(study.training)
    if reason is None and num_devices(site, model) > 1:
        reason = "a run is divided among several devices"
    devices = site.devices or devices_here(site.device)
    if reason is None and site.adapters_at_once == "auto":
        if "cpu" in (devices.type, site.device):
            reason = "one run keeps a core busy"
        elif architecture_of(study, study.models[model]) is None:
            reason = "the memory of the model is unknown"
    if reason is not None:
        return 1, str(reason)
    if devices.type != "cpu" and (fraction := _devices_of(site, model) or 1.0) < 1:  # other workers use the rest of it
        devices = replace(devices, memory=fraction * devices.memory)
    number = adapters_that_fit(study, study.models[model], devices, limit=limit, num_workers=num_workers)
    return number, None if number > 1 else f"{devices.words} holds no second run"


def visible_groups(gpus: Sequence[str], number: int) -> list[str]:
    """Divide GPUs into groups for workers, as values of CUDA_VISIBLE_DEVICES; a rest stays unused.

    Args:
        gpus: the GPUs.
        number: GPUs of one worker.
    """
    return [",".join(gpus[first : first + number]) for first in range(0, len(gpus) - number + 1, number)]
