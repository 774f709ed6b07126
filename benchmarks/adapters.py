"""What is gained by training several LoRA runs of one base model together?

    python benchmarks/adapters.py [--runs 8] [--base qwen3-m] [--batch 32] [--steps 40] [--rank 16] [--rounds 3]

The runs are those of a study: one pocket base model, each with its own 2,000 math items of the pocket world (English
and Spanish), its own seed and order. *One after another* is what a worker does otherwise: packed rows, the whole batch
in one pass. Both sides are processes of one thread, and do the same: they load the base model, train, and write the
adapters; imports are not counted. *Together, groups of 1* is the second side with one run at a time: what it gains
comes from how adapters are computed, and not from sharing passes.

On a CPU the seconds of the processor are compared, since other work on the machine does not change them much, and the
smallest of all rounds is taken; the sides take turns. On CUDA it is the time from start to end. Memory is the peak of
the process (of the device on CUDA). Parity: largest relative difference of a recorded loss, and of a weight.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "es")
NUM_ITEMS = 2000
SIDES = ("one after another", "together, groups of 1", "together")


# ------------------------------------------------------------------------------------------------------- the work


def requests(given: argparse.Namespace, folder: Path) -> list[Any]:
    """The training requests, which differ in examples and seed."""
    import numpy as np

    from crosslift.chat import encode_examples, load_tokenizer
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.readers.general import pocket
    from crosslift.pocket import checkpoints
    from crosslift.training.trainer import LoRAConfig, SFTConfig, TokenTable, TrainingRequest

    base = str(checkpoints.folder(given.base))
    source = Source(
        name="math",
        reader="pocket",
        task="math",
        split="train",
        languages=LANGUAGES,
        max_items=min(given.runs, 4) * NUM_ITEMS // len(LANGUAGES),
    )
    rows = pocket.read(source).rows.select("language", "messages").to_dicts()
    encoded = encode_examples(load_tokenizer(base), [row["messages"] for row in rows])
    examples = TokenTable(
        ids=encoded.ids,
        offsets=encoded.offsets,
        prompt_lengths=encoded.prompt_lengths,
        completion_bytes=encoded.completion_bytes,
        languages=LANGUAGES,
        language=np.array([LANGUAGES.index(row["language"]) for row in rows], np.int16),
        tasks=("math",),
        task=np.zeros(len(rows), np.int16),
    )
    config = SFTConfig(
        method="lora",
        lora=LoRAConfig(rank=given.rank),
        steps=given.steps,
        learning_rate=2e-3,
        batch_examples=given.batch,
        max_length=256,
        micro_batch_tokens=given.micro_batch_tokens,
        precision=given.precision,
    )
    return [
        TrainingRequest(
            model=base,
            revision=None,
            config=config,
            examples=examples.take(np.random.default_rng(seed).choice(len(rows), NUM_ITEMS, replace=False)),
            validation=None,
            seed=seed,
            folder=folder / str(seed),
            device=given.device,
        )
        for seed in range(given.runs)
    ]


def train_side(side: str, asked: list[Any]) -> None:
    """Train all runs in this process."""
    from crosslift.training.trainers.native import train, train_together

    if side == SIDES[0]:
        for one in asked:
            train(one)
        return

    def ended(index: int, result: Any) -> None:
        if isinstance(result, Exception):
            raise result

    size = 1 if side == SIDES[1] else len(asked)
    for first in range(0, len(asked), size):
        reason = train_together(asked[first : first + size], ended)
        if reason is not None:
            raise SystemExit(f"not together: {reason}")


def worker(given: argparse.Namespace) -> None:
    """One side, in a process of its own; prints its figures."""
    import warnings

    warnings.simplefilter("ignore")
    import peft
    import torch
    import transformers  # noqa: F401 - imports are not counted

    from crosslift.training.trainers.native import loop
    from crosslift.training.trainers.native.together import group  # noqa: F401

    assert peft and loop
    asked = requests(given, given.folder)
    cuda = given.device == "cuda" or (given.device == "auto" and torch.cuda.is_available())
    began, used = time.monotonic(), time.process_time()
    train_side(given.side, asked)
    if cuda:
        peak = torch.cuda.max_memory_allocated()
    else:
        status = Path("/proc/self/status").read_text()
        peak = 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    seconds = time.monotonic() - began if cuda else time.process_time() - used
    device = torch.cuda.get_device_name() if cuda else "cpu"
    print(json.dumps({"seconds": seconds, "peak": peak, "device": device}))


# ---------------------------------------------------------------------------------------------------- measurement


def differences(one: Path, other: Path) -> tuple[float, float]:
    """Largest relative difference of a loss, and largest difference of a weight."""
    import polars as pl
    from safetensors.numpy import load_file

    losses, weights = 0.0, 0.0
    for run in sorted(path.name for path in one.iterdir()):
        rows = [pl.read_parquet(folder / run / "metrics.parquet")["loss"] for folder in (one, other)]
        losses = max(losses, float((rows[0] / rows[1] - 1).abs().max()))
        theirs, ours = (load_file(folder / run / "checkpoint" / "adapter_model.safetensors") for folder in (one, other))
        weights = max(weights, *(float(abs(theirs[name] - ours[name]).max()) for name in theirs))
    return losses, weights


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=8, help="runs that share the base model")
    arguments.add_argument("--base", default="qwen3-m", help="pocket base model")
    arguments.add_argument("--batch", type=int, default=32, help="examples of a step")
    arguments.add_argument("--steps", type=int, default=40)
    arguments.add_argument("--rank", type=int, default=16)
    arguments.add_argument("--micro-batch-tokens", type=int, default=16384, help="tokens of a pass, on both sides")
    arguments.add_argument("--precision", default="float32", choices=["auto", "float32", "bfloat16"])
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments.add_argument("--side", help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.side:
        worker(given)
        return
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(given.rounds):
            for side in SIDES:
                command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", f"{name}/{side}"]
                environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                results[side].append(json.loads(done.stdout.splitlines()[-1]))
        parity = {side: differences(Path(name) / SIDES[0], Path(name) / side) for side in SIDES[1:]}
    first = min(one["seconds"] for one in results[SIDES[0]])
    print(
        f"{given.runs} adapters of rank {given.rank} on {given.base}, batch {given.batch}, {given.steps} steps, "
        f"{given.micro_batch_tokens} tokens per pass, {given.precision}, {results[SIDES[0]][0]['device']}\n"
    )
    print("| | seconds | ratio | peak memory (MB) | losses differ by | weights differ by |")
    print("|---|---:|---:|---:|---:|---:|")
    for side in SIDES:
        seconds, peak = min(one["seconds"] for one in results[side]), max(one["peak"] for one in results[side])
        same = "".join(f" {one:.1e} |" for one in parity[side]) if side in parity else " | |"
        print(f"| {side} | {seconds:.1f} | {first / seconds:.2f} | {peak / 1e6:,.0f} |{same}", flush=True)
    if given.out:
        given.out.write_text(json.dumps({"given": vars(given) | {"out": None}, "results": results}, default=str) + "\n")


if __name__ == "__main__":
    main()
