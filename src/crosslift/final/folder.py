"""The model folder: weights or adapter, tokenizer, card and manifest. It appears complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift import __version__
from crosslift.discover import member
from crosslift.errors import StoreError
from crosslift.execution.folder.checksums import records_of
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.exporting.model import link_or_copy
from crosslift.final.card import base_label, card
from crosslift.final.plan import FinalPlan
from crosslift.fingerprint import canonical
from crosslift.system.environment import environment
from crosslift.system.files import make_folder, read_json, remove, sync_folder, write_json, write_text

MANIFEST = "manifest.json"
CARD = "README.md"
ADAPTER = "adapter"
"""Folder of the adapter within merged weights."""
REPLACED = "replaced"
"""Folder of an adapter that is being replaced by its merged weights, below the hidden folder."""
_OF_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, kw_only=True)
class FinalModel:
    """A finished model folder."""

    folder: Path
    num_examples: int
    """Training examples of one epoch."""
    num_steps: int
    """Optimizer steps."""
    merged: bool
    """Whether the folder contains an adapter that was merged into full weights."""
    was_finished: bool
    """Whether the folder was complete before."""


def read_final(folder: Path, plan: FinalPlan) -> FinalModel | None:
    """Return the finished model of a plan.

    Args:
        folder: the model folder.
        plan: what it must have been trained from.

    Returns:
        The model; None if the folder holds no model of this training, or an adapter that is yet to be merged.

    Raises:
        StoreError: a file of the model is missing or damaged in size.
    """
    found = manifest_of(folder)
    if found is None or found["fingerprint"] != plan.fingerprint or (plan.merge and not found["merged"]):
        return None
    for name, record in found["files"].items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != record["size"]:
            raise StoreError(f"{file} is missing or damaged. Remove {folder} and start again.")
    return FinalModel(
        folder=folder,
        num_examples=found["mixture"]["num_examples"],
        num_steps=found["num_steps"],
        merged=found["merged"],
        was_finished=True,
    )


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """Read the manifest of a model folder; None if there is none of `train-final`."""
    found = read_json(folder / MANIFEST)
    keys = {"fingerprint", "merged", "files", "mixture", "num_steps", "training"}
    return found if isinstance(found, dict) and keys <= found.keys() else None


def write_final(graph: StepGraph, plan: FinalPlan, trained: Path, folder: Path, training: Mapping[str, Any]) -> None:
    """Write a model folder.

    Args:
        graph: the steps of the study.
        plan: what was trained.
        trained: folder of the checkpoint: full weights, or an adapter with its tokenizer.
        folder: destination; what it holds is removed.
        training: result of the training, in JSON types.
    """
    remove(folder)
    if graph.study.training.method == "lora" and plan.merge:
        base = graph.models[plan.run.model.name].folder(graph.study.folder)
        member("trainer", "native").merge_adapter(base, trained, folder)
        make_folder(folder / ADAPTER)
        for name in _OF_ADAPTER:
            shutil.copyfile(trained / name, folder / ADAPTER / name)
    else:
        make_folder(folder)
        for file in sorted(trained.iterdir()):
            if file.is_file() and file.name not in (MANIFEST, CARD):
                link_or_copy(file, folder / file.name)
    for file in folder.rglob("*.safetensors"):  # which the library writes for its owner only
        file.chmod(0o644)
    write_text(folder / CARD, card(graph, plan, training), durable=False)
    write_json(folder / MANIFEST, _manifest(graph, plan, folder, training), durable=False)
    sync_folder(folder)


def place(folder: Path, target: Path, hidden: Path) -> None:
    """Move a complete model folder to its place. A folder that is there already is kept until the new one is.

    Args:
        folder: the complete folder, on the same disk as `target`.
        target: the place.
        hidden: the hidden folder of unfinished work.
    """
    if target.is_dir() and any(target.iterdir()):
        remove(hidden / REPLACED)
        target.rename(hidden / REPLACED)
    elif target.exists():
        target.rmdir()
    folder.rename(target)
    remove(hidden / REPLACED)


def put_back(target: Path, hidden: Path) -> None:
    """Undo a `place` that was interrupted between its two moves."""
    if (hidden / REPLACED).is_dir() and not target.exists():
        (hidden / REPLACED).rename(target)


def _manifest(graph: StepGraph, plan: FinalPlan, folder: Path, training: Mapping[str, Any]) -> dict[str, Any]:
    base = graph.models[plan.run.model.name]
    files = {
        name: {"size": record["size"], "sha256": record["sha256"]}
        for name, record in records_of(folder).items()
        if name != MANIFEST
    }
    return {
        "crosslift": __version__,
        "study": graph.study.name,
        "fingerprint": plan.fingerprint,
        "merged": graph.study.training.method == "lora" and plan.merge,
        "base_model": {
            "name": base_label(graph, plan.run.model.name),
            "commit": base.commit,
            "content": base.content,
            "tokenizer": base.tokenizer,
            "num_parameters": base.num_parameters,
        },
        "mixture": plan.manifest,
        "seed": plan.run.seed,
        "settings": canonical(graph.study.training.recorded()),
        "validation": {name: list(tags) for name, tags in graph.study.validation_of(plan.run).items()},
        "num_steps": plan.num_steps,
        "training": dict(training),
        "environment": environment(),
        "files": files,
    }
