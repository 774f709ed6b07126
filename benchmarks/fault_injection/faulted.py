"""What happens inside a process of a case: it dies at a named point, its clock jumps, it takes itself for another host.

The fault is told by the environment variable CROSSLIFT_FAULT (JSON), which workers inherit from the start.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

VARIABLE = "CROSSLIFT_FAULT"
FAKES = Path(__file__).parents[2] / "tests" / "support" / "fakes"

HEARTBEAT_SECONDS, EXPIRY_SECONDS = 0.2, 3.0
"""Of leases in the cases that wait for one to expire: 5 and 60 seconds, made short."""


def install(role: str) -> None:
    """Put the faults of this process's case in place.

    Args:
        role: "start" or "worker".
    """
    fault: dict[str, Any] = json.loads(os.environ.get(VARIABLE, "{}"))
    if fault.get("fakes", True):
        _know_fakes()
    if fault.get("short_leases"):
        _shorten_leases()
    strikes = "point" in fault and fault["role"] in (role, "any")
    if strikes and not Path(fault["struck"]).exists():  # once, and not every worker that replaces this one
        _die_at(fault)
    if "host" in fault:
        _other_host(fault["host"], fault["skew"])
    if "clock" in fault:
        _jumping_clock(Path(fault["clock"]))


def _know_fakes() -> None:
    import crosslift.evaluation.generators
    import crosslift.training.trainers

    for package, folder in ((crosslift.training.trainers, "trainers"), (crosslift.evaluation.generators, "generators")):
        if str(FAKES / folder) not in package.__path__:
            package.__path__.append(str(FAKES / folder))


def fake_tokenizer() -> None:
    """`prepare` takes the fake tokenizer: importing transformers takes longer than everything else."""
    _know_fakes()
    sys.path.insert(0, str(FAKES))
    from generators.fake import Tokenizer

    import crosslift.execution.phases.prepare as phase

    phase.load_tokenizer = lambda *_, **__: Tokenizer()


def quick_pictures() -> None:
    """Charts become their own specification instead of a picture: drawing takes longer than the rest of the study."""
    import vl_convert

    def svg(spec: Any, *_: Any, **__: Any) -> str:
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
        return f'<svg xmlns="http://www.w3.org/2000/svg"><desc>{digest}</desc></svg>'

    vl_convert.vegalite_to_svg = svg
    vl_convert.svg_to_png = lambda text, **_: text.encode()
    vl_convert.javascript_bundle = lambda *_: "export default null"


def _shorten_leases() -> None:
    from crosslift.system import leases

    leases.HEARTBEAT_SECONDS = HEARTBEAT_SECONDS
    for function in (leases.Lease.__init__, leases.lease_holder):
        function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), "stale_seconds": EXPIRY_SECONDS}


def _die_at(fault: dict[str, Any]) -> None:
    """Send this process (or its group) a signal before or after the count-th time that a file of this name appears."""
    name, when, number, target = fault["point"], fault["when"], fault["signal"], fault["target"]
    left = fault["count"]

    def now() -> None:
        Path(fault["struck"]).touch()
        if target == "group":
            os.killpg(os.getpgid(0), number)
        else:
            os.kill(os.getpid(), number)
        if number in (signal.SIGTERM, signal.SIGINT):
            time.sleep(0.01)  # the handler runs here

    def around(function: Any, file_of: Any) -> Any:
        def called(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            here = file_of(*arguments) == name
            left -= here
            if here and left == 0 and when == "before":
                now()
            found = function(*arguments, **options)
            if here and left == 0 and when == "after":
                now()
            return found

        return called

    from crosslift.remote.journal import Journal

    Path.replace = around(Path.replace, lambda source, target: Path(target).name)  # type: ignore[method-assign]
    os.link = around(os.link, lambda source, target, **_: "lease" if Path(target).name.startswith("lease.") else "")
    Journal.add = around(Journal.add, lambda *_: "journal")  # type: ignore[method-assign]


def _other_host(name: str, skew_seconds: float) -> None:
    from crosslift.system import files, leases, processes

    for module in (files, leases, processes):
        module.machine_id = lambda: name  # type: ignore[attr-defined]
    real = time.time
    time.time = lambda: real() + skew_seconds


def _jumping_clock(file: Path) -> None:
    """The clock of the machine, and so of its file system, is ahead by as many seconds as the file says."""
    from crosslift.system import leases

    real_time, real_now, real_create, real_utime = time.time, leases._now, leases._create, os.utime

    def offset() -> float:
        try:
            return float(file.read_text() or 0)
        except (OSError, ValueError):
            return 0.0

    def utime(path: Any, times: Any = None, **options: Any) -> None:
        if times is None and not options:
            times = (real_time() + offset(),) * 2
        real_utime(path, times, **options)

    def create(path: Any, owner: Any) -> bool:
        made = real_create(path, owner)
        if made:
            utime(path)
        return made

    time.time = lambda: real_time() + offset()
    leases._now = lambda folder: real_now(folder) + offset()
    leases._create = create
    os.utime = utime
