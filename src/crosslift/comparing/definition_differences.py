"""What differs between studies beside their results: settings, contents, software and processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import polars as pl

from crosslift.comparing.result_set import ResultSet
from crosslift.execution.definitions.changes import differences

PATHS = ("path", "template")
"""Keys of the study file that may hold a path of this machine; what is at the path is compared by content."""
DIFFERENCES = pl.Schema(
    {
        "part": pl.String,  # "study file", "content", "environment"
        "field": pl.String,  # "training.learning_rate"
        "first": pl.String,  # value in the first study
        "second": pl.String,
    }
)


def definition_differences(first: ResultSet, second: ResultSet) -> pl.DataFrame:
    """List what differs between the definitions and the environments of two studies.

    Args:
        first: a study.
        second: the other study.

    Returns:
        Columns as in DIFFERENCES: settings of the study file; contents of corpora, models and mixtures, and code of
        tasks, for equal names; versions, processors, precisions and other parts of the environment of the runs.
    """
    rows = [
        ("study file", one.path, one.was_text, one.now_text)
        for one in differences(_without_folders(first.settings), _without_folders(second.settings))
        if one.path != "name"
    ]
    rows += [("content", *row) for row in _contents(first, second)]
    here, there = _environment(first), _environment(second)
    rows += [
        ("environment", key, here.get(key, "not recorded"), there.get(key, "not recorded"))
        for key in dict.fromkeys([*here, *there])
        if here.get(key) != there.get(key)
    ]
    return pl.DataFrame(rows, schema=DIFFERENCES, orient="row")


def _without_folders(value: Any, key: str = "") -> Any:
    """Keep only the names of files and models with an absolute path: pages are shared, folders of a machine are not."""
    if isinstance(value, dict):
        return {name: _without_folders(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one, key) for one in value]
    is_folder = isinstance(value, str) and key in PATHS and value.startswith(("/", "~", "..", "\\\\"))
    return PurePath(value).name if is_folder else value


def _contents(first: ResultSet, second: ResultSet) -> Iterator[tuple[str, str, str]]:
    """Yield what has the same name and another content, which the study file need not show."""
    for kind, key, shown in (("corpora", "fingerprint", "revision"), ("models", "content", "content")):
        here, there = first.lock[kind], second.lock[kind]
        for name in here:
            if name in there and here[name].get(key) != there[name].get(key):
                yield f"{kind}.{name}", str(here[name].get(shown)), str(there[name].get(shown))
    for task, revision in first.lock["tasks"].items():
        if second.lock["tasks"].get(task, revision) != revision:
            yield f"code of the task {task}", revision, second.lock["tasks"][task]
    for name, here in first.manifests.items():
        there = second.manifests.get(name)
        if there is not None and here["examples_sha256"] != there["examples_sha256"]:
            yield f"mixtures.{name}", _drawn(here), _drawn(there)


def _drawn(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['num_examples']} examples, {manifest['examples_sha256'][:8]}"


def _environment(one: ResultSet) -> dict[str, str]:
    """Return the environment of all runs: field -> its values."""
    values: dict[str, dict[str, None]] = {}
    for run in one.runs["run"]:
        record = one.store.provenance(run)
        for key, value in _flat(record.get("environment") or {}):
            values.setdefault(key, {})[value] = None
        if precision := (record.get("train") or {}).get("precision"):
            values.setdefault("precision", {})[str(precision)] = None
    return {key: ", ".join(found) for key, found in values.items()}


def _flat(record: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        elif value is not None:
            yield f"{path}{key}", str(value)


def difference_lines(table: pl.DataFrame) -> list[str]:
    """Return one line per difference: `training.learning_rate: 0.001 -> 0.002`; one line if there is none."""
    lines = [f"{row['field']}: {row['first']} -> {row['second']}" for row in table.iter_rows(named=True)]
    return lines or ["Settings, contents, software and processor are the same."]
