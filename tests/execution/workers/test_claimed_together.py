"""A worker that trains LoRA runs together: which it claims, and that each keeps its own state, errors and lease."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from fake_study import open_graph
from safetensors.torch import load_file
from tiny_study import STUDY, write_study

from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.inspection.status import status
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.resources import adapters_at_once
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.devices import Devices
from crosslift.studies.site import Resources, Site
from crosslift.system.leases import Lease, LeaseOwner
from crosslift.system.processes import machine_id
from crosslift.training.trainer import LoRAConfig

TRAINED = ("tiny.en.s0", "tiny.en.s1", "tiny.en-sw.s0", "tiny.en-sw.s1")


def do(folder, *names, at_once=4, **options):
    return work(load(folder), names, site=Site(adapters_at_once=at_once), **options)


def states(folder):
    return {one.run: one.what for one in status(open_graph(folder))}


def outputs(folder, run):
    return json.loads((folder / "runs" / run / "train" / "done.json").read_text())["outputs"]


def companions(folder):
    """Run -> runs that were trained with it; without runs that are not trained."""
    done = [run for run in TRAINED if (folder / "runs" / run / "train" / "done.json").exists()]
    return {run: set(outputs(folder, run).get("trained_with", ())) for run in done}


def test_the_runs_of_a_base_model_are_trained_together_and_evaluated_one_by_one(study, scores):
    said = []
    assert do(study, say=said.append)
    assert set(states(study).values()) == {"done"}
    assert companions(study) == {run: set(TRAINED) - {run} for run in TRAINED}
    assert said[2] == f"trained together with {TRAINED[0]}: {', '.join(TRAINED[1:])}"
    assert not list(study.glob("runs/*/lease.*"))
    graph = open_graph(study)
    rebuild_result_tables(graph, graph.states())
    assert (study / "scores.parquet").read_bytes() == scores
    assert graph.store.provenance("tiny.en.s1")["train"]["trained_with"]


def test_without_the_setting_every_run_is_trained_alone(study):
    assert do(study, at_once=1)
    assert companions(study) == {run: set() for run in TRAINED}


def test_an_error_of_a_run_stays_in_it(study):
    (study / "faults.json").write_text(json.dumps({"tiny.en.s1": "error", "tiny.en-sw.s0": "bug"}))
    assert not do(study)
    found = {one.run: one for one in status(open_graph(study))}
    assert [one.what for one in found.values()] == ["done", "done", "failed", "failed", "done"]
    assert found["tiny.en.s1"].message == "TrainingError: the loss is not a number"
    assert found["tiny.en-sw.s0"].message.startswith("ZeroDivisionError: a bug (the traceback is in")


def test_a_lost_lease_ends_its_run_only(study, monkeypatch):
    lost = study / "runs" / "tiny.en.s1"
    check = Lease.check

    def taken_over(self):
        if self.folder == lost:
            for lease in lost.glob("lease.*.json"):
                number = int(lease.name.split(".")[1])
                lease.rename(lost / f"lease.{number + 1}.json")
        check(self)

    monkeypatch.setattr(Lease, "check", taken_over)
    assert do(study)
    assert not (lost / "error.json").exists()
    assert [states(study)[run] for run in TRAINED] == ["done", "running", "done", "done"]


def test_leased_runs_are_left_to_their_workers_and_no_worker_takes_the_share_of_others(study):
    with Lease(study / "runs" / "tiny.en.s1"):
        do(study, at_once=2, num_workers=2)
        assert states(study)["tiny.en.s1"] == "running"
    assert companions(study) == {
        "tiny.en.s0": {"tiny.en-sw.s0"},
        "tiny.en-sw.s0": {"tiny.en.s0"},
        "tiny.en-sw.s1": set(),
    }


def test_a_run_on_which_a_worker_died_is_trained_alone(study):
    dead = LeaseOwner(token="", machine_id=machine_id(), pid=2**30, started="", session="s", deaths=0)
    (study / "runs" / "tiny.en.s1" / "lease.0.json").write_text(json.dumps(asdict(dead)))
    assert do(study, session="s")
    assert companions(study) == {
        "tiny.en.s0": {"tiny.en-sw.s0", "tiny.en-sw.s1"},
        "tiny.en.s1": set(),
        "tiny.en-sw.s0": {"tiny.en.s0", "tiny.en-sw.s1"},
        "tiny.en-sw.s1": {"tiny.en.s0", "tiny.en-sw.s0"},
    }


def test_a_trainer_that_refuses_gets_the_runs_one_by_one_and_is_not_asked_again(study):
    said = []
    (study / "faults.json").write_text(json.dumps({"tiny.en.s1": "alone"}))
    assert do(study, say=said.append)
    assert said.count("Trained one by one: the fake was told so") == 1
    assert companions(study) == {run: set() for run in TRAINED}
    assert set(states(study).values()) == {"done"}


def test_how_many_runs_are_trained_together_follows_from_settings_and_memory(study):
    tiny = load(study)
    site = Site(adapters_at_once=4, device="cpu")
    assert adapters_at_once(tiny, replace(site, adapters_at_once=1), "tiny") == (1, None)
    assert adapters_at_once(tiny, site, "tiny") == (4, None)
    small = replace(site, devices=Devices(kind="cpu", memory=0.3))
    assert adapters_at_once(tiny, small, "tiny") == (1, "this machine with 0 GB holds no second run")
    divided = replace(site, resources={"tiny": Resources(devices=2.0)})
    assert adapters_at_once(tiny, divided, "tiny") == (1, "a run is divided among several devices")
    constant = replace(tiny, training=replace(tiny.training, schedule="constant"))
    assert adapters_at_once(constant, site, "tiny") == (1, "the fake was told so")
    full = replace(tiny, training=replace(tiny.training, trainer="native"))
    assert "full fine-tuning" in adapters_at_once(full, site, "tiny")[1]
    trl = replace(tiny, training=replace(tiny.training, trainer="trl"))
    assert adapters_at_once(trl, site, "tiny") == (1, "the trainer trl trains one run at a time")


def test_automatically_as_many_runs_as_the_memory_of_a_gpu_holds_at_most_eight(study):
    tiny = load(study)
    tiny = replace(tiny, training=replace(tiny.training, method="lora", lora=LoRAConfig(rank=4096)))

    def number(memory, at_once="auto", **changes):
        site = Site(adapters_at_once=at_once, devices=Devices(kind="H100", memory=memory), **changes)
        return adapters_at_once(tiny, site, "tiny")

    assert number(80) == (8, None)
    assert number(80, 20)[0] == 20
    fewer, reason = number(4)
    assert 1 < fewer < 8 and reason is None
    assert number(4, 20) == (fewer, None)
    assert number(4, resources={"tiny": Resources(devices=0.5)}) == (1, "H100 of 2 GB holds no second run")
    assert number(80, device="cpu") == (1, "one run keeps a core busy")
    unknown = replace(tiny, models={"tiny": replace(tiny.models["tiny"], path="someone/unheard-of")})
    site = Site(adapters_at_once="auto", devices=Devices(kind="H100", memory=80))
    assert adapters_at_once(unknown, site, "tiny") == (1, "the memory of the model is unknown")


@pytest.fixture
def lora_study(prepared, tmp_path):
    """Four runs with adapters, answered by the fake generator."""
    text = STUDY.replace("learning_rate = 1e-3", 'learning_rate = 1e-3\nmethod = "lora"\nprecision = "float32"')
    text = text.replace("max_tokens = 8", 'max_tokens = 8\ngenerator = "fake"').replace("base = true", "base = false")
    folder = write_study(tmp_path / "lora", seeds=(0, 1), text=text)
    prepare(open_graph(folder), say=lambda line: None)
    return folder


def test_adapters_of_a_study_are_those_of_runs_trained_alone(lora_study):
    def adapters():
        files = lora_study.glob("runs/*/train/checkpoint/adapter_model.safetensors")
        return {file.parts[-4]: load_file(file) for file in files}

    assert do(lora_study)
    together, facts = adapters(), {run: outputs(lora_study, run) for run in TRAINED}
    assert [one["trained_together"] for one in facts.values()] == [4] * 4
    fingerprints = {run: open_graph(lora_study).steps(open_graph(lora_study).runs[run]).fingerprint for run in TRAINED}
    for run in TRAINED:
        (lora_study / "runs" / run / "train" / "done.json").unlink()
    assert do(lora_study, at_once=1)
    assert [outputs(lora_study, run)["trained_together"] for run in TRAINED] == [1] * 4
    assert fingerprints == {
        run: open_graph(lora_study).steps(open_graph(lora_study).runs[run]).fingerprint for run in TRAINED
    }
    for run, alone in adapters().items():
        assert max((alone[name] - together[run][name]).abs().max().item() for name in alone) < 1e-4
