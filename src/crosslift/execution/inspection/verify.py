"""`crosslift verify`: reads every file of a study and compares it with its checksum.

Verification uses the done-markers in the folder and needs neither the corpora's sources nor the models, so an archived
study can be verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums, earlier
from crosslift.execution.folder.checksums import MARKER, Damage
from crosslift.execution.folder.result_tables import REBUILT
from crosslift.execution.folder.store import Store

Tick = Callable[[int, int, float], None]
"""Called after every file with the bytes read, the total bytes, and the estimated remaining seconds."""


@dataclass(kw_only=True)
class Verified:
    """Result of a verification."""

    num_files: int = 0
    num_bytes: int = 0
    damage: list[Damage] = field(default_factory=list)
    unverifiable: list[str] = field(default_factory=list)
    """Finished steps whose marker lists no files, from versions without checksums."""
    unfinished: list[str] = field(default_factory=list)
    """Steps without a marker: not finished yet, or the marker was removed."""


def verify(store: Store, *, tick: Tick = lambda read, total, left: None) -> Verified:
    """Hash every file of a study. The mtime of a damaged file is updated, so that quick checks detect the damage.

    Args:
        store: the study's folder.
        tick: called after every file.

    Returns:
        The damaged, unverifiable and unfinished steps.

    Raises:
        StoreError: the study has not been prepared.
    """
    checksums.forget_hashes()
    result = Verified()
    lock = _lock(store, result)
    tables = []
    for folder in _steps(store, lock):
        try:
            marker = checksums.read_marker(folder)
        except StoreError as error:
            result.damage.append(checksums.damage_of(folder, error))
            continue
        name = store.name_of(folder)
        if marker is None:
            result.unfinished.append(name)
        elif "files" not in marker:
            result.unverifiable.append(name)
            result.damage += checksums.step_damage(folder, marker, thorough=True)
        else:
            foreign = marker.get("step", name) != name and not store.is_earlier(folder)
            if foreign:
                what = f"belongs to {marker['step']}"
                result.damage.append(checksums.name_damage(folder, MARKER, what))
            tables.append((folder, {} if foreign else marker["files"]))
    tables.append((store.folder, _rebuilt(store, result)))
    _hash(tables, result, tick)
    for run, expected in lock.get("runs", {}).items():
        _run(store, run, expected, result)
    return result


def _hash(tables: list[tuple[Path, dict[str, Any]]], result: Verified, tick: Tick) -> None:
    total = sum(record["size"] for _, files in tables for record in files.values())
    started = time.monotonic()
    for folder, files in tables:
        for name, record in files.items():
            result.damage += checksums.damaged(folder, {name: record}, thorough=True)
            result.num_files += 1
            result.num_bytes += record["size"]
            seconds = time.monotonic() - started
            tick(result.num_bytes, total, seconds / max(result.num_bytes, 1) * (total - result.num_bytes))


def _lock(store: Store, result: Verified) -> dict[str, Any]:
    if not store.lock_file.exists():
        return store.lock()  # raises StoreError: the study has not been prepared
    try:
        return store.lock()
    except StoreError as error:
        result.damage.append(checksums.damage_of(store.folder, error))
        return {}


def _steps(store: Store, lock: dict[str, Any]) -> Iterator[Path]:
    """Yield the folders of all steps, finished or not; without lock.json, the existing ones."""
    for kind in ("corpora", "tokens", "mixtures"):
        yield from sorted(folder for folder in (store.folder / kind).glob("*") if folder.name[0] != ".")
    runs = lock.get("runs")
    if runs is None:
        yield from sorted(marker.parent for marker in (store.folder / "runs").glob(f"*/**/{MARKER}"))
    for run, record in (runs or {}).items():
        if record["mixture"] != "base":
            yield store.train_folder(run)
        for evaluation, tags in record["evaluations"].items():
            yield from (store.evaluation_folder(run, evaluation, tag) for tag in tags)
    for kind in earlier.KINDS:
        yield from sorted(folder for folder in store.earlier_folder(kind).glob("*/") if folder.name[0] != ".")
    if store.report_folder.exists():
        yield store.report_folder


def _rebuilt(store: Store, result: Verified) -> dict[str, Any]:
    """Return the records of scores.parquet and runs.parquet."""
    try:
        files = (checksums.read_sealed(store.folder / REBUILT) or {}).get("files", {})
        return files if checksums.is_table(files) else {}
    except StoreError as error:
        result.damage.append(checksums.damage_of(store.folder, error))
        return {}


def _run(store: Store, run: str, expected: dict[str, Any], result: Verified) -> None:
    """Check run.json and provenance.json of a run."""
    folder = store.run_folder(run)
    checks: tuple[Callable[[], object], ...] = (
        lambda: store.run_record(run, expected),
        lambda: store.provenance_or_error(run),
    )
    for check in checks:
        try:
            check()
        except StoreError as error:
            result.damage.append(checksums.damage_of(folder, error))
