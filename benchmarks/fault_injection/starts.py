"""Starts of crosslift: forked from this process, which has imported everything, because importing takes longer than the
small study. Workers are processes of their own, as always."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_injection import faulted

HOOK = Path(__file__).parent / "hook"


def import_everything() -> None:
    """What commands import when they are called. Starts no thread: forks would lack it."""
    os.environ["PYTHONPATH"] = str(HOOK)
    for name in ("OMP", "MKL", "OPENBLAS", "RAYON", "POLARS_MAX"):
        os.environ[f"{name}_NUM_THREADS" if name != "POLARS_MAX" else "POLARS_MAX_THREADS"] = "1"
    faulted.fake_tokenizer()
    import crosslift.api.reports
    import crosslift.cli.display
    import crosslift.execution.phases.preflight
    import crosslift.execution.phases.rescore
    import crosslift.execution.workers.executors.local
    import crosslift.execution.workers.launch
    import crosslift.importing.ask
    import crosslift.importing.head
    import crosslift.judging.study
    import crosslift.recommendation.advice
    import crosslift.reporting.questions.recommendation
    import crosslift.reporting.report
    import crosslift.translation.recipe
    import crosslift.translation.translate  # noqa: F401

    for name in ("openai", "vl_convert", "jinja2", "altair", "scipy.stats", "scipy.optimize"):
        __import__(name)
    faulted.quick_pictures()
    import openai

    _ = openai.AsyncOpenAI, openai.APIStatusError
    from openai.types.chat import ChatCompletion  # noqa: F401


@dataclass
class Start:
    """One start of the command line."""

    pid: int
    said: Path
    code: int | None = None
    stopped: bool = False

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid and os.WIFCONTINUED(status):
                self.stopped = False
            elif pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds: float) -> int | None:
        """The exit code; None where it has not ended by then, or has been stopped."""
        end = time.monotonic() + seconds
        while self.poll() is None and not self.stopped and time.monotonic() < end:
            time.sleep(0.005)
        return self.code

    def signal(self, number: int, target: str) -> bool:
        """Send a signal to the whole group, the parent or one worker. False where there is none."""
        with contextlib.suppress(ProcessLookupError):
            if target == "group":
                os.killpg(self.pid, number)
                return True
            if target == "parent":
                os.kill(self.pid, number)
                return True
            for worker in children(self.pid):
                os.kill(worker, number)
                return True
        return False


@dataclass
class Starts:
    """All starts of one case."""

    logs: Path
    made: list[Start] = field(default_factory=list)

    def start(
        self, arguments: Sequence[str], *, fault: dict[str, Any] | None = None, first: Callable[[], None] | None = None
    ) -> Start:
        """Fork one.

        Args:
            first: called in the new process, e.g. to set limits.
        """
        said = self.logs / f"start-{len(self.made)}.txt"
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.close(writing)
            os.close(reading)
            _become(arguments, said, fault or {}, first)
        os.close(writing)
        os.read(reading, 1)  # returns when the new process has its own session
        os.close(reading)
        self.made.append(Start(pid=pid, said=said))
        return self.made[-1]

    def left(self, seconds: float) -> int:
        """Processes that are still there after so many seconds; they are killed."""
        end = time.monotonic() + seconds
        while (found := self._alive()) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for start in self.made:
            start.wait(2.0)
        return len(found)

    def _alive(self) -> list[int]:
        sessions = {start.pid for start in self.made}
        for start in self.made:
            start.poll()
        return [pid for pid, stat in _stats() if int(stat[3]) in sessions and stat[0] != "Z"]


def children(parent: int) -> list[int]:
    return [pid for pid, stat in _stats() if int(stat[1]) == parent and stat[0] != "Z"]


def _stats() -> list[tuple[int, list[str]]]:
    """(pid, [state, parent, group, session, ...]) of every process."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((int(process.name), (process / "stat").read_text().rpartition(")")[2].split()))
    return found


def _become(arguments: Sequence[str], said: Path, fault: dict[str, Any], first: Callable[[], None] | None) -> None:
    code = 1
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
        os.close(null)
        os.environ[faulted.VARIABLE] = json.dumps(fault)
        if not fault.get("fakes", True):
            import crosslift.execution.phases.prepare as phase
            from crosslift.chat import load_tokenizer

            phase.load_tokenizer = load_tokenizer
        faulted.install("start")
        sys.argv = ["crosslift", *map(str, arguments)]
        from crosslift.cli import main

        if first is not None:
            first()
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
