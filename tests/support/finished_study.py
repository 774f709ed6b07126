"""A finished study of any size: prepared for real, with results that were made up instead of trained for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
from tiny_study import write_model

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import write_table
from crosslift.execution.phases.prepare import prepare
from crosslift.fingerprint import fingerprint_file
from crosslift.scores import PREDICTIONS, SCORES
from crosslift.studies.parsing.load import load
from crosslift.training.trainer import METRICS

TAGS = ("en", "es", "ja", "bn", "sw", "te")
NUM_ITEMS = 50

STUDY = """
name = "finished"

[models.tiny]
path = "./model"

[corpora.train]
reader = "jsonl"
task = "math"
path = "train.jsonl"
languages = {tags}

[corpora.test]
reader = "jsonl"
task = "math"
split = "test"
path = "test.jsonl"
languages = {tags}

{mixtures}

[grid]
seeds = {seeds}
base = {base}

[training]
epochs = 1.0
learning_rate = 1e-3
batch_examples = 16

[evaluations.math]
corpus = "test"
"""

CONTRAST = """
[[contrasts]]
name = "more English"
control = "m0"
treatments = ["m1"]
primary = true
"""

MIXTURE = """
[mixtures.m{number}]
components = [{{ corpus = "train", counts = {{ en = {english}, {other} = 50 }} }}]
pairing = "shared"
"""


def right_for_half(run: str, tag: str, item: int) -> bool:
    """Right for about half of the items, which half depending on run and language."""
    return bool((item + len(run) + sum(map(ord, run[-4:] + tag))) % 2)


def write_finished_study(
    folder: Path,
    *,
    num_mixtures: int,
    num_seeds: int,
    tags: tuple[str, ...] = TAGS,
    mixtures: str = "",
    right: Callable[[str, str, int], bool] = right_for_half,
    num_right: int = 0,
    more: str = "",
    base: bool = False,
) -> None:
    """num_mixtures x num_seeds runs, each evaluated in every language; right on the first `num_right` items.

    `mixtures` replaces the tables of mixtures (m0 and m1 are in the contrast, if there is an m1); `right` says of run,
    language and item whether the answer was right on the others, by default about half of them; `more` is added to the
    study file; `base`: the base model is evaluated too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mixtures = mixtures or "".join(
        MIXTURE.format(number=number, english=100 + number, other=tags[1 + number % (len(tags) - 1)])
        for number in range(num_mixtures)
    )
    text = STUDY.format(tags=json.dumps(tags), mixtures=mixtures, seeds=list(range(num_seeds)), base=json.dumps(base))
    text += CONTRAST if "[mixtures.m1]" in text else ""
    (folder / "study.toml").write_text(text + more, encoding="utf-8")
    for name, num_items in (("train", 100 + num_mixtures), ("test", NUM_ITEMS)):
        lines = [
            {"item_id": f"{name}{i}", "language": tag, "prompt": f"{i} + 1?", "completion": f"{i + 1}", "answer": i + 1}
            for i in range(num_items)
            for tag in tags
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    write_model(folder / "model")
    graph = StepGraph(load(folder), Store(folder))
    prepare(graph, say=lambda line: None)
    for run in graph.runs.values():
        _finish(graph, run, lambda name, tag, item: item < num_right or right(name, tag, item))


def _finish(graph, run, right):
    steps = graph.steps(run)
    if steps.train is not None:
        steps.train.begin()
        write_table(steps.train.folder / "metrics.parquet", _metrics())
        steps.train.finish(seconds=1.0, num_tokens=1000, precision="float32")
    for one in steps.evaluations:
        one.step.begin()
        write_table(one.step.folder / "predictions.parquet", _predictions(one.language))
        scores = one.step.folder / "scores.parquet"
        write_table(scores, _scores(run.name, one.evaluation.name, one.language, right))
        one.step.finish(scores=fingerprint_file(scores), num_samples=NUM_ITEMS, num_errors=0, seconds=1.0)


def _metrics():
    row = {"step": 7, "epoch": 1.0, "split": "train", "language": "all", "task": "all", "num_tokens": 1000, "loss": 1.0}
    return pl.DataFrame([row], schema=METRICS)


def _predictions(tag):
    rows = [
        {
            "sample_id": f"test{i}.{tag}",
            "item_id": f"test{i}",
            "cluster": f"test{i}",
            "language": tag,
            "prompt": f"{i} + 1?",
            "text": f"{i + 1}",
            "finish": "stop",
            "num_prompt_tokens": 6,
            "num_completion_tokens": 2,
            "answer": f"{i + 1}",
        }
        for i in range(NUM_ITEMS)
    ]
    return pl.DataFrame(rows, schema=PREDICTIONS)


def _scores(run, evaluation, tag, right):
    rows = [
        {
            "run": run,
            "evaluation": evaluation,
            "task": "math",
            "language": tag,
            "sample_id": f"test{i}.{tag}",
            "item_id": f"test{i}",
            "cluster": f"test{i}",
            "metric": metric,
            "value": float(right(run, tag, i)),
            "status": "scored",
        }
        for i in range(NUM_ITEMS)
        for metric in ("accuracy", "in_language")
    ]
    return pl.DataFrame(rows, schema=SCORES)
