"""A run on several devices (processes on a CPU) is that of one device; nothing of it outlives its worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from interrupted import Stop, stop_after
from safetensors.torch import load_file
from tiny_models import table, write_model
from transformers import AutoModelForCausalLM

from crosslift import errors
from crosslift.errors import TrainingError
from crosslift.system.processes import process_start_ticks
from crosslift.training.order import micro_batches, shares
from crosslift.training.packing import build_micro_batch, num_loss_tokens
from crosslift.training.trainer import SFTConfig, TrainingRequest
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.sharded import launch
from crosslift.training.trainers.native.sharded.rank import Message

CONFIG = SFTConfig(
    steps=6,
    learning_rate=1e-3,
    batch_examples=7,  # no multiple of the devices
    micro_batch_tokens=100,
    warmup_share=0.2,
    precision="float32",
    select_by="loss",
    validate_every=0.5,
)


def request(folder: Path, **changes) -> TrainingRequest:
    settings = {
        "model": str(folder.parent / "base"),
        "revision": None,
        "config": CONFIG,
        "examples": table(12),
        "validation": table(3, first=100),
        "seed": 0,
        "folder": folder,
        "device": "cpu",
        "save_seconds": 0.0,
    }
    return TrainingRequest(**settings | changes)


def processes_of(pids):
    return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and _state(pid) != "Z"]


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until_gone(pids):
    end = time.monotonic() + 20
    while processes_of(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not processes_of(pids)


pytestmark = pytest.mark.xdist_group("devices")  # one server of processes, which takes seconds to start


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    write_model(folder / "base", "gemma3")
    train(request(folder / "one"))
    return folder


def equal_runs(one, other):
    losses = [pl.read_parquet(folder / "metrics.parquet") for folder in (one, other)]
    assert losses[0].drop("loss", "bits_per_byte").equals(losses[1].drop("loss", "bits_per_byte"))
    assert (losses[0]["loss"] / losses[1]["loss"] - 1).abs().max() < 1e-5
    weights = [load_file(folder / "checkpoint" / "model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]) < 1e-4
    return True


@pytest.mark.slow
def test_killed_on_three_devices_and_continued_on_two_a_run_is_that_of_one(place):
    folder = place / "several"
    with pytest.raises(Stop):
        train(request(folder, num_devices=3, report=stop_after(4)))
    trained = train(request(folder, num_devices=2))
    assert trained.num_devices == 2
    assert trained.resumed_at in (3, 4)
    assert equal_runs(place / "one", folder)
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint", "metrics.parquet"]
    names = {file.name for file in (place / "one" / "checkpoint").iterdir()}
    assert {file.name for file in (folder / "checkpoint").iterdir()} == names
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        assert (folder / "checkpoint" / name).read_bytes() == (place / "one" / "checkpoint" / name).read_bytes()
    AutoModelForCausalLM.from_pretrained(folder / "checkpoint")


def slow_worker(folder: str, pids) -> None:
    """A worker in a process of its own, which tells the processes of its run."""
    from crosslift.training.trainers.native.sharded import launch as launching

    create = launching._Launched.__init__
    launched = []

    def remember(self, *arguments):
        launched.append(self)
        create(self, *arguments)

    launching._Launched.__init__ = remember

    def report(progress):
        pids.send([pid for pid, _ in launched[0].processes.values()])
        time.sleep(0.05)

    train(request(Path(folder), config=replace(CONFIG, steps=400), num_devices=2, report=report))


@pytest.mark.slow
def test_no_process_outlives_a_killed_worker(place):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*launch.PRELOADED, "tiny_models"])
    receive, send = context.Pipe(duplex=False)
    worker = context.Process(target=slow_worker, args=(str(place / "killed"), send))
    worker.start()
    pids = receive.recv()
    assert len(processes_of(pids)) == 2
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert wait_until_gone(pids)


def test_a_process_that_dies_ends_the_attempt_with_its_number(place, monkeypatch):
    launched = []
    create = launch._Launched.__init__

    def remember(self, *arguments):
        launched.append(self)
        create(self, *arguments)

    monkeypatch.setattr(launch._Launched, "__init__", remember)

    def kill_second(progress):
        if progress.step == 2:
            os.kill(launched[0].processes[1][0], signal.SIGKILL)

    with pytest.raises(TrainingError, match="device 2 of 2 ended without a message"):
        train(request(place / "dead", config=replace(CONFIG, steps=400), num_devices=2, report=kill_second))
    assert wait_until_gone([pid for pid, _ in launched[0].processes.values()])


@pytest.mark.parametrize(("said", "named"), [("Connection reset by peer", [1]), ("an error of its own", [])])
def test_a_lost_connection_is_explained_by_a_process_that_dies_a_little_later(said, named):
    dying = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    launched = SimpleNamespace(
        processes={rank: (pid, process_start_ticks(pid)) for rank, pid in enumerate((os.getpid(), dying.pid))}
    )
    assert launch._dead(launched, 0, Message("failed", ("", said))) == named
    dying.wait()


def test_shares_are_a_partition_with_nearly_equal_tokens():
    lengths = np.random.default_rng(0).integers(5, 200, 50)
    rows = np.arange(3, 47)
    found = shares(rows, lengths, 4)
    assert sorted(np.concatenate(found)) == rows.tolist()
    tokens = [lengths[part].sum() for part in found]
    assert max(tokens) - min(tokens) < 200
    assert [len(part) for part in shares(rows[:2], lengths, 3)] == [1, 1, 0]


@pytest.mark.parametrize("on_prompt", [False, True])
def test_loss_tokens_are_counted_without_building_micro_batches(on_prompt):
    examples = table(10)
    rows = np.arange(1, 19)
    parts = micro_batches(rows, examples.lengths, max_tokens=90, padded=False)
    batches = [build_micro_batch(examples, part, packed=True, loss_on_prompt=on_prompt) for part in parts]
    assert num_loss_tokens(examples, rows, loss_on_prompt=on_prompt) == sum(len(one.cells) for one in batches)


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (Message("memory", "CUDA out of memory"), torch.OutOfMemoryError, "device 2 of 4: CUDA out of memory"),
        (Message("error", ("TemplateError", "no template")), errors.TemplateError, "no template"),
        (Message("error", ("", "ValueError: x")), TrainingError, "the process of device 2 of 4 failed: ValueError: x"),
    ],
)
def test_what_a_process_says_is_raised_in_the_worker(message, kind, text):
    found = launch._as_error(1, message, 4)
    assert type(found) is kind
    assert str(found) == text
