"""Six runs of one base model in one engine of vLLM against an engine for each, in one process after the other.

    make vllm                                    # installs vLLM for CPUs, runs its tests and this script
    python benchmarks/vllm_runs.py [RUNS]

Adapters are asked together. Full checkpoints, whose embeddings are not tied, follow each other by loading weights in
place, which the canary compares with transformers each time. CPU seconds are those of this process and of the engine's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # the table is written to the same place
# In place of this folder, whose statistics.py would be imported instead of Python's.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import engine_models  # type: ignore[import-not-found]

from crosslift.evaluation.generators.vllm import Generator, close

NUM_PROMPTS = 200
MAX_TOKENS = 32


def answered(generators: Sequence[Generator]) -> list[list[str]]:
    prompts = engine_models.prompts(NUM_PROMPTS)
    if generators[0].is_batched:
        generators[0].ask_with(generators[1:])
    return [[one.text for one in generator.generate(prompts, max_tokens=MAX_TOKENS)] for generator in generators]


def in_one_engine(folders: Sequence[Path], base: str | None) -> tuple[list[list[str]], float]:
    options = engine_models.OPTIONS
    if base is None:
        found = [answered([Generator(folder, **options)])[0] for folder in folders]
    else:
        found = answered([Generator(folder, base=base, **options) for folder in folders])
    return found, seconds_of_engine()


def in_an_engine_each(folders: Sequence[Path], base: str | None) -> tuple[list[list[str]], float]:
    found, seconds = [], 0.0
    for folder in folders:
        found += answered([Generator(folder, base=base, **engine_models.OPTIONS)])
        seconds += seconds_of_engine()
        close()
    return found, seconds


def seconds_of_engine() -> float:
    """CPU seconds of the processes of the open engine."""
    return sum(sum(one.cpu_times()[:2]) for one in psutil.Process().children(recursive=True))


def measured(
    way: Callable[[Sequence[Path], str | None], tuple[list[list[str]], float]],
    folders: Sequence[Path],
    base: str | None,
) -> tuple[list[list[str]], float, float]:
    """Texts, wall seconds and CPU seconds."""
    wall, cpu = time.monotonic(), time.process_time()
    found, seconds = way(folders, base)
    taken = time.monotonic() - wall, time.process_time() - cpu + seconds
    close()
    return found, *taken


def main(num_runs: int = 6) -> None:
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place)
        base = engine_models.base()
        adapters = [engine_models.write_adapter(runs / f"lora-{n}", seed=n) for n in range(num_runs)]
        full = [engine_models.write_checkpoint(runs / f"full-{n}", seed=n, tied=False) for n in range(num_runs)]
        sys.stdout.write("| runs | | wall seconds | CPU seconds | texts that differ |\n|---|---|---|---|---|\n")
        for kind, folders, model in (("adapters", adapters, base), ("full checkpoints", full, None)):
            one, *of_one = measured(in_one_engine, folders, model)
            each, *of_each = measured(in_an_engine_each, folders, model)
            differ = sum(
                a != b for ours, theirs in zip(one, each, strict=True) for a, b in zip(ours, theirs, strict=True)
            )
            name = f"{num_runs} {kind}"
            sys.stdout.write(f"| {name} | one engine | {of_one[0]:.0f} | {of_one[1]:.0f} | |\n")
            sys.stdout.write(f"| {name} | an engine each | {of_each[0]:.0f} | {of_each[1]:.0f} | {differ} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
