"""Inputs made to break readers and parsers: study files, corpora, answers of models, replies of judges.

    python benchmarks/fuzz.py 10000 [--seed 0] [--kind answer]

Prints per kind: inputs, tracebacks (anything but an error that is told to a person), the slowest input in seconds and
the peak of memory. Ends with 1 where there was a traceback or an input took more than a second. Input number n of a
kind is made from `seed`, the kind and n alone, so that one is made again by its number; memory is limited, so that an
input which takes all of it is a MemoryError here.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
sys.path.insert(0, str(HERE.parent / "tests" / "studies"))

MEMORY = 8 * 2**30
"""Address space of the process, libraries included."""
SECONDS = 1.0
HANGS = 60


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("inputs", type=int, help="over all kinds")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--kind", default="", help="only kinds whose name holds this")
    arguments.add_argument("--only", type=int, help="only the input of this number")
    given = arguments.parse_args()
    from fuzzing import KINDS, accepted, languages_are_loaded

    from conftest import STUDY

    languages_are_loaded()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    kinds = {name: make for name, make in KINDS.items() if given.kind in name}
    each = [given.inputs // len(kinds) + (place < given.inputs % len(kinds)) for place in range(len(kinds))]
    print(f"{'kind':22} {'inputs':>7} {'tracebacks':>10} {'slowest, s':>10} {'peak, MB':>9}")
    bad = False
    for (name, make), number in zip(kinds.items(), each, strict=True):
        slowest, failures = 0.0, 0
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder))
            for n in range(number) if given.only is None else [given.only]:
                rng = random.Random(f"{given.seed} {name} {n}")
                faulthandler.dump_traceback_later(HANGS, exit=True)
                begun = time.process_time()
                try:
                    make(rng, Path(folder), STUDY.encode())
                except Exception as error:
                    if not accepted(error):
                        failures += 1
                        print(f"{name}, input {n}: {type(error).__name__}", file=sys.stderr)
                        if failures <= 3:
                            traceback.print_exc(limit=-6)
                seconds = time.process_time() - begun
                if seconds > SECONDS:
                    print(f"{name}, input {n}: {seconds:.2f} s", file=sys.stderr)
                slowest = max(slowest, seconds)
        faulthandler.cancel_dump_traceback_later()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:22} {number:7,} {failures:10} {slowest:10.2f} {peak:9.0f}", flush=True)
        bad |= bool(failures) or slowest > SECONDS
    print(f"{'all':22} {sum(each):7,}")
    return int(bad)


def prepare(folder: Path) -> None:
    """What the study file refers to."""
    import polars as pl

    from conftest import lines, write_jsonl

    (folder / "tiny").mkdir()
    (folder / "tiny" / "config.json").write_text("{}")
    write_jsonl(folder / "train.jsonl", lines(("en", "es", "sw"), 6))
    write_jsonl(folder / "dev.jsonl", lines(("en", "es", "sw"), 3))
    pl.DataFrame(lines(("en", "sw", "te"), 4)).write_parquet(folder / "test.parquet")


if __name__ == "__main__":
    sys.exit(main())
