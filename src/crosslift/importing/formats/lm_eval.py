"""lm-evaluation-harness: samples written with `--log_samples`, or the means in results_*.json if there are no samples.

`source.path` is the output folder. Columns: `model`, `task_name`, `metric`, `filter`, `value`, `item` (the sample's
doc_id; means have `num_items` and `standard_error` instead), `doc_item_id` and `doc_cluster` if the documents have an
`item_id` and a `cluster`, and the named groups of `source.pattern` in `task_name`, such as
`mgsm_direct_(?P<language>\\w+)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.errors import TransferError, visible
from crosslift.importing.mapping import ImportMapping
from crosslift.importing.pattern import parse_task_names

COLUMNS = ("model", "task_name", "metric", "filter", "value", "item", "num_items", "standard_error")
"""Columns that a mapping can refer to; `item` of samples only, the last two of means only."""
_SAMPLES = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl$")


def read(mapping: ImportMapping) -> pl.DataFrame:
    """Read all samples in the folder, or all means if there are no samples.

    Raises:
        TransferError: there are neither samples nor means, or a file is not valid JSON.
    """
    samples = sorted(mapping.path.rglob("samples_*.jsonl"))
    results = sorted(mapping.path.rglob("results_*.json"))
    if not samples and not results:
        raise TransferError(
            f"{mapping.path}: contains neither samples_*.jsonl nor results_*.json. Use the --output_path of lm_eval."
        )
    rows = [row for file in samples for row in _samples(file)] or [row for file in results for row in _means(file)]
    if not rows:
        raise TransferError(
            f"{mapping.path}: none of its logs holds a number. Run lm_eval with --log_samples, or again."
        )
    return parse_task_names(mapping, pl.DataFrame(rows, infer_schema_length=None))


def _samples(file: Path) -> Iterator[dict[str, Any]]:
    found = _SAMPLES.search(file.name)
    task = found["task"] if found else file.stem.removeprefix("samples_")
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            doc = sample["doc"] if isinstance(sample.get("doc"), dict) else {}
            ids = {f"doc_{key}": str(doc[key]) for key in ("item_id", "cluster") if key in doc}
            for metric in sample["metrics"]:
                if isinstance(sample[metric], (int, float)):  # lists are components of a corpus-level metric
                    yield {
                        "model": file.parent.name,
                        "task_name": task,
                        "metric": metric,
                        "filter": sample.get("filter", "none"),
                        "item": str(sample["doc_id"]),
                        "value": float(sample[metric]),
                        **ids,
                    }
        except Exception as error:  # what others wrote fails in many ways: AttributeError, RecursionError
            said = visible(repr(error), 200)
            raise TransferError(
                f"{file.name}, line {number}: is not a sample of lm_eval ({said}). Correct it."
            ) from error


def _means(file: Path) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(_text(file))
        for task, metrics in found["results"].items():
            for key, value in metrics.items():
                metric, _, chosen = key.partition(",")
                if not chosen or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                    continue
                error = metrics.get(f"{metric}_stderr,{chosen}")
                yield {
                    "model": found.get("model_name") or file.parent.name,
                    "task_name": task,
                    "metric": metric,
                    "filter": chosen,
                    "value": float(value),
                    "num_items": found.get("n-samples", {}).get(task, {}).get("effective"),
                    "standard_error": error if isinstance(error, (int, float)) else None,
                }
    except TransferError:
        raise
    except Exception as error:
        said = visible(repr(error), 200)
        raise TransferError(f"{file.name}: is not a result file of lm_eval ({said}). Correct it.") from error


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise TransferError(f"{file.name}: cannot be read: {error.strerror}. Give read permission.") from error
    except UnicodeDecodeError as error:
        raise TransferError(f"{file.name}: is not UTF-8. Copy it again.") from error
