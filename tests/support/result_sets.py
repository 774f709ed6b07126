"""Results of studies made up from arrays, as input of comparisons: no folder, no run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl

from crosslift.comparing.result_set import ResultSet
from crosslift.discover import member
from crosslift.scores import RUNS, SCORES
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.study import Contrast


@dataclass
class FakeStore:
    folder: Path
    environments: dict = field(default_factory=dict)

    def provenance(self, run):
        return {"environment": self.environments, "train": {"precision": "float32"}, "evaluate": {}}

    def manifests(self):
        return self.own_manifests


@dataclass(frozen=True, kw_only=True)
class FakeResultSet(ResultSet):
    contents: pl.DataFrame | None = None

    def test_items(self, evaluation):
        return self.contents


def result_set(
    label,
    chances,
    *,
    seed=0,
    num_items=200,
    tags=("en", "sw"),
    seeds=(0,),
    run_sd=0.0,
    amounts=None,
    model="tiny",
    content="m1",
    corpus="c1",
    contents=None,
    evaluation="math",
    task="math",
    contrasts=None,
    folder=None,
    settings=None,
    first_item=0,
):
    """A study in which a mixture answers with a given chance, on items that differ in difficulty.

    Args:
        chances: mixture -> chance of a right answer.
        amounts: mixture -> {tag: examples}; default: 100 English examples and one more for each mixture.
    """
    difficulty = np.random.default_rng(99).normal(0, 0.2, 10_000)[first_item : first_item + num_items]
    generator = np.random.default_rng(seed)
    runs, scores, manifests, lock_runs = [], [], {}, {}
    for place, (mixture, chance) in enumerate(chances.items()):
        base = mixture == "base"
        own = (amounts or {}).get(mixture, {"en": 100 + place})
        for number in (0,) if base else seeds:
            run = f"{model}.{mixture}" + ("" if base else f".s{number}")
            factors = {"run": run, "model": model, "mixture": mixture, "family": "", "setting": "" if base else task}
            factors |= {"seed": number, "num_parameters": 1000, "languages": [] if base else list(own)}
            factors |= {"num_items": [] if base else list(own.values()), "num_tokens": [] if base else [1] * len(own)}
            runs.append(factors | {"dose": None})
            lock_runs[run] = {
                "fingerprint": f"{label} {run}",
                "mixture": mixture,
                "evaluations": {evaluation: list(tags)},
            }
            noise = generator.normal(0, run_sd)
            for tag in tags:
                right = generator.random(num_items) < np.clip(chance + noise + difficulty, 0, 1)
                items = [f"i{item}" for item in range(first_item, first_item + num_items)]
                columns = {"run": run, "evaluation": evaluation, "task": task, "language": tag}
                columns |= {"sample_id": [f"{item}.{tag}" for item in items], "item_id": items, "cluster": items}
                columns |= {"metric": "accuracy", "value": right.astype(float), "status": "scored"}
                scores.append(pl.DataFrame(columns).select(SCORES.names()))
        if not base:
            manifests[mixture] = {
                "counts": {"train": own},
                "pairing": "shared",
                "num_examples": sum(own.values()),
                "examples_sha256": f"{own}",
                "corpora": {"train": {"fingerprint": "t1"}},
            }
    names = [name for name in chances if name != "base"]
    if contrasts is None:
        contrasts = (Contrast(name="effect", control=names[0], treatments=tuple(names[1:]), primary=True),)
    metric = member("task", task).METRICS[0]
    tested = Evaluation(name=evaluation, corpus="test", task=task, languages=tuple(tags), max_tokens=8, metric=metric)
    study = SimpleNamespace(
        evaluations={evaluation: tested},
        contrasts=contrasts if len(names) > 1 else (),
        corpora={"train": SimpleNamespace(task=task), "test": SimpleNamespace(task=task)},
        question="?",
    )
    store = FakeStore(folder=folder or Path(label))
    store.own_manifests = manifests
    lock = {
        "corpora": {"test": {"fingerprint": corpus, "revision": corpus}},
        "models": {model: {"content": content}},
        "tasks": {task: "code"},
        "runs": lock_runs,
    }
    found = FakeResultSet(
        label=label,
        study=study,
        store=store,
        study_file=Path("none"),
        runs=pl.DataFrame(runs, schema=RUNS),
        scores=pl.concat(scores),
        lock=lock,
        contents=contents,
    )
    if settings is not None:
        found.__dict__["settings"] = settings
    return found
