"""lm-evaluation-harness: `results_*.json` and `samples_*.jsonl` in a folder per run, as `--log_samples` writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from crosslift.exporting.scores import DATE, EvaluationLog
from crosslift.system.files import write_json, write_text

FILTER = "none"
MAPPING = """name = "NAME"

[source]
format = "lm_eval"
path = "."
pattern = '(?P<evaluation>EVALUATIONS)_(?P<language>.+)'

[columns]
run = "model"
evaluation = "evaluation"
task = "evaluation"
language = "language"
metric = "metric"
item = "doc_item_id"
cluster = "doc_cluster"
value = "value"
"""


def write(logs: list[EvaluationLog], folder: Path) -> None:
    """Write the logs of one run to `folder/<run>/`."""
    place = folder / logs[0].run
    write_json(place / f"results_{DATE}.json", _results(logs), durable=False)
    for log in logs:
        lines = [json.dumps(_sample(log, sample), ensure_ascii=False) for sample in log.samples]
        write_text(place / f"samples_{log.name}_{DATE}.jsonl", "\n".join(lines) + "\n", durable=False)


def _results(logs: list[EvaluationLog]) -> dict[str, Any]:
    results: dict[str, dict[str, Any]] = {}
    for log in logs:
        results[log.name] = {"alias": log.name, "sample_len": len(log.samples)}
        for metric, (mean, error, _) in log.means().items():
            results[log.name] |= {
                f"{metric},{FILTER}": mean,
                f"{metric}_stderr,{FILTER}": "N/A" if error is None else error,
            }
    counts = {log.name: {"original": len(log.samples), "effective": len(log.samples)} for log in logs}
    first = logs[0]
    return {
        "results": results,
        "group_subtasks": {},
        "configs": {
            log.name: {"task": log.name, "output_type": "generate_until", "metadata": {"language": log.language}}
            for log in logs
        },
        "versions": {log.name: 1 for log in logs},
        "n-shot": {log.name: 0 for log in logs},
        "higher_is_better": {log.name: dict.fromkeys(log.metrics, True) for log in logs},
        "n-samples": counts,
        "config": {"model": "crosslift", "model_args": first.facts | {"base": first.model}},
        "model_source": "crosslift",
        "model_name": first.run,
        "model_name_sanitized": first.run,
    }


def _sample(log: EvaluationLog, sample: dict[str, Any]) -> dict[str, Any]:
    doc = {key: sample[key] for key in ("item_id", "cluster", "language", "answer")}
    return {
        "doc_id": sample["number"],
        "doc": doc,
        "target": sample["answer"],
        "arguments": {"gen_args_0": {"arg_0": sample["prompt"], "arg_1": {"until": []}}},
        "resps": [[sample["text"]]],
        "filtered_resps": [sample["text"]],
        "filter": FILTER,
        "metrics": list(log.metrics),
        "doc_hash": _hash(json.dumps(doc, ensure_ascii=False)),
        "prompt_hash": _hash(sample["prompt"]),
        "target_hash": _hash(sample["answer"]),
        "status": sample["status"],
        **sample["values"],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
