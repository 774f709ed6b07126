"""Does crosslift end in the same bytes whatever happens? A thousand kills, and a disk, clocks and hosts that fail.

    python benchmarks/faults.py FOLDER [--cases 1000] [--kinds kills stopped ...] [--native 5] [--damage]

Each case begins with a fresh folder, meets its faults, and ends with a start that must complete. Then every file that
is equal in two undisturbed starts is compared byte for byte, and what is left is counted. `--cases` is the number of
kills; the other kinds come in proportion. What is done stands in FOLDER/cases.jsonl, so a second call goes on where the
first one stopped; the table is printed at the end, and by `--table` alone. Mounts need the rights of root; without them
the kinds that mount are skipped, and the table says so. FOLDER should lie on a fast disk (/dev/shm).

The study has a fake trainer, a fake generator and five runs, and charts are not drawn; `--native` cases train and
generate with a model of 30,000 weights. A start is forked from this process, which has imported everything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from fault_injection import kinds, starts
from fault_injection.bench import Bench
from fault_injection.commands import COMMANDS
from fault_injection.service import start_service

KILLS = {"kill at named points": kinds.killed_at_points, "kill at random": kinds.killed_at_random}
ORDER = (
    *("run", "run", "translate", "run", "judge", "run", "report", "import"),
    *("run", "run", "recommend", "run", "translate", "judge", "run"),
)
"""Commands take turns so."""
OTHERS: dict[str, tuple[Callable[[Bench, str, int], dict[str, Any]], int]] = {
    "stopped past the lease": (kinds.stopped, 60),
    "disk full (tmpfs)": (kinds.disk_full, 90),
    "quota of files (tmpfs)": (kinds.quota_of_files, 60),
    "file size (RLIMIT_FSIZE)": (kinds.file_size_limit, 60),
    "read-only (bind mount)": (kinds.read_only, 45),
    "folder moved away": (kinds.vanishing, 60),
    "descriptors (RLIMIT_NOFILE)": (kinds.few_descriptors, 45),
    "memory (RLIMIT_AS)": (kinds.little_memory, 60),
    "clock set": (kinds.clock_jumps, 45),
    "two to four starts at once": (kinds.several_runners, 45),
    "two hosts, skewed clocks": (kinds.skewed_hosts, 45),
}
"""Kind -> how to do it, and how many cases there are beside 1,000 kills."""
DAMAGE = "damaged files"
COUNTED = ("faults", "completed", "lost", "wrong", "tracebacks", "processes", "temporary")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=1000, help="number of kills")
    parser.add_argument("--kinds", nargs="*", default=[], help="only kinds whose names hold one of these words")
    parser.add_argument("--native", type=int, default=5, help="cases of each kind of kill with the real trainer")
    parser.add_argument("--damage", action="store_true", help="also damage files of finished studies")
    parser.add_argument("--table", action="store_true", help="print the table of what is done, and stop")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    record = given.folder / "cases.jsonl"
    if not given.table:
        run(given.folder, record, given)
    print(table(read(record)))
    if any(row.get(column) for row in read(record) for column in COUNTED[2:]):
        raise SystemExit(1)


def run(folder: Path, record: Path, given: argparse.Namespace) -> None:
    """Do every case of the plan that the record does not hold."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    starts.import_everything()
    base_url, service = start_service()
    bench = Bench(folder=folder / "work", base_url=base_url)
    try:
        bench.setup(native=given.native > 0)
        print(f"undisturbed: run {bench.seconds['run']:.1f} s", flush=True)
        done = {(row["kind"], row["command"], row["number"]) for row in read(record)}
        for kind, how, command, number in plan(given, record):
            if (kind, command, number) in done:
                continue
            begun = time.monotonic()
            row = how(bench, command, number)
            row |= {"kind": kind, "command": command, "number": number, "seconds": round(time.monotonic() - begun, 1)}
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            bad = {column: row[column] for column in COUNTED[2:] if row.get(column)}
            bad |= {} if row.get("completed", 1) else {"completed": 0}
            if bad or row.get("notes"):
                print(f"{kind}, {command} {number}: {bad} {row.get('notes')}", flush=True)
    finally:
        os.kill(service, signal.SIGKILL)


def plan(
    given: argparse.Namespace, record: Path
) -> Iterator[tuple[str, Callable[[Bench, str, int], dict[str, Any]], str, int]]:
    """Kind, function, command, number of each case. Kinds take turns, so that a part of the plan has some of each."""

    def wanted(kind: str) -> bool:
        return not given.kinds or any(word in kind for word in given.kinds)

    share = given.cases / 1000
    left = {kind: max(1, round(share * count)) for kind, (_, count) in OTHERS.items() if wanted(kind)}
    for number in range(given.native):
        for kind, how in KILLS.items():
            if wanted(kind):
                yield kind, how, "run (native)", number
    for number in range(100_000):
        killing = any(map(wanted, KILLS)) and num_kills(read(record)) < given.cases
        if not killing and not any(count > number for count in left.values()):
            break
        if killing:
            for kind, how in KILLS.items():
                if wanted(kind):
                    yield kind, how, ORDER[number % len(ORDER)], number
        for kind, count in left.items():
            if number < count:
                yield kind, OTHERS[kind][0], ORDER[number % len(ORDER)], number
    if given.damage and wanted(DAMAGE):
        for number in range(max(1, round(share * 60))):
            yield DAMAGE, kinds.damaged, "run", number


def read(record: Path) -> list[dict[str, Any]]:
    """The cases that are done. A line that a kill of this program left half is no case."""
    found = []
    for line in record.read_text(encoding="utf-8").splitlines() if record.is_file() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def num_kills(rows: list[dict[str, Any]]) -> int:
    return sum(row.get("faults", 0) for row in rows if row["kind"] in KILLS)


def table(rows: list[dict[str, Any]]) -> str:
    """One line per kind of fault and command, as Markdown."""
    heads = ("kind of fault", "command", "cases", *COUNTED[:-2], "processes left", "temporary files left")
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    kinds_in_order, commands_in_order = [*KILLS, *OTHERS, DAMAGE], [*COMMANDS]
    for row in sorted(
        rows, key=lambda one: (kinds_in_order.index(one["kind"]), commands_in_order.index(one["command"]))
    ):
        groups.setdefault((row["kind"], row["command"]), []).append(row)
    for (kind, command), found in groups.items():
        if skipped := [row for row in found if "skipped" in row]:
            lines.append(
                f"| {kind} | {command} | {len(skipped)} | skipped: {skipped[0]['skipped']} |" + " |" * (len(heads) - 4)
            )
            continue
        lines.append(_line(kind, command, found))
    counted = [row for row in rows if "skipped" not in row]
    lines.append(_line("all", "", counted))
    lines.append(f"\n{num_kills(rows)} of the faults are kills.")
    return "\n".join(lines)


def _line(kind: str, command: str, rows: list[dict[str, Any]]) -> str:
    sums = [str(sum(row[column] for row in rows)) for column in COUNTED]
    return f"| {kind} | {command} | {len(rows)} | " + " | ".join(sums) + " |"


if __name__ == "__main__":
    main()
