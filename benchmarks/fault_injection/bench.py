"""One case: a fresh folder, faults, a start that must complete, and a look at what is left."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_injection import commands
from fault_injection.commands import COMMANDS, Command
from fault_injection.starts import Start, Starts

TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)|panicked at (.*)")
START_SECONDS = 600.0
"""A start that takes longer hangs: it did not complete."""


@dataclass
class Bench:
    """Where cases are made, and what an undisturbed start leaves."""

    folder: Path
    base_url: str
    references: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Command -> file -> content, of the files that are equal in two undisturbed starts."""
    num_files: dict[str, Counter[str]] = field(default_factory=dict)
    """Command -> name of a file -> how many of that name it makes."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Command -> how long an undisturbed start takes."""

    def setup(self, *, native: bool) -> None:
        """Write what commands begin with. References are made twice, when a command is first needed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh = self.folder / "fresh"
        fresh.mkdir(parents=True)
        commands.write_fresh(fresh, self.base_url, native=native)
        self._refer("run")
        commands.write_finished(fresh, self.folder / "reference", self.base_url)

    def _refer(self, name: str) -> None:
        made = []
        for _ in range(2):
            place = self.folder / "reference"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.folder / "fresh" / name, place)
            starts = Starts(self.folder)
            begun = time.monotonic()
            start = starts.start(COMMANDS[name].arguments(place), fault={"fakes": COMMANDS[name].fakes})
            assert start.wait(START_SECONDS) == 0, start.said.read_text()
            self.seconds[name] = min(self.seconds.get(name, START_SECONDS), time.monotonic() - begun)
            made.append(commands.results(place))
        first, second = made
        before = commands.results(self.folder / "fresh" / name)
        self.num_files[name] = Counter(Path(file).name for file in first if file not in before)
        self.references[name] = {
            file: content for file, content in first.items() if commands.compared(file) and second.get(file) == content
        }

    def case(self, name: str, number: int, kind: str, *, place: Path | None = None) -> Case:
        if name not in self.references:
            self._refer(name)
        folder = self.folder / "case" if place is None else place
        logs = self.folder / "said"
        for one in (folder, logs):
            shutil.rmtree(one, ignore_errors=True)
        shutil.copytree(self.folder / "fresh" / name, folder)
        logs.mkdir(parents=True)
        chance = random.Random(f"{kind} {name} {number}")
        return Case(bench=self, command=COMMANDS[name], folder=folder, chance=chance, starts=Starts(logs))


@dataclass
class Case:
    """A folder that is being disturbed."""

    bench: Bench
    command: Command
    folder: Path
    chance: random.Random
    starts: Starts
    faults: Counter[str] = field(default_factory=Counter)
    """What was done to it, how often."""
    tracebacks: list[str] = field(default_factory=list)
    lost: int = 0
    wrong: int = 0
    temporary: int = 0
    notes: list[str] = field(default_factory=list)
    suspended: bool = False
    """Whether a process was suspended and woken."""
    _finished: dict[str, Any] = field(default_factory=dict)
    _paid: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)

    def start(self, *, fault: dict[str, Any] | None = None, **options: Any) -> Start:
        arguments = self.command.arguments(self.folder)
        return self.starts.start(arguments, fault={"fakes": self.command.fakes, **(fault or {})}, **options)

    def happened(self, what: str) -> None:
        """A fault has struck: from now on what is finished must stay, and not be computed again."""
        self.faults[what] += 1
        self.look()

    def renew(self) -> None:
        """A start ended before its fault struck: look at what it made, and begin with a fresh folder."""
        self.starts.left(20.0)
        self.compare()
        shutil.rmtree(self.folder)
        shutil.copytree(self.bench.folder / "fresh" / self.command.name, self.folder)
        self._finished, self._paid = {}, {}

    def look(self) -> None:
        """Compare finished and paid work with the last look, and remember it."""
        finished = commands.finished_work(self.folder, by_content=self.suspended)
        paid = commands.paid_answers(self.folder)
        changed = [step for step, mark in self._finished.items() if finished.get(step) != mark]
        gone = [key for key in self._paid if key not in paid]
        if self.command.paid:
            asked = commands.asked(self.bench.base_url)
            keys = {text: key_of_text(self.command.name, text) for text in asked}
            gone += [text for text, key in keys.items() if key in self._paid and asked[text] > self._asked.get(text, 0)]
            self._asked = asked
        self.lost += len(changed) + len(gone)
        self.notes += [f"computed again or lost: {one[:80]}" for one in (*changed, *gone)]
        self._finished, self._paid = finished, paid
        self._collect_tracebacks()

    def finish(self, *, wait_seconds: float = 20.0) -> dict[str, Any]:
        """The last start, which must complete; returns the row of the case."""
        last = self.start()
        code = last.wait(START_SECONDS)
        if code != 0:
            self.notes.append(f"the last start ended with {code}: {_tail(last.said)}")
        processes = self.starts.left(wait_seconds)
        self.compare()
        return {
            "command": self.command.name,
            "faults": sum(self.faults.values()),
            "struck": dict(self.faults),
            "completed": int(code == 0),
            "lost": self.lost,
            "wrong": self.wrong,
            "tracebacks": len(self.tracebacks),
            "processes": processes,
            "temporary": self.temporary,
            "notes": self.notes + [f"traceback: {one}" for one in self.tracebacks[:3]],
        }

    def compare(self) -> None:
        """Hold what is there against an undisturbed start, and count what should not be there."""
        self.look()
        self._collect_tracebacks(logs=True)
        found = commands.results(self.folder)
        reference = self.bench.references[self.command.name]
        wrong = [file for file, content in reference.items() if found.get(file) != content]
        temporary = [file for file in found if is_temporary(file)]
        self.wrong += len(wrong)
        self.temporary += len(temporary)
        self.notes += [f"other bytes: {file}" for file in wrong[:5]] + [f"left: {file}" for file in temporary[:5]]

    def pass_time(self) -> None:
        """As if more than an hour went by for what processes of other hosts left: leases and temporary files."""
        for file in [*self.folder.rglob("lease.*"), *self.folder.rglob(".*.tmp")]:
            os.utime(file, (time.time() - 4000, time.time() - 4000))

    def _collect_tracebacks(self, *, logs: bool = False) -> None:
        files = [start.said for start in self.starts.made]
        files += self.folder.glob("logs/*.txt")
        if logs:
            files += self.folder.glob("runs/*/log.txt")
        for file in files:
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            for found in TRACEBACK.finditer(text):
                words = (found[1] or found[2])[:200]
                if not words.startswith("KeyboardInterrupt") and words not in self.tracebacks:
                    self.tracebacks.append(words)


def is_temporary(file: str) -> bool:
    """Is it a file that only a process at work needs?"""
    name = Path(file).name
    return (
        name.endswith((".tmp", ".partial"))
        or ".partial/" in file
        or name.startswith("lease.")
        or name == "started.json"
    )


def key_of_text(command: str, text: str) -> str:
    """The journal's key of a text that the endpoint was asked."""
    from crosslift.remote.journal import request_key

    if command == "judge":
        return request_key("m", text)
    tag = {"Swahili": "sw", "German": "de"}.get(text.partition("|")[0], "")
    return request_key("m", text, tag)


def _tail(file: Path) -> str:
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    return text.splitlines()[-1][:200] if text else "without a word"


def quietly(*command: str) -> bool:
    """Run a command of the system; did it end well?"""
    return subprocess.run(command, capture_output=True).returncode == 0
