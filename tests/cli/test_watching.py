"""`status --watch`: losses per language and what is left, in the height of the terminal, until nothing is left."""

from __future__ import annotations

import pytest
from rich.console import Console

from crosslift.cli import watching
from crosslift.execution.folder.progress import ExpectedWork, Progress
from crosslift.execution.inspection.status import Status

CURVE = {"step": [2], "all": [1.5], "en": [1.25], "sw": [2.75]}


def one(run: str, what: str, **changes) -> Status:
    expected = ExpectedWork(num_steps=8, num_evaluations=3, trained=what == "done", evaluations=3 * (what == "done"))
    values = {"run": run, "what": what, "expected": expected, "progress": None}
    return Status(**values | changes)


RUNNING = one("m.en.s0", "running", progress=Progress(phase="training", step=4, num_steps=8, loss=1.5, curve=CURVE))
FAILED = one("m.sw.s0", "failed", message="TrainingError: the loss is not finite\nand more")


def shown(found, height=24) -> str:
    console = Console(width=160, record=True, force_terminal=False)
    console.print(watching._table(found, height))
    return console.export_text()


def test_losses_per_language_are_shown():
    text = shown([RUNNING])
    assert "4/8" in text and "1.500" in text and "en 1.25 sw 2.75" in text


def test_active_and_failed_runs_come_first_and_the_rest_is_counted():
    many = [*(one(f"m.x.s{seed}", "missing") for seed in range(100)), FAILED, RUNNING]
    lines = shown(many, height=16).splitlines()
    places = [
        next(i for i, line in enumerate(lines) if name in line) for name in ("m.en.s0  running", "m.sw.s0  failed")
    ]
    assert places == sorted(places)
    assert "and 92 more runs; all: crosslift status" in lines[-1]
    assert len(lines) <= 16
    assert "and more" not in "\n".join(lines), "a message of several lines would push runs off the screen"


@pytest.mark.parametrize(
    ("states", "ends"), [(("done", "failed"), True), (("done", "missing"), False), (("running",), False)]
)
def test_the_display_ends_when_nothing_more_happens(states, ends):
    assert watching._ended([one(str(number), what) for number, what in enumerate(states)]) is ends


def test_without_a_terminal_one_line_is_printed(monkeypatch, capsys):
    class Done:
        def __init__(self, _):
            pass

        def statuses(self):
            return [one("m.en.s0", "done")]

    monkeypatch.setattr(watching, "Observer", Done)
    watching.watch_status("folder")
    (line,) = capsys.readouterr().out.splitlines()
    assert "1 of 1 runs done, 0 failed" in line
