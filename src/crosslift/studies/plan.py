"""What a study will cost and what it will not be able to tell, before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.confounds import confounds
from crosslift.studies.run import Model, Run
from crosslift.studies.study import Study
from crosslift.training.trainer import num_steps

ADAPTER_BYTES = 4
"""Of one number in a LoRA adapter, which is kept in float32."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """None where it is not known before `crosslift prepare`."""

    name: str
    num_examples: int | None
    """In one epoch; 0 for base models."""
    num_tokens: int | None
    """In one epoch, under the run's own tokenizer."""
    num_steps: int | None
    evaluations: tuple[str, ...]
    """`<evaluation>.<language>`, one step each."""
    checkpoint_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    runs: tuple[PlannedRun, ...]
    warnings: tuple[str, ...]
    """What the study will not be able to tell apart, in words."""

    @property
    def num_evaluations(self) -> int:
        return sum(len(run.evaluations) for run in self.runs)

    @property
    def num_steps(self) -> int | None:
        """Optimiser steps of all runs together."""
        return _total([run.num_steps for run in self.runs])

    @property
    def disk_bytes(self) -> int | None:
        """Checkpoints that stay; predictions and scores are small beside them."""
        return _total([run.checkpoint_bytes for run in self.runs])


def plan(study: Study, *, manifests: Mapping[str, Mapping[str, Any]] | None = None) -> Plan:
    """What will run.

    Args:
        manifests: mixture -> its manifest, where it has been prepared. Without it the examples of budgets in tokens or
            bytes and all tokens are unknown (None).
    """
    manifests = manifests or {}
    return Plan(runs=tuple(_run(study, run, manifests) for run in study.runs()), warnings=confounds(study))


def _run(study: Study, run: Run, manifests: Mapping[str, Mapping[str, Any]]) -> PlannedRun:
    evaluations = tuple(f"{one.name}.{tag}" for one in study.evaluations_of(run) for tag in one.languages)
    if run.mixture is None:
        return PlannedRun(
            name=run.name, num_examples=0, num_tokens=0, num_steps=0, evaluations=evaluations, checkpoint_bytes=0
        )
    manifest = manifests.get(run.mixture.name)
    examples = num_examples(run.mixture) if manifest is None else int(manifest["num_examples"])
    tokens = None
    if manifest is not None and run.model.name in manifest["tokens"]:
        tokens = sum(sum(parts.values()) for parts in manifest["tokens"][run.model.name].values())
    config = study.training
    steps = config.steps
    if steps is None and examples is not None and (config.batch_tokens is None or tokens is not None):
        steps = num_steps(examples, config, num_tokens=tokens)
    return PlannedRun(
        name=run.name,
        num_examples=examples,
        num_tokens=tokens,
        num_steps=steps,
        evaluations=evaluations,
        checkpoint_bytes=_checkpoint_bytes(study, run.model),
    )


def num_examples(mixture: Mixture) -> int | None:
    """Examples of a mixture whose budget counts items; None for tokens and bytes."""
    return sum(mixture.amounts().values()) if mixture.unit == "items" else None


def _checkpoint_bytes(study: Study, model: Model) -> int | None:
    """Of the model's files (full), or of an adapter on its linear layers (LoRA); None for models of the hub."""
    folder = _folder(study, model)
    if folder is None:
        return None
    files = sorted(folder.glob("*.safetensors"))
    lora = study.training.lora
    if lora is None:
        return sum(file.stat().st_size for file in files) or None
    shapes = [shape for file in files for name, shape in _shapes(file).items() if "embed" not in name]
    return sum(ADAPTER_BYTES * lora.rank * sum(shape) for shape in shapes if len(shape) == 2) or None


def _folder(study: Study, model: Model) -> Path | None:
    if model.path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        return checkpoints.folder(model.path.removeprefix("pocket:"))
    folder = study.folder / Path(model.path).expanduser()
    return folder if folder.is_dir() else None


def _shapes(file: Path) -> dict[str, list[int]]:
    """Tensor -> shape, from the header of a safetensors file."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"}


def _total(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
