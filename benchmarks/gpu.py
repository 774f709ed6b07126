"""How fast is training on a GPU, beside TRL's SFTTrainer at its best?

    python benchmarks/gpu.py [--models qwen3-0.6b ...] [--methods full lora] [--minutes 8] [--out gpu.json]
    python benchmarks/gpu.py --small          # on any machine, in a minute or two: shows that the script works
    sh benchmarks/gpu.sh                      # the tests that need a GPU, then the table, in eight minutes

What `--minutes` leaves no time for is named at the end; `--models` and `--methods` measure it in another call.

The architectures of Qwen3-0.6B, 1.7B, 8B and Gemma-3-1B with random weights, so nothing is downloaded. Both sides train
on the same token ids. The lengths are assumed, not measured: prompts and solutions of a mathematical corpus in eleven
languages, log-normal around 80 and 130 tokens in English, longer in the other languages by `FERTILITY`. A step has 64
examples; a pass has at most 16,384 tokens. Weights are float32 and matrix products bfloat16 on both sides; under LoRA
the frozen weights are bfloat16, the rank is 16.

TRL trains padded, rows grouped by length, with scaled dot-product attention, and packed (best-fit decreasing, without
padding) if flash attention can be had; without it, packed rows need a mask of all pairs, which is why that variant is
left out then. It uses Liger's kernels for layers if they are installed, and always its own fused head. Its best variant
is compared.

Every measurement is a process of its own. Sides alternate (A B, then B A where `--repeats 2`); the first steps, with
compilation, are not counted. Each row has: tokens per second, prompts included and padding excluded; the model's FLOPs
utilisation (A. Chowdhery et al. 2022, arXiv 2204.02311, appendix B): operations that the task needs, over time and peak
of the device; peak memory; joules per 1,000 tokens where NVML tells them (package nvidia-ml-py).

Operations per step: forwards 2 per weight of a layer and token, and 2 per weight of the head and token under the loss
mask; backwards as many for the gradient of activations, and as many again for that of weights that are trained.
Attention has 4 x heads x head size for each pair of tokens of which one attends to the other, three times in all. The
embedding and adapters count nothing, nor does recomputation, so checkpointing lowers the utilisation.
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

sys.path.insert(0, str(Path(__file__).parent))

from gpu_speed.tables import comparisons, does_not_fit, row_of, table
from gpu_speed.task import CHECKPOINTED, MODELS, prepare, settings_of
from gpu_speed.theirs import flash_attention


def work(path: Path) -> None:
    """Do one measurement in this process, and print what was found."""
    import torch

    job = json.loads(path.read_text())
    if job["variant"].startswith("crosslift"):
        from gpu_speed.ours import train_crosslift as side
    else:
        from gpu_speed.theirs import train_trl as side
    try:
        found = side(path.parent, job)
    except torch.OutOfMemoryError:
        found = {"failed": "out of memory"}
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
    print("FOUND " + json.dumps(found), flush=True)


def measure(folder: Path, job: dict[str, Any], *, limit: float) -> dict[str, Any]:
    """What a process of its own finds."""
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, __file__, "--worker", str(folder / "job.json")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {limit:.0f} s"}
    told = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    if not told:
        lines = ended.stderr.strip().splitlines() or ["no message"]
        return {"failed": lines[-1], "stderr": ended.stderr[-3000:]}
    found: dict[str, Any] = json.loads(told[-1].removeprefix("FOUND "))
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--small", action="store_true", help="tiny models and few steps, on any device")
    arguments.add_argument("--models", nargs="*", choices=list(MODELS))
    arguments.add_argument("--methods", nargs="*", choices=["full", "lora"], default=["full", "lora"])
    arguments.add_argument("--variants", nargs="*", help='default: crosslift, "trl padded", "trl packed"')
    arguments.add_argument("--steps", type=int, help="steps that are measured")
    arguments.add_argument("--repeats", type=int, default=1)
    arguments.add_argument("--minutes", type=float, default=60.0, help="begin no measurement after these")
    arguments.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = arguments.parse_args()
    import torch

    small, on_gpu = given.small, torch.cuda.is_available()
    if not (small or on_gpu):
        raise SystemExit("torch finds no CUDA device. Use --small to see that the script works.")
    memory = float(torch.cuda.get_device_properties(0).total_memory) if on_gpu else None
    name = torch.cuda.get_device_name() if on_gpu else f"no GPU, {len(os.sched_getaffinity(0))} cores"
    print(
        f"{name}, torch {torch.__version__}" + (", tiny models: the numbers mean nothing" if small else ""), flush=True
    )
    variants = given.variants or ["crosslift", "trl padded", "trl packed"]
    if not given.variants and on_gpu and not flash_attention():
        variants.remove("trl packed")
        print("trl packed is left out: neither flash_attn nor flash_attn_interface is installed", flush=True)
    models = given.models or (["qwen3-0.6b", "gemma3-1b"] if small else list(MODELS))
    base = {
        "warmup": 1 if small else 3, "batch": 12 if small else 64, "examples": 48 if small else 2048,
        "scale": 0.1 if small else 1.0, "max_length": 128 if small else 2048,
        "tokens": 512 if small else 16_384, "padded_rows": 4 if small else 16,
    }  # fmt: skip
    rows, ends, number = [], time.monotonic() + 60 * given.minutes, 0
    left_out = []
    for model in models:
        numbers = settings_of(model, small=small)
        for method in given.methods:
            for repeat in range(given.repeats):
                for variant in variants if (number + repeat) % 2 == 0 else variants[::-1]:
                    job = base | {"model": model, "method": method, "variant": variant}
                    job["checkpointing"] = model in CHECKPOINTED
                    job["steps"] = given.steps or (2 if small else 4 if model in CHECKPOINTED else 8)
                    left = ends - time.monotonic()
                    if left < (5 if small else 25):
                        left_out.append(f"{model}, {method}, {variant}")
                        continue
                    if (reason := does_not_fit(job, numbers, memory)) is not None:
                        rows.append(job | {"failed": reason})
                        continue
                    with tempfile.TemporaryDirectory() as folder:
                        prepare(Path(folder), model, small=small)
                        found = measure(Path(folder), job, limit=left)
                    rows.append(row_of(job, numbers, found))
                    print(*list(table(rows[-1:]))[2:], found.get("kernels", found.get("stderr", "")), flush=True)
            number += 1
    print("", *table(rows), "", *([] if small else comparisons(rows)), sep="\n")
    for one in left_out:
        print(f"left out for want of time: {one}")
    if given.out:
        said = {"device": name, "torch": torch.__version__, "small": small, "rows": rows, "left_out": left_out}
        given.out.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]))
    else:
        main()
