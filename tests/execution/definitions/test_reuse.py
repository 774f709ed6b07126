"""Runs that are the same training under two names are computed once, and stand on their own afterwards."""

from __future__ import annotations

import shutil

import pytest
from fake_study import open_graph
from tiny_study import dose_families

from crosslift.execution.definitions.reuse import equal_runs
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.system.leases import Lease

DOSES = dose_families(fixed=16, dose=8) + "[training]"


@pytest.fixture
def doses(study):
    """Base, en, en-sw, and two dose families that meet at 0; two seeds."""
    folder = study
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("[training]", DOSES, 1))
    prepare(open_graph(folder), say=lambda line: None)
    return folder


def trained(folder, run):
    """Computed, not taken from a twin."""
    return "same_as" not in open_graph(folder).store.provenance(run)["train"]


def test_only_cells_of_the_same_examples_and_seed_are_twins(doses):
    assert equal_runs(open_graph(doses)) == {
        "tiny.latin-0.s0": ("tiny.other-0.s0",),
        "tiny.other-0.s0": ("tiny.latin-0.s0",),
        "tiny.latin-0.s1": ("tiny.other-0.s1",),
        "tiny.other-0.s1": ("tiny.latin-0.s1",),
    }


def test_a_twin_is_trained_once_and_has_all_results(doses):
    assert work(load(doses))
    assert trained(doses, "tiny.latin-0.s0")
    assert not trained(doses, "tiny.other-0.s0")
    store = open_graph(doses).store
    scores = store.scores()
    one, other = (scores.filter(run=f"tiny.{name}-0.s1").drop("run") for name in ("latin", "other"))
    assert one.height > 0
    assert one.equals(other)
    assert store.provenance("tiny.other-0.s0")["train"]["same_as"] == "tiny.latin-0.s0"


def test_a_twin_outlives_the_run_it_was_taken_from(doses):
    work(load(doses))
    for name in ("tiny.latin-0.s0", "tiny.latin-0.s1"):
        shutil.rmtree(doses / "runs" / name)
    states = open_graph(doses).states()
    assert states["tiny.other-0.s0"].done
    assert not states["tiny.latin-0.s0"].done
    assert work(load(doses))  # and gives back what it took
    assert not trained(doses, "tiny.latin-0.s0")
    assert open_graph(doses).states()["tiny.latin-0.s0"].done


def test_a_twin_waits_while_somebody_trains_the_other(doses):
    with Lease(doses / "runs" / "tiny.latin-0.s0", session="elsewhere"):
        assert work(load(doses))
        assert not (doses / "runs" / "tiny.other-0.s0" / "train").exists()
        assert open_graph(doses).states()["tiny.other-0.s1"].done


def test_a_run_that_is_asked_for_by_name_does_not_wait(doses):
    with Lease(doses / "runs" / "tiny.latin-0.s0", session="elsewhere"):
        assert work(load(doses), ["tiny.other-0.s0"])
    assert trained(doses, "tiny.other-0.s0")


def test_a_twin_of_a_failed_run_is_trained(doses):
    (doses / "faults.json").write_text('{"tiny.latin-0.s0": "error"}')
    assert not work(load(doses))
    assert trained(doses, "tiny.other-0.s0")
    assert open_graph(doses).states()["tiny.other-0.s0"].done


def test_without_its_checkpoint_a_twin_gives_predictions_only(doses):
    work(load(doses), ["tiny.latin-0.s0"])
    shutil.rmtree(doses / "runs" / "tiny.latin-0.s0" / "train" / "checkpoint")
    work(load(doses), ["tiny.other-0.s0"])
    assert trained(doses, "tiny.other-0.s0")
