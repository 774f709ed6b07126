"""Steps of evaluations by likelihood: asked of a run that was trained on another task, scored again without a model."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from dice import Dice
from fake_study import open_graph
from tiny_study import LANGUAGES, STUDY, write_study

from crosslift.chat import load_tokenizer
from crosslift.execution.phases.evaluate import evaluate, rescore
from crosslift.execution.phases.prepare import prepare
from crosslift.scores import LIKELIHOODS

EVALUATIONS = """
[corpora.choice]
reader = "jsonl"
task = "multiple_choice"
split = "test"
path = "choice.jsonl"
languages = ["en", "es", "sw"]
prompt = "native_letters"

[corpora.text]
reader = "jsonl"
task = "perplexity"
split = "test"
path = "choice.jsonl"
languages = ["en", "es", "sw"]

[evaluations.choice]
corpus = "choice"
metric = "gold_probability"
shots = { corpus = "shown", number = 1 }

[corpora.shown]
reader = "jsonl"
task = "multiple_choice"
split = "validation"
path = "choice.jsonl"
languages = ["en", "es", "sw"]

[evaluations.text]
corpus = "text"

[[contrasts]]"""


@pytest.fixture
def graph(tmp_path: Path):
    folder = write_study(tmp_path, text=STUDY.replace("[[contrasts]]", EVALUATIONS))
    answer = json.dumps({"choices": ["red", "blue"], "gold": 1})
    rows = [
        {
            "item_id": f"i{number}",
            "language": tag,
            "messages": [{"role": "user", "content": f"{tag} {number}?"}],
            "answer": answer,
        }
        for number in range(4)
        for tag in LANGUAGES
    ]
    (folder / "choice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = open_graph(folder)
    prepare(found, say=lambda line: None)
    return found


def test_every_run_is_asked_and_scores_are_written_again_from_the_predictions(graph):
    run = next(run for run in graph.runs.values() if run.mixture is not None)
    steps = {(one.evaluation.name, one.language): one for one in graph.steps(run).evaluations}
    assert {name for name, _ in steps} == {"math", "choice", "text"}
    generator = Dice(load_tokenizer(graph.study.folder / "model"))
    for name, first in (("choice", "accuracy"), ("text", "byte_probability")):
        one = steps[name, "es"]
        assert evaluate(graph, run.name, one, generator) == 0
        predictions = pl.read_parquet(one.step.folder / "predictions.parquet")
        assert predictions.schema == LIKELIHOODS
        scores = one.step.folder / "scores.parquet"
        before = scores.read_bytes()
        assert pl.read_parquet(scores)["metric"][0] == first
        scores.unlink()
        rescore(run.name, one, seconds=1.0)
        assert scores.read_bytes() == before
    asked = pl.read_parquet(steps["choice", "es"].step.folder / "predictions.parquet")["prompt"][2]
    assert asked == "es 0?\nA: red\nB: blue\nRespuesta: B\n\nes 2?\nA: red\nB: blue\nRespuesta:"
