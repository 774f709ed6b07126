"""The kinds of faults. Each takes a case, disturbs it, and ends with a start that must complete."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_injection import commands
from fault_injection.bench import Bench, Case, quietly
from fault_injection.starts import Start

KILLS_PER_CASE = 6
ENDING_SECONDS = 60.0
MIB = 1 << 20
ROOM = 256 * MIB


def killed_at_points(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """The process (or its group) gets a signal right before or after a named file appears."""
    case = bench.case(name, number, "points")
    for _ in range(3 * KILLS_PER_CASE):
        if case.faults.total() >= KILLS_PER_CASE:
            break
        point = _point(case, [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        start = case.start(fault=point)
        code = start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
        if Path(point["struck"]).exists():
            case.happened(f"{signal.Signals(point['signal']).name} {point['target']} {point['when']} {point['point']}")
        _must_have_ended(case, start)
        if code == 0:
            case.renew()
    return case.finish()


def killed_at_random(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """The group, the parent or one worker gets a signal at a random moment."""
    case = bench.case(name, number, "random")
    for _ in range(3 * KILLS_PER_CASE):
        if case.faults.total() >= KILLS_PER_CASE:
            break
        what = case.chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        target = case.chance.choice(["group", "parent", "worker"] if name.startswith("run") else ["group"])
        start = case.start()
        ended = start.wait(case.chance.uniform(0, bench.seconds[name])) is not None
        while not ended and not start.signal(what, target):  # there is no worker yet
            ended = start.wait(0.01) is not None
        if not ended:
            case.happened(f"{what.name} {target}")
        code = start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
        _must_have_ended(case, start)
        if code == 0 and ended:
            case.renew()
    return case.finish()


def stopped(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """SIGSTOP until the lease has gone to another start, which completes; then SIGCONT."""
    case = bench.case(name, number, "stopped")
    case.suspended = True
    if case.chance.random() < 0.5:
        first = case.start(fault=_point(case, [signal.SIGSTOP], target="group") | {"short_leases": True})
        first.wait(ENDING_SECONDS)
    else:
        first = case.start(fault={"short_leases": True})
        first.wait(case.chance.uniform(0, bench.seconds[name]))
        first.signal(signal.SIGSTOP, "group")
    if first.code is None:
        case.happened("SIGSTOP")
    second = case.start(fault={"short_leases": True})
    if second.wait(300.0) != 0:
        case.notes.append(f"while one was stopped, the other ended with {second.code}")
    case.look()
    first.signal(signal.SIGCONT, "group")
    first.stopped = False
    first.wait(ENDING_SECONDS)
    _must_have_ended(case, first)
    case.look()
    return case.finish()


def disk_full(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """A file system (tmpfs) of which a part of what is needed is left, then room again."""
    return _on_small_disk(
        bench, name, number, "disk full", lambda used, share, need: f"size={used + int(share * need)}"
    )


def quota_of_files(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """So many files and no more (nr_inodes of tmpfs, in place of a quota), then more."""

    def options(used: int, share: float, need: int) -> str:
        return f"nr_inodes={_num_inodes(bench.folder / 'disk') + int(share * share * 150)}"

    return _on_small_disk(bench, name, number, "quota", options)


def _on_small_disk(
    bench: Bench, name: str, number: int, kind: str, options: Callable[[int, float, int], str]
) -> dict[str, Any]:
    disk = bench.folder / "disk"
    disk.mkdir(exist_ok=True)
    if not quietly("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(disk)):
        return {"skipped": "needs the right to mount"}
    try:
        case = bench.case(name, number, kind, place=disk / "study")
        need = sum(map(len, bench.references[name].values())) + 300_000
        share = 0.0
        for _ in range(2):
            share += case.chance.uniform(0, 1 - share)
            stat = os.statvfs(disk)
            used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
            fresh = sum(file.stat().st_size for file in (bench.folder / "fresh" / name).rglob("*") if file.is_file())
            quietly("mount", "-o", f"remount,{options(used, share, max(need - fresh, 300_000))}", str(disk))
            start = case.start()
            code = start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
            _must_have_ended(case, start)
            if code != 0:
                case.happened(f"{kind}, exit code {code}")
                _told(case, start, code)
            quietly("mount", "-o", f"remount,size={ROOM},nr_inodes=100000", str(disk))
        return case.finish()
    finally:
        quietly("umount", "-l", str(disk))


def file_size_limit(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """RLIMIT_FSIZE: no file may become larger."""
    case = bench.case(name, number, "file size")
    largest = max(map(len, bench.references[name].values()))
    size = int(case.chance.choice([0.01, 0.1, 0.5, 1.0]) * case.chance.uniform(0, largest))
    return _limited(case, "file size", lambda: _limit(resource.RLIMIT_FSIZE, size))


def few_descriptors(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """RLIMIT_NOFILE of 20, and of others around what is needed."""
    case = bench.case(name, number, "descriptors")
    count = 20 if number % 2 == 0 else case.chance.randint(8, 80)
    return _limited(case, "descriptors", lambda: _limit(resource.RLIMIT_NOFILE, count))


def little_memory(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """RLIMIT_AS: what the process has already, and little more."""
    case = bench.case(name, number, "memory")
    more = int(case.chance.uniform(0, 80)) * MIB

    def limit() -> None:
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, has + more)

    return _limited(case, "memory", limit)


def _limited(case: Case, what: str, limit: Callable[[], None]) -> dict[str, Any]:
    start = case.start(first=limit)
    code = start.wait(ENDING_SECONDS + 10 * case.bench.seconds[case.command.name])
    _must_have_ended(case, start)
    if code != 0:
        case.happened(f"{what}, exit code {code}")
        _told(case, start, code)
    return case.finish()


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def read_only(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """A folder that may only be read (bind mount), as it is after a kill; nothing may change. Then writable again."""
    case = bench.case(name, number, "read-only")
    if number % 2:
        start = case.start()
        start.wait(case.chance.uniform(0, bench.seconds[name]))
        start.signal(signal.SIGKILL, "group")
        start.wait(ENDING_SECONDS)
        case.look()
    place = str(case.folder)
    if not (quietly("mount", "--bind", place, place) and quietly("mount", "-o", "remount,ro,bind", place)):
        return {"skipped": "needs the right to mount"}
    try:
        before = commands.results(case.folder)
        start = case.start()
        code = start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
        _must_have_ended(case, start)
        case.happened(f"read-only, exit code {code}")
        _told(case, start, code)
        if commands.results(case.folder) != before:
            case.notes.append("something changed in a folder that may only be read")
    finally:
        quietly("umount", "-l", place)
    return case.finish()


def vanishing(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """The folder is moved away in the middle of a start, and comes back when that has ended."""
    case = bench.case(name, number, "vanishing")
    away = case.folder.with_name("away")
    shutil.rmtree(away, ignore_errors=True)
    start = case.start()
    start.wait(case.chance.uniform(0, bench.seconds[name]))
    case.look()
    case.folder.rename(away)
    case.faults["moved away" if start.code is None else "moved away after the end"] += 1
    code = start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
    _must_have_ended(case, start)
    if case.folder.exists():
        case.notes.append(f"made anew where it had been: {[one.name for one in case.folder.iterdir()]}")
        case.lost += 1
        shutil.rmtree(case.folder)
    away.rename(case.folder)
    case.look()
    _told(case, start, code)
    return case.finish()


def clock_jumps(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """The clock of machine and file system jumps by minutes to days, twice, while two starts are at work; one of them
    may be killed."""
    case = bench.case(name, number, "clock")
    clock = bench.folder / "clock"
    clock.write_text("0")
    fault = {"clock": str(clock), "short_leases": True}
    starts = [case.start(fault=fault) for _ in range(2)]
    for _ in range(2):
        starts[0].wait(case.chance.uniform(0, bench.seconds[name]))
        clock.write_text(str(case.chance.choice([-1, 1]) * 10 ** case.chance.uniform(1, 6)))
        case.faults["clock set"] += 1
    if number % 2 and starts[0].code is None and starts[0].signal(signal.SIGKILL, "group"):
        case.happened("SIGKILL")
    for start in starts:
        _ends_well(case, start, killed=number % 2 == 1 and start is starts[0])
    case.look()
    return case.finish()


def several_runners(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """Two to four starts at once; all must complete."""
    case = bench.case(name, number, "runners")
    starts = [case.start() for _ in range(2 + number % 3)]
    case.faults[f"{len(starts)} at once"] += 1
    for start in starts:
        _ends_well(case, start)
    case.look()
    return case.finish()


def skewed_hosts(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """Two starts that take each other for other hosts, with clocks an hour apart; in half of the cases one dies."""
    case = bench.case(name, number, "hosts")
    starts = [
        case.start(fault={"host": host * 12, "skew": skew, "short_leases": True})
        for host, skew in (("a", 3600.0), ("b", -3600.0))
    ]
    case.faults["two hosts"] += 1
    if number % 2:
        starts[0].wait(case.chance.uniform(0, bench.seconds[name]))
        if starts[0].code is None and starts[0].signal(signal.SIGKILL, "group"):
            case.happened("SIGKILL of one host")
    for start in starts:
        _ends_well(case, start, killed=number % 2 == 1 and start is starts[0])
    case.pass_time()
    case.look()
    return case.finish()


def _ends_well(case: Case, start: Start, *, killed: bool = False) -> None:
    code = start.wait(300.0)
    _must_have_ended(case, start)
    if code != 0 and not killed:
        case.lost += 1
        case.notes.append(f"one of several starts ended with {code}: {start.said.read_text()[-300:]}")


def _must_have_ended(case: Case, start: Start) -> None:
    """Where a start hangs, that is noted, and counts as a process left."""
    if start.poll() is None and not start.stopped:
        case.notes.append("hangs")
        case.lost += 1
        start.signal(signal.SIGKILL, "group")
        start.wait(5.0)


def _told(case: Case, start: Start, code: int | None) -> None:
    """A refusal of the system must be told in words, with exit code 1 or 2; a library in C may end the process."""
    if code == 0 or (code is not None and code < 0):
        return
    text = start.said.read_text(encoding="utf-8", errors="replace").strip()
    if code not in (1, 2, 130) or not text:
        case.notes.append(f"exit code {code}: {text[-200:] or 'no word'}")


def _point(case: Case, signals: list[signal.Signals], target: str | None = None) -> dict[str, Any]:
    running = case.command.name.startswith("run")
    point = case.chance.choice(case.command.points)
    often = case.bench.num_files[case.command.name][point] or 3  # progress.json, leases and journals: some times
    struck = case.bench.folder / "struck"
    struck.unlink(missing_ok=True)
    return {
        "point": point,
        "struck": str(struck),
        "count": 1 + int(case.chance.random() ** 2 * often),
        "when": case.chance.choice(["before", "after"]),
        "signal": int(case.chance.choice(signals)),
        "target": target or case.chance.choice(["self", "group"]),
        "role": "any" if running else "start",
    }


def _num_inodes(disk: Path) -> int:
    stat = os.statvfs(disk)
    return stat.f_files - stat.f_ffree


def damaged(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """Files of a finished study damaged by `tests/support/damage.py`, where it is: damage(folder, chance). `verify`
    finds what a disk changed without changing the time of the file; the last start restores it."""
    try:
        from damage import damage
    except ImportError:
        return {"skipped": "tests/support/damage.py is not there"}
    case = bench.case(name, number, "damaged")
    start = case.start()
    start.wait(ENDING_SECONDS + 10 * bench.seconds[name])
    damage(case.folder, case.chance)
    case.faults["damaged"] += 1
    verify = case.starts.start(["verify", str(case.folder)], fault={"fakes": case.command.fakes})
    code = verify.wait(ENDING_SECONDS + 10 * bench.seconds[name])
    _must_have_ended(case, verify)
    _told(case, verify, code)
    said = verify.said.read_text(encoding="utf-8", errors="replace")
    found = commands.results(case.folder)
    unnamed = [
        file
        for file, content in bench.references[name].items()
        if found.get(file) != content and file not in said and Path(file).parent.name not in said
    ]
    case.wrong += len(unnamed)
    case.notes += [f"verify does not name {file}" for file in unnamed[:5]]
    return case.finish()
