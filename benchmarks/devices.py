"""One run on 1, 2 and 4 devices (processes on CPUs, gloo): are losses and weights the same, and does memory fall?

    python benchmarks/devices.py [--out devices.jsonl] [--steps 50] [--low]

For each of four architectures, full and LoRA: the largest relative difference of the losses of all steps and the
largest absolute difference of the final weights, against one device; and the same for a run whose processes are killed
(SIGKILL) on 4 devices after a random step and which continues on 2. Then the peak of resident memory per process for a
model whose weights take most of it. Finished cases are read from the file, so the script may be stopped and started
again. One core per process; about 20 minutes on two cores. `--low` compares 8-bit moments and bfloat16 weights instead,
with one architecture.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

ARCHITECTURES = ("qwen3", "gemma3", "cohere2", "llama")
KILLED = "4, killed, 2"
MOMENTS, WEIGHTS = {"optimizer_state": "8-bit"}, {"weight_precision": "bfloat16", "precision": "auto"}
LOW: dict[str, dict[str, Any]] = {
    "full, 8-bit moments": MOMENTS,
    "full, bfloat16 weights": WEIGHTS,
    "full, both": MOMENTS | WEIGHTS,
}
LARGE = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 8192,
    "head_dim": 64,
    "tie_word_embeddings": True,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}


class Killed(Exception):
    """Ends the following of a run, whereupon its processes are killed."""


def train(folder: Path, architecture: str, method: str, devices: int, *, steps: int, stop_after: int = 0) -> Any:
    """Train a small model of an architecture, and kill it after a step if one is given."""
    from tiny_models import table, write_model

    from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
    from crosslift.training.trainers.native import train as train_native

    base = folder / "base"
    if not base.exists():
        write_model(base, architecture)
    settings = {"precision": "float32", "method": "lora" if method == "lora" else "full"} | LOW.get(method, {})

    def report(progress: Any) -> None:
        if stop_after and progress.step >= stop_after:
            raise Killed

    name = f"{method}-{devices if not stop_after else 'killed'}"
    return train_native(
        TrainingRequest(
            model=str(base),
            revision=None,
            config=SFTConfig(
                steps=steps,
                learning_rate=1e-3,
                batch_examples=8,
                micro_batch_tokens=100,
                warmup_share=0.1,
                lora=LoRAConfig(rank=4) if method == "lora" else None,
                select_by="loss",
                validate_every=2.0,
                **settings,
            ),
            examples=table(40),
            validation=table(4, first=100),
            seed=0,
            folder=folder / (name if stop_after == 0 else f"{method}-killed"),
            device="cpu",
            num_devices=devices,
            save_seconds=0.0 if stop_after else 1e9,
            report=report,
        )
    )


def compare(one: Path, other: Path) -> tuple[float, float]:
    """Largest relative difference of losses, and largest absolute difference of weights."""
    import polars as pl
    from safetensors.torch import load_file

    losses = [pl.read_parquet(run / "metrics.parquet")["loss"] for run in (one, other)]
    file = "adapter_model.safetensors" if (one / "checkpoint" / "adapter_config.json").exists() else "model.safetensors"
    weights = [load_file(run / "checkpoint" / file) for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    relative = ((losses[0] - losses[1]).abs() / losses[0]).max()
    return float(relative), max(float((weights[0][k] - weights[1][k]).abs().max()) for k in weights[0])


def equality(folder: Path, architecture: str, method: str, devices: str, steps: int) -> dict[str, Any]:
    """One line of the first table."""
    import random

    place = folder / architecture
    if not (place / f"{method}-1" / "metrics.parquet").exists():
        train(place, architecture, method, 1, steps=steps)
    started = time.monotonic()
    found: dict[str, Any] = {"architecture": architecture, "method": method, "devices": devices}
    if devices == KILLED:
        found["after"] = random.randint(steps // 5, steps - 5)
        with contextlib.suppress(Killed):
            train(place, architecture, method, 4, steps=steps, stop_after=found["after"])
        killed = place / f"{method}-killed"
        killed.rename(place / f"{method}-2-again")
        resumed = _resume(place, architecture, method, steps)
        found["resumed_at"] = resumed.resumed_at
        other = place / f"{method}-2-again"
    else:
        train(place, architecture, method, int(devices), steps=steps)
        other = place / f"{method}-{devices}"
    found["loss"], found["weights"] = compare(place / f"{method}-1", other)
    return found | {"seconds": round(time.monotonic() - started)}


def _resume(place: Path, architecture: str, method: str, steps: int) -> Any:
    """Continue the killed run on two devices, in the folder that it left."""
    again, usual = place / f"{method}-2-again", place / f"{method}-2"
    kept = place / f"{method}-2-kept"
    if usual.exists():
        usual.rename(kept)
    again.rename(usual)
    trained = train(place, architecture, method, 2, steps=steps)
    usual.rename(again)
    if kept.exists():
        kept.rename(usual)
    return trained


def memory(folder: Path, method: str, devices: int) -> dict[str, Any]:
    """Peak of resident memory of each process, and the estimate."""
    from tiny_models import table, tokenizer
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from crosslift.training.activations import Workload
    from crosslift.training.architecture import read_architecture
    from crosslift.training.memory import estimate
    from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
    from crosslift.training.trainers.native.sharded import launch, model

    base = folder / "large"
    if not base.exists():
        Qwen3ForCausalLM(Qwen3Config(**LARGE)).save_pretrained(base)
        tokenizer().save_pretrained(base)
    model.MAX_FILE_BYTES = 2 * 10**7
    config = SFTConfig(
        steps=3,
        learning_rate=1e-4,
        batch_examples=8,
        micro_batch_tokens=256,
        precision="float32",
        validate_every=0.0,
        method=method,
        lora=LoRAConfig() if method == "lora" else None,
    )
    peaks: dict[int, int] = {}
    started: list[Any] = []
    create = launch._Launched.__init__

    def remember(self: Any, *arguments: Any) -> None:
        started.append(self)
        create(self, *arguments)

    launch._Launched.__init__ = remember

    def report(progress: Any) -> None:
        for pid, _ in started[-1].processes.values():
            status = Path(f"/proc/{pid}/status").read_text()
            peaks[pid] = int(status.split("VmHWM:")[1].split()[0]) * 1024

    launch.train_on_devices(
        TrainingRequest(
            model=str(base),
            revision=None,
            config=config,
            examples=table(40),
            validation=None,
            seed=0,
            folder=folder / f"large-{method}-{devices}",
            device="cpu",
            num_devices=devices,
            report=report,
        )
    )
    launch._Launched.__init__ = create
    architecture = read_architecture(json.loads((base / "config.json").read_text()))
    assert architecture is not None
    tokens = 256 // devices  # of the eight examples of a step
    load = Workload(tokens=tokens, loss_tokens=tokens // 2, mean_length=32, accumulates=False)
    expected = estimate(architecture, config, load=load, device="cpu", num_devices=devices, retains=False)
    return {
        "method": method,
        "memory": devices,
        "peaks": sorted(round(peak / 1e6) for peak in peaks.values()),
        "estimate": round(expected.total / 1e6),
    }


def main() -> None:
    """Compute what is missing, and print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("devices.jsonl"))
    arguments.add_argument("--steps", type=int, default=50)
    arguments.add_argument("--low", action="store_true", help="8-bit moments and bfloat16 weights, one architecture")
    given = arguments.parse_args()
    done = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    cases: list[tuple[Any, ...]] = [
        (architecture, method, devices)
        for architecture in ARCHITECTURES
        for method in ("full", "lora")
        for devices in ("2", "4", KILLED)
    ]
    cases += [(method, devices) for method in ("full", "lora") for devices in (1, 2, 4)]
    if given.low:
        cases = [("qwen3", method, devices) for method in LOW for devices in ("2", KILLED)]
    with tempfile.TemporaryDirectory() as place:
        for case in cases:
            keys = ("architecture", "method", "devices") if len(case) == 3 else ("method", "memory")
            if any(all(one.get(key) == value for key, value in zip(keys, case, strict=True)) for one in done):
                continue
            folder = Path(place)
            found = equality(folder, *case, given.steps) if len(case) == 3 else memory(folder, *case)
            done.append(found)
            with given.out.open("a") as file:
                file.write(json.dumps(found) + "\n")
            print(found, file=sys.stderr, flush=True)
    print("| architecture | method | devices | losses, relative | weights, absolute |\n|---|---|---|---|---|")
    for one in done:
        if "devices" in one:
            after = f" after step {one['after']}, from step {one['resumed_at']}" if one["devices"] == KILLED else ""
            print(
                f"| {one['architecture']} | {one['method']} | {one['devices']}{after} "
                f"| {one['loss']:.1e} | {one['weights']:.1e} |"
            )
    print("\n| method | devices | peak per process, MB | estimate, MB |\n|---|---|---|---|")
    for one in done:
        if "memory" in one:
            print(f"| {one['method']} | {one['memory']} | {', '.join(map(str, one['peaks']))} | {one['estimate']} |")


if __name__ == "__main__":
    main()
