"""The stages of a curriculum reach the trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_study import STUDY, write_study

from crosslift.api.opening import open_graph
from crosslift.execution.phases.examples import examples_of, stage_sizes, training_rows
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.phases.train import training_request
from crosslift.system.files import read_json
from crosslift.training.order import BatchSampler
from crosslift.training.trainer import BaseName

FAMILY = """
[families.order]
kind = "replay"
corpora = ["train"]
stages = [{ en = 0.5 }, { sw = 0.5 }]
replay = [0.25]
budget = { amount = 32 }
pairing = "disjoint"

[grid]"""


def test_batches_of_a_run_hold_the_stages_of_its_mixture_in_order(tmp_path: Path) -> None:
    text = STUDY.replace("[grid]", FAMILY).replace("batch_examples = 8", "batch_examples = 4")
    graph = open_graph(write_study(tmp_path / "study", text=text))
    prepare(graph, say=lambda line: None)
    run = graph.runs["tiny.order-25.s0"]
    rows = training_rows(graph, run)
    request = training_request(
        graph,
        run,
        examples=examples_of(graph, run),
        stages=stage_sizes(rows),
        folder=tmp_path,
        base_name=BaseName(name=None),
        device="cpu",
        generators={},
        report=lambda progress: None,
    )
    assert request.shuffle and request.stages == (16, 16)
    order = BatchSampler(
        request.examples.lengths, request.config, seed=request.seed, shuffle=request.shuffle, stages=request.stages
    )
    languages = np.array(rows["language"].to_list())
    stages = [languages[np.concatenate([order.batch(s) for s in range(4 * part, 4 * part + 4)])] for part in (0, 1)]
    assert set(stages[0]) == {"en"}
    assert sorted(stages[1]) == ["en"] * 4 + ["sw"] * 12
    proof = read_json(graph.store.mixture_folder("order-25") / "manifest.json")
    assert proof["stages"][1]["replayed"] == {"train": {"en": 4, "sw": 0}}
    assert stage_sizes(training_rows(graph, graph.runs["tiny.en.s0"])) == ()
