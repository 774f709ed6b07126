"""inspect-ai: one `.json` log per run, evaluation and language. Every metric is a scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crosslift.exporting.scores import EvaluationLog
from crosslift.fingerprint import fingerprint
from crosslift.system.files import write_json

CREATED = "2000-01-01T00:00:00+00:00"
MAPPING = """name = "NAME"

[source]
format = "inspect"
path = "."
pattern = '(?P<evaluation>EVALUATIONS)_(?P<language>.+)'

[columns]
run = "model"
evaluation = "evaluation"
task = "evaluation"
language = "language"
metric = "metric"
item = "item"
cluster = "cluster"
value = "value"
"""
_STOP_REASONS = {"stop": "stop", "length": "max_tokens", "error": "unknown"}


def write(logs: list[EvaluationLog], folder: Path) -> None:
    """Write the logs of one run to `folder/<run>/`."""
    for log in logs:
        key = fingerprint([log.run, log.name])
        name = f"{CREATED.replace(':', '-')}_{log.name.replace('_', '-')}_{key}.json"
        write_json(folder / log.run / name, _log(log, key), durable=False)


def _log(log: EvaluationLog, key: str) -> dict[str, Any]:
    samples = [_sample(log, sample) for sample in log.samples]
    scored = sum(sample["status"] != "error" for sample in log.samples)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": key,
            "run_id": fingerprint(log.run),
            "created": CREATED,
            "task": log.name,
            "task_id": key,
            "task_version": 0,
            "dataset": {
                "name": log.evaluation,
                "samples": len(samples),
                "sample_ids": [sample["id"] for sample in samples],
                "shuffled": False,
            },
            "model": f"crosslift/{log.run}",
            "config": {"epochs": 1},
            "packages": {"crosslift": log.facts["crosslift"]},
            "metadata": {**log.facts, "base": log.model, "language": log.language, "task": log.task},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": scored,
            "scores": [
                {"name": metric, "scorer": metric, "params": {}, "metrics": _metrics(mean, error)}
                for metric, (mean, error, _) in log.means().items()
            ],
        },
        "stats": {"started_at": CREATED, "completed_at": CREATED, "model_usage": {}},
        "samples": samples,
    }


def _metrics(mean: float, error: float | None) -> dict[str, Any]:
    found = {"mean": mean} | ({} if error is None else {"stderr": error})
    return {name: {"name": name, "value": value, "params": {}} for name, value in found.items()}


def _sample(log: EvaluationLog, sample: dict[str, Any]) -> dict[str, Any]:
    answer = {"role": "assistant", "content": sample["text"], "source": "generate"}
    made: dict[str, Any] = {
        "id": sample["item_id"],
        "epoch": 1,
        "input": sample["prompt"],
        "target": sample["answer"],
        "messages": [{"role": "user", "content": sample["prompt"], "source": "input"}, answer],
        "output": {
            "model": f"crosslift/{log.run}",
            "choices": [{"message": answer, "stop_reason": _STOP_REASONS[sample["finish"]]}],
        },
        "scores": {
            metric: {"value": value, "answer": sample["text"], "metadata": {"status": sample["status"]}}
            for metric, value in sample["values"].items()
            if value is not None
        },
        "metadata": {"cluster": sample["cluster"], "language": sample["language"]},
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }
    if sample["status"] == "error":
        made["error"] = {
            "message": "the sample could not be generated or scored",
            "traceback": "",
            "traceback_ansi": "",
        }
    return made
