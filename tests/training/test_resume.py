"""Killed at any moment and started again, a run ends in the same bytes."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from tiny_models import table, write_model

from crosslift.errors import TrainingError
from crosslift.streams import stream
from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.state import NAME


class Stop(Exception):
    pass


def request(folder: Path, **changes) -> TrainingRequest:
    config = SFTConfig(
        epochs=3,
        learning_rate=3e-3,
        batch_examples=4,
        select_by="loss",
        validate_every=1.0,
        method="lora",
        lora=LoRAConfig(rank=4, dropout=0.2),
    )
    settings = {
        "model": str(folder.parent / "base"),
        "revision": None,
        "config": config,
        "examples": table(20),
        "validation": table(4, first=50),
        "seed": 0,
        "folder": folder,
        "save_seconds": 0.0,
    }
    return TrainingRequest(**settings | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def slow_training(folder: str) -> None:
    """In another process; slow enough to be hit in the middle."""
    train(request(Path(folder), report=lambda progress: time.sleep(0.03)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base model and what becomes of it in a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("resume")
    write_model(folder / "base")
    train(request(folder / "undisturbed", save_seconds=1e9))
    return folder


@pytest.mark.slow
def test_killed_three_times_a_run_ends_in_the_same_bytes(place):
    """The process is killed for real, at random moments: in a step, in a saving, in a validation."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny_models", "crosslift.training.trainers.native", "peft"])
    generator = stream(int(time.time()), "kill")
    killed_at = []
    for kill in range(3):
        process = context.Process(target=slow_training, args=(str(place / "killed"),))
        process.start()
        state = place / "killed" / NAME
        while process.is_alive() and saved_step(state) < 5 * (kill + 1) + generator.integers(4):
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        killed_at.append(saved_step(state))
    trained = train(request(place / "killed"))
    assert trained.resumed_at == killed_at[-1] > killed_at[0] > 0
    assert contents(place / "killed") == contents(place / "undisturbed")


def saved_step(state: Path) -> int:
    if not state.is_file():
        return 0
    with safe_open(state, framework="np") as file:
        return json.loads(file.metadata()["state"])["step"]


@pytest.mark.parametrize("at", [1, 20, 30])
def test_a_run_may_stop_after_any_step(place, at):
    def stop(progress):
        if progress.step == at:
            raise Stop

    stopped = place / f"stopped at {at}"
    with pytest.raises(Stop):
        train(request(stopped, report=stop))
    train(request(stopped))
    assert contents(stopped) == contents(place / "undisturbed")


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file):
    text = bytearray(file.read_bytes())
    text[len(text) // 2] ^= 4
    file.write_bytes(text)


def flip_in_header(file):
    text = bytearray(file.read_bytes())
    text[40] ^= 4
    file.write_bytes(text)


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, flip_in_header, empty])
def test_a_damaged_state_is_not_resumed_and_the_run_starts_from_the_beginning(place, tmp_path, damage):
    def stop(progress):
        if progress.step == 12:
            raise Stop

    folder = tmp_path / "run"
    settings = {"model": str(place / "base")}
    with pytest.raises(Stop):
        train(request(folder, report=stop, **settings))
    damage(folder / NAME)
    assert train(request(folder, **settings)).resumed_at is None
    assert contents(folder) == contents(place / "undisturbed")


def test_damaged_weights_of_the_best_step_are_not_taken(place, tmp_path, monkeypatch):
    losses = itertools.count(1)  # worse and worse, so that the first validation is the best
    monkeypatch.setattr("crosslift.training.meter.LossSums.mean_over_cells", lambda *_: next(losses))

    def spoil(progress):
        if progress.step == 29:
            flip(tmp_path / "run" / "best.safetensors")

    settings = {"model": str(place / "base")}
    with pytest.raises(TrainingError, match=r"best\.safetensors, the weights of the best step, is damaged"):
        train(request(tmp_path / "run", report=spoil, **settings))
    assert train(request(tmp_path / "run", **settings)).resumed_at is None


def test_full_fine_tuning_resumes_too(tmp_path):
    def stop(progress):
        if progress.step == 15:
            raise Stop

    write_model(tmp_path / "base")
    config = SFTConfig(steps=20, learning_rate=3e-3, batch_examples=4, weight_decay=0.1)
    for name, report in (("whole", lambda progress: None), ("stopped", stop)):
        try:
            train(request(tmp_path / name, config=config, report=report))
        except Stop:
            train(request(tmp_path / name, config=config))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_state_of_another_request_is_not_resumed(tmp_path):
    def stop(progress):
        if progress.step == 9:
            raise Stop

    write_model(tmp_path / "base")
    config = SFTConfig(steps=12, learning_rate=3e-3, batch_examples=4)
    with pytest.raises(Stop):
        train(request(tmp_path / "run", config=config, report=stop))
    trained = train(request(tmp_path / "run", config=replace(config, learning_rate=1e-3)))
    assert trained.resumed_at is None


def test_saving_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    from crosslift.training.trainers.native import state

    write_model(tmp_path / "base")
    saved = []
    monkeypatch.setattr(state.State, "save", counted(state.State.save, saved))
    config = SFTConfig(steps=60, learning_rate=1e-4, batch_examples=4)
    started = time.monotonic()
    train(request(tmp_path / "run", config=config))
    assert 0 < sum(saved) < 0.2 * (time.monotonic() - started)  # save_seconds = 0 asks for one after every step


def counted(save, seconds):
    def timed(self, *arguments):
        started = time.monotonic()
        save(self, *arguments)
        seconds.append(time.monotonic() - started)

    return timed
