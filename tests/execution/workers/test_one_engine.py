"""A worker evaluates several runs with one engine: one start, one call for all of them, each run under its lease."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from fake_study import open_graph

from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.inspection.status import status
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.studies.site import Site
from crosslift.system.leases import Lease
from crosslift.system.processes import machine_id

RUNS = ["tiny.base", "tiny.en.s0", "tiny.en.s1", "tiny.en-sw.s0", "tiny.en-sw.s1"]


@pytest.fixture(scope="session")
def with_engine(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared study, evaluated by the generator `fake_engine`."""
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("engine") / "study"))
    file = folder / "study.toml"
    file.write_text(file.read_text().replace('generator = "fake"', 'generator = "fake_engine"'))
    prepare(open_graph(folder), say=lambda line: None)
    return folder


@pytest.fixture
def study(with_engine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_engine, tmp_path / "study"))


def do(folder: Path, *names: str, size: int = 3, **options) -> bool:
    return work(load(folder), names, site=Site(generators={"fake_engine": {"runs_per_engine": size}}), **options)


def noted(folder: Path) -> list[str]:
    file = folder / "engine.json"
    return json.loads(file.read_text()) if file.exists() else []


def states(folder: Path) -> dict[str, str]:
    return {one.run: one.what for one in status(open_graph(folder))}


def scores_of(folder: Path) -> pl.DataFrame:
    graph = open_graph(folder)
    rebuild_result_tables(graph, graph.states())
    return graph.store.scores()


def test_one_start_serves_all_runs_and_each_call_all_of_a_group(study):
    assert do(study, size=5)
    assert noted(study) == ["start", "ask 5", "ask 5", "ask 5", "close"]  # three languages
    assert set(states(study).values()) == {"done"}
    assert not list(study.glob("runs/*/lease.*"))


def test_the_engine_ends_before_a_run_is_trained_and_stays_between_groups(study):
    assert do(study, size=3)
    # The base model needs no training; two runs wait with it. The last two are trained without an engine in memory.
    assert noted(study) == ["start", *["ask 3"] * 3, "close", "start", *["ask 2"] * 3, "close"]
    for folder in (study / "runs").iterdir():
        shutil.rmtree(folder / "eval")
    (study / "engine.json").unlink()
    assert do(study, size=2)
    assert noted(study) == ["start", *["ask 2"] * 6, *["ask 1"] * 3, "close"]


def test_scores_are_those_of_runs_that_are_evaluated_one_by_one(study, with_engine, tmp_path):
    do(study, size=5)
    single = Path(shutil.copytree(with_engine, tmp_path / "single"))
    do(single, size=1)
    assert noted(single)[0] == "start"
    assert set(noted(single)) == {"start", "ask 1", "close"}
    assert scores_of(study).equals(scores_of(single))


def test_a_model_that_cannot_be_batched_is_evaluated_run_by_run_in_the_same_engine(study):
    (study / "full").touch()
    assert do(study, size=5)
    assert noted(study) == ["start", *["ask 1"] * 15, "close"]


def test_a_run_that_fails_leaves_the_others_of_its_group_alone(study):
    (study / "engine_faults.json").write_text(json.dumps({"tiny.en.s1": "no such module"}))
    assert not do(study, size=5)
    found = {one.run: one for one in status(open_graph(study))}
    assert [name for name, one in found.items() if one.what != "done"] == ["tiny.en.s1"]
    assert "no such module" in found["tiny.en.s1"].message
    assert noted(study) == ["start", *["ask 4"] * 3, "close"]
    (study / "engine_faults.json").unlink()
    assert do(study, "tiny.en.s1")
    assert set(states(study).values()) == {"done"}


def test_a_group_takes_up_what_an_interruption_left(study):
    do(study, size=5)
    for run, language in (("tiny.base", "en"), ("tiny.en.s0", "sw"), ("tiny.en-sw.s1", "sw")):
        shutil.rmtree(study / "runs" / run / "eval" / f"math.{language}")
    (study / "engine.json").unlink()
    assert do(study, size=5)
    assert noted(study) == ["start", "ask 1", "ask 2", "close"]


def test_a_run_that_is_leased_elsewhere_is_left_out_of_the_group(study):
    with Lease(study / "runs" / "tiny.base"):
        assert do(study, size=5)
        assert states(study) == {"tiny.base": "running"} | dict.fromkeys(RUNS[1:], "done")
    assert "ask 4" in noted(study)


def test_after_the_death_of_a_worker_each_run_of_its_group_is_evaluated_alone(study):
    """Otherwise the run that kills its worker would take the others with it, again and again."""
    dead = {"token": "t", "machine_id": machine_id(), "pid": 2**22 + 1, "started": "0", "session": "one", "deaths": 0}
    for run in ("tiny.base", "tiny.en.s1"):
        (study / "runs" / run / "lease.0.json").write_text(json.dumps(dead))
    (study / "runs" / "tiny.en.s0" / "lease.0.json").write_text(json.dumps(dead | {"deaths": 1}))
    assert not do(study, size=5, session="one")
    found = {one.run: one for one in status(open_graph(study))}
    assert [name for name, one in found.items() if one.what != "done"] == ["tiny.en.s0"]
    assert "2 workers died on this run" in found["tiny.en.s0"].message
    assert set(noted(study)) == {"start", "ask 1", "close"}


def test_runs_with_equal_training_are_generated_once(study):
    text = (study / "study.toml").read_text()
    head, _, tail = text.partition("[mixtures.en-sw]")
    copy = '[mixtures.en-too]\ncomponents = [{ corpus = "train", shares = { en = 1.0 } }]\nbudget = { amount = 32 }\n'
    (study / "study.toml").write_text(f'{head}{copy}pairing = "shared"\n\n[mixtures.en-sw]{tail}')
    prepare(open_graph(study), say=lambda line: None)
    assert do(study, size=8)
    assert noted(study) == ["start", *["ask 5"] * 3, "close"]
    assert set(states(study).values()) == {"done"}
    assert len(states(study)) == 7
