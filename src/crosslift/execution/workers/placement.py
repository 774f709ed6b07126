"""On how many devices the runs of each model are executed: as the site says, else as many as their memory takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosslift.studies.planning.devices import devices_here, needs
from crosslift.studies.site import DEFAULT, Resources, Site
from crosslift.studies.study import Study


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
    own, default = site.resources.get(model, Resources()), site.resources.get(DEFAULT, Resources())
    devices = own.devices if own.devices is not None else default.devices
    return None if devices is None else max(1, round(devices))


def visible_groups(gpus: Sequence[str], number: int) -> list[str]:
    """Divide GPUs into groups for workers, as values of CUDA_VISIBLE_DEVICES; a rest stays unused.

    Args:
        gpus: the GPUs.
        number: GPUs of one worker.
    """
    return [",".join(gpus[first : first + number]) for first in range(0, len(gpus) - number + 1, number)]
