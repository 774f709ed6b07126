"""A worker walks runs along the line; what goes wrong in one stays in it."""

from __future__ import annotations

import json
import shutil
import threading

import polars as pl
import pytest

from crosslift.errors import NotPrepared, StoreError, UnknownName
from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.inspection.status import status
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.phases.rescore import rescore_all
from crosslift.execution.workers.worker import work
from crosslift.scores import RUNS, SCORES
from crosslift.studies.parsing.load import load
from crosslift.studies.site import Site
from crosslift.system.leases import Lease


def do(folder, *names, **options):
    return work(load(folder), names, **options)


def states(graph):
    return {one.run: one.what for one in status(graph)}


def change(folder, old, new):
    text = (folder / "study.toml").read_text()
    assert old in text
    (folder / "study.toml").write_text(text.replace(old, new))


def test_a_worker_takes_all_runs_and_then_none(study, graph_of):
    taken = []
    assert do(study, say=taken.append)
    assert taken == [f"started run {name}" for name in graph_of(study).runs]
    assert set(states(graph_of(study)).values()) == {"done"}
    taken.clear()
    assert do(study, say=taken.append)
    assert taken == []
    assert not list(study.glob("runs/*/lease.*"))


def test_the_store_gives_what_workers_made(study, graph_of):
    do(study)
    store = graph_of(study).store
    runs, scores = store.runs(), store.scores()
    assert runs.schema == RUNS
    assert scores.schema == SCORES
    assert runs.filter(run="tiny.en-sw.s1").row(0, named=True) | {"num_parameters": 0, "num_tokens": []} == {
        "run": "tiny.en-sw.s1",
        "model": "tiny",
        "mixture": "en-sw",
        "family": "",
        "setting": "math",
        "seed": 1,
        "num_parameters": 0,
        "languages": ["en", "sw"],
        "num_items": [16, 16],
        "num_tokens": [],
        "dose": None,
    }
    assert scores.height == 5 * 3 * 8 * 2  # runs x languages x samples x metrics
    assert store.predictions("tiny.base", "math", "sw").height == 8
    assert set(store.manifests()) == {"en", "en-sw"}
    assert store.training_metrics("tiny.en.s0").height == 0
    with pytest.raises(StoreError, match="does not exist yet"):
        store.training_metrics("tiny.base")
    provenance = store.provenance("tiny.en.s0")
    assert provenance["environment"]["packages"]["crosslift"]
    assert str(study) not in json.dumps(provenance)


def test_an_error_stays_in_its_run_and_is_told(study, graph_of):
    (study / "faults.json").write_text(json.dumps({"tiny.en.s0": "error", "tiny.en-sw.s1": "bug"}))
    assert not do(study)
    found = {one.run: one for one in status(graph_of(study))}
    assert found["tiny.en.s0"].message == "TrainingError: the loss is not a number"
    assert [one.what for one in found.values()] == ["done", "failed", "done", "done", "failed"]
    assert found["tiny.en-sw.s1"].message.startswith("ZeroDivisionError: a bug (the traceback is in")


def test_a_failed_run_is_tried_again_when_it_is_named(study, graph_of):
    (study / "faults.json").write_text(json.dumps({"tiny.en.s0": "error"}))
    do(study)
    (study / "faults.json").unlink()
    assert do(study)
    assert states(graph_of(study))["tiny.en.s0"] == "failed"
    assert do(study, "tiny.en.s0")
    assert states(graph_of(study))["tiny.en.s0"] == "done"


def test_a_leaseed_run_is_left_alone(study, graph_of):
    with Lease(study / "runs" / "tiny.base"):
        assert do(study)
        assert states(graph_of(study))["tiny.base"] == "running"
    assert states(graph_of(study))["tiny.base"] == "missing"


def test_a_worker_that_lost_its_lease_writes_no_error_into_the_run_of_the_new_owner(study, graph_of, monkeypatch):
    """Both where it notices at a check, and where it stumbles over what the new owner has replaced."""
    run = study / "runs" / "tiny.en.s0"

    def taken_over(*_, check, **__):
        for lease in run.glob("lease.*.json"):
            number = int(lease.name.split(".")[1])
            lease.rename(run / f"lease.{number + 1}.json")
        if stumbles:
            raise FileNotFoundError("checkpoint")
        check()

    monkeypatch.setattr("crosslift.execution.workers.run_execution.train", taken_over)
    stumbles: list[bool] = []
    for _ in range(2):
        assert do(study, "tiny.en.s0")
        assert not (run / "error.json").exists()
        assert states(graph_of(study))["tiny.en.s0"] == "running"
        stumbles.append(True)
        for lease in run.glob("lease.*.json"):
            lease.unlink()


def test_two_workers_do_every_run_once(study, graph_of, monkeypatch):
    monkeypatch.setattr(
        "crosslift.execution.workers.taking.log_to", lambda path: __import__("contextlib").nullcontext()
    )
    monkeypatch.setattr(
        "crosslift.execution.workers.worker.graceful_termination", lambda *_: __import__("contextlib").nullcontext()
    )  # signals belong to the main thread
    (study / "faults.json").write_text(json.dumps(dict.fromkeys(graph_of(study).runs, "slow")))
    taken = []
    threads = [threading.Thread(target=do, args=(study,), kwargs={"say": taken.append}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"started run {name}" for name in graph_of(study).runs)


def test_unknown_runs_are_named(study):
    with pytest.raises(UnknownName, match=r"'tiny.en.s7' is not a run.*Did you mean"):
        do(study, "tiny.en.s7")


def test_a_worker_executes_only_what_is_prepared(study):
    do(study)
    change(study, "learning_rate = 1e-3", "learning_rate = 1e-4")
    with pytest.raises(NotPrepared, match=r"tiny.en.s0 is not prepared as study.toml defines it.*Run: crosslift run"):
        do(study)


def test_a_worker_of_an_earlier_definition_stops_and_records_no_error(study, graph_of, monkeypatch):
    """The study is edited and prepared while a worker trains: its files were moved, which is no error of the run."""
    before = graph_of(study).study

    def train_while_edited(*_, **__):
        change(study, 'path = "train.jsonl"', 'path = "train.jsonl"\nmax_items = 36')
        prepare(graph_of(study), say=lambda line: None)
        raise FileNotFoundError("tokens")

    monkeypatch.setattr("crosslift.execution.workers.run_execution.train", train_while_edited)
    with pytest.raises(NotPrepared, match=r"is not prepared as study\.toml defines it"):
        work(before, ["tiny.en.s0"])
    assert not list(study.glob("runs/*/error.json"))
    monkeypatch.undo()
    assert do(study)
    assert set(states(graph_of(study)).values()) == {"done"}


def test_what_does_not_touch_a_run_leaves_it_done(study, graph_of):
    do(study)
    change(study, "seeds = [0, 1]", "seeds = [0, 1, 2]")
    change(study, 'question = "Does', 'question = "Really, does')
    shutil.move(study / "train.jsonl", study / "elsewhere.jsonl")
    change(study, 'path = "train.jsonl"', 'path = "elsewhere.jsonl"')
    graph = graph_of(study)
    assert {name: state.done for name, state in graph.states().items()} == {
        name: not name.endswith("s2") for name in graph.runs
    }


def test_a_step_that_lacks_its_marker_is_done_again_to_the_same_bytes(study, graph_of):
    do(study)
    graph = graph_of(study)
    rebuild_result_tables(graph, graph.states())
    before = (study / "scores.parquet").read_bytes()
    shutil.rmtree(study / "runs" / "tiny.en.s0" / "train")
    (study / "runs" / "tiny.en.s1" / "eval" / "math.sw" / "done.json").unlink()
    (study / "scores.parquet").unlink()
    do(study)
    graph = graph_of(study)
    rebuild_result_tables(graph, graph.states())
    assert (study / "scores.parquet").read_bytes() == before


def test_scores_are_made_anew_from_predictions(study, graph_of, monkeypatch):
    do(study)
    before = graph_of(study).store.scores()
    monkeypatch.setattr("crosslift.evaluation.tasks.math.final_number", lambda text, language: None)
    assert rescore_all(graph_of(study), say=print) == (15, 0)
    after = graph_of(study).store.scores()
    assert set(before["status"]) != {"unparsed"}
    assert set(after.filter(metric="accuracy")["status"]) == {"unparsed"}


def test_samples_that_our_program_failed_on_are_told_and_tried_again(study, graph_of):
    (study / "unanswered").touch()
    assert not do(study, "tiny.base")
    assert "8 samples of math.en" in graph_of(study).store.error("tiny.base")["message"]
    assert graph_of(study).store.scores().filter(pl.col("status") == "error").height == 3 * 8 * 2
    (study / "unanswered").unlink()
    assert do(study, "tiny.base")
    assert graph_of(study).store.scores().filter(pl.col("status") == "error").is_empty()


def test_checkpoints_go_when_they_are_not_kept_and_come_back_when_needed(study):
    do(study, site=Site(keep_checkpoints=False))
    assert not list(study.glob("runs/*/train/checkpoint"))
    assert len(list(study.glob("runs/*/train/done.json"))) == 4
    shutil.rmtree(study / "runs" / "tiny.en.s0" / "eval" / "math.en")
    assert do(study)
    assert (study / "runs" / "tiny.en.s0" / "train" / "checkpoint").is_dir()
