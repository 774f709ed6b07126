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
import contextlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FERTILITY = {
    "en": 1.0, "zh": 1.1, "es": 1.3, "fr": 1.35, "de": 1.4, "ru": 1.6, "ja": 1.5, "sw": 2.0, "th": 2.2, "te": 4.5,
    "bn": 4.0,
}  # fmt: skip
"""Tokens of a text over those of its English original: assumed, of the order that tokenizers of such models have."""
PROMPT, COMPLETION, SPREAD = 80, 130, 0.45
"""Medians of an English example, and the standard deviation of the logarithm."""
MODELS = {
    "qwen3-0.6b": "Qwen/Qwen3-0.6B-Base",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B-Base",
    "gemma3-1b": "google/gemma-3-1b-pt",
    "qwen3-8b": "Qwen/Qwen3-8B-Base",
}
GEMMA = {"sliding_window": 512, "query_pre_attn_scalar": 256}
SMALL = {
    "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512,
}  # fmt: skip
CHECKPOINTED = {"qwen3-8b"}
"""Models whose activations are recomputed, on both sides."""
PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "GH200": 989e12, "B200": 2250e12, "A100": 312e12,
    "L40S": 362e12, "L4": 121e12, "A10G": 70e12, "A10": 125e12, "RTX 4090": 165e12,
}  # fmt: skip
"""FLOP/s of dense bfloat16 products, from NVIDIA's data sheets, by a part of the device's name."""


# ------------------------------------------------------------------------------------------------------- the work


def lengths(number: int, *, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of prompts and completions, languages by turns; int64, (number,) each."""
    generator = np.random.default_rng(seed)
    factor = np.array(list(FERTILITY.values()))[np.arange(number) % len(FERTILITY)] * scale
    drawn = np.exp(generator.normal(0.0, SPREAD, (2, number)))
    prompt, completion = (np.maximum(4, drawn[i] * median * factor) for i, median in enumerate((PROMPT, COMPLETION)))
    return prompt.astype(np.int64), completion.astype(np.int64)


def settings_of(model: str, *, small: bool) -> dict[str, Any]:
    """The numbers of a model's configuration."""
    from crosslift.studies.planning import devices

    known = tomllib.loads((Path(devices.__file__).parent / "architectures.toml").read_text(encoding="utf-8"))
    numbers = dict(known[MODELS[model]])
    if numbers["model_type"].startswith("gemma3"):
        numbers |= GEMMA
    return numbers | (SMALL if small else {})


def operations(numbers: dict[str, Any], prompt: np.ndarray, completion: np.ndarray, *, lora: bool) -> float:
    """Floating-point operations that the task needs, for these examples once forwards and backwards."""
    hidden, size = numbers["hidden_size"], numbers["head_dim"]
    heads, keys = numbers["num_attention_heads"], numbers["num_key_value_heads"]
    layer = hidden * size * (2 * heads + 2 * keys) + 3 * hidden * numbers["intermediate_size"]
    layers, length = numbers["num_hidden_layers"], (prompt + completion).astype(float)
    products = layers * layer * length.sum() + numbers["vocab_size"] * hidden * float(completion.sum())
    window = numbers.get("sliding_window")
    every = 6 if window else 1  # Gemma 3: five layers with a window, one without
    full, narrow = layers // every if window else layers, layers - layers // every if window else 0
    near = np.minimum(length, window) if window else length
    pairs = full * (length * (length + 1) / 2).sum() + narrow * (near * (length - near) + near * (near + 1) / 2).sum()
    return float((4 if lora else 6) * products + 3 * 4 * heads * size * pairs)


def prepare(folder: Path, model: str, *, small: bool) -> None:
    """Write the configuration and a tokenizer; weights are drawn where they are needed."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, PreTrainedTokenizerFast

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = [*control, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
    numbers = settings_of(model, small=small)
    ends = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(**numbers, **ends, max_position_embeddings=8192, dtype="bfloat16")
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def draw_model(folder: Path, device: Any, dtype: Any, **settings: Any) -> Any:
    """A model with random weights, made on the device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=dtype, **settings)


# -------------------------------------------------------------------------------------------------- the two sides


class Watch:
    """Time, memory and energy between `begin` and `end`."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.started = time.monotonic()
        self.found: dict[str, Any] = {}

    def begin(self) -> None:
        self._wait()
        self.found["seconds_before"] = time.monotonic() - self.started
        self._energy, self._began = self._joules(), time.monotonic()

    def end(self) -> None:
        self._wait()
        self.found["seconds"] = time.monotonic() - self._began
        energy = self._joules()
        self.found["joules"] = None if energy is None or self._energy is None else energy - self._energy
        if self.device.type == "cuda":
            import torch

            self.found["peak_bytes"] = torch.cuda.max_memory_allocated()
        else:
            self.found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _wait(self) -> None:
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize()

    def _joules(self) -> float | None:
        """Energy of the device since the driver was loaded; None if nothing tells it."""
        if self.device.type != "cuda" or importlib.util.find_spec("pynvml") is None:
            return None
        import pynvml

        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        return None


def train_crosslift(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from crosslift.training.trainer import LoRAConfig, SFTConfig, TokenTable, TrainingRequest
    from crosslift.training.trainers.native import loop
    from crosslift.training.trainers.native.gpu import blocks
    from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
    from crosslift.training.trainers.native.model import for_training
    from crosslift.training.trainers.native.passes import fuse_modules

    device = choose_device("auto")
    watch, done = Watch(device), []
    lora = job["method"] == "lora"

    class Measured(loop.Run):
        """A run with random weights that writes no checkpoint."""

        def _load(self) -> Any:
            dtype = torch.bfloat16 if lora and device.type == "cuda" else torch.float32
            return for_training(draw_model(folder, device, dtype, attn_implementation="sdpa"), self.request)

        def _step(self, batch: Any, rate: float) -> Any:
            if batch.step == job["warmup"]:
                watch.begin()
            if batch.step >= job["warmup"]:
                done.append(batch.num_tokens)
            return super()._step(batch, rate)

        def _finish(self) -> None:
            watch.end()

    prompt, completion, ids, offsets = examples_of(job)
    zeros = np.zeros(len(prompt), np.int16)
    config = SFTConfig(
        method=job["method"],
        steps=job["warmup"] + job["steps"],
        learning_rate=1e-5,
        batch_examples=job["batch"],
        max_length=job["max_length"],
        micro_batch_tokens=job["tokens"],
        gradient_checkpointing=job["checkpointing"],
        lora=LoRAConfig(rank=16) if lora else None,
        validate_every=0,
    )
    request = TrainingRequest(
        model=str(folder),
        revision=None,
        config=config,
        examples=TokenTable(
            ids=ids, offsets=offsets, prompt_lengths=prompt.astype(np.int32),
            completion_bytes=completion.astype(np.int32), languages=("all",), language=zeros, tasks=("math",),
            task=zeros,
        ),
        validation=None,
        seed=0,
        folder=folder / "run",
        compile=job["variant"] != "crosslift, not compiled",
        save_seconds=1e9,
    )  # fmt: skip
    request.folder.mkdir(exist_ok=True)
    blocks.MIN_STEPS = 0  # a run of hundreds of steps would be compiled
    loop.NUM_LOG_ROWS = 1  # and it reads losses every 16 steps
    precision = choose_precision("auto", device)
    with numerics(device, precision):
        run = Measured(request, device, precision)
        with fuse_modules(run.model) if device.type == "cpu" else contextlib.nullcontext():
            trained = run.train()
    return watch.found | {"tokens": sum(done), "precision": precision, "kernels": dict(trained.kernels)}


def train_trl(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    import torch
    import transformers
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    transformers.logging.set_verbosity_error()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu, packed, lora = device.type == "cuda", job["variant"] == "trl packed", job["method"] == "lora"
    flash = flash_attention()
    attention = flash or "sdpa"
    watch = Watch(device)
    seen: list[Any] = []

    class Steps(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step == job["warmup"]:
                seen.clear()
                watch.begin()

    class Counting(SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            mask = inputs.get("attention_mask")
            seen.append(inputs["input_ids"].numel() if mask is None else mask.sum())
            return super().training_step(model, inputs, *rest, **more)

    prompt, completion, ids, offsets = examples_of(job)
    rows = [
        {"input_ids": ids[start:end].tolist(), "completion_mask": [0] * p + [1] * c}
        for start, end, p, c in zip(offsets[:-1], offsets[1:], prompt.tolist(), completion.tolist(), strict=True)
    ]
    mean = float((prompt + completion).mean())
    per_pass = max(1, job["tokens"] // job["max_length"]) if packed else job["padded_rows"]
    per_step = job["batch"] * mean / job["max_length"] if packed else job["batch"]  # rows of a step
    optional: dict[str, Any] = {"use_liger_kernel": True} if importlib.util.find_spec("liger_kernel") else {}
    if lora:
        from peft import LoraConfig

        adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = Counting(
        model=draw_model(
            folder, device, torch.bfloat16 if lora and on_gpu else torch.float32, attn_implementation=attention
        ),
        args=SFTConfig(
            output_dir=str(folder / "trl"),
            per_device_train_batch_size=per_pass,
            gradient_accumulation_steps=max(1, round(per_step / per_pass)),
            max_steps=job["warmup"] + job["steps"],
            learning_rate=1e-5,
            logging_steps=10_000,
            save_strategy="no",
            report_to=[],
            bf16=on_gpu,
            use_cpu=not on_gpu,
            packing=packed,
            train_sampling_strategy="random" if packed else "group_by_length",
            max_length=job["max_length"],
            completion_only_loss=True,
            gradient_checkpointing=job["checkpointing"],
            gradient_checkpointing_kwargs={"use_reentrant": False},
            optim="adamw_torch_fused",
            dataloader_pin_memory=on_gpu,
            disable_tqdm=True,
            seed=0,
            **optional,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=adapter if lora else None,
        callbacks=[Steps()],
    )
    trainer.train()
    watch.end()
    kernels = {"attention": attention, "layers": "Liger" if optional else "transformers", "loss": "TRL's fused head"}
    precision = "bfloat16" if on_gpu else "float32"
    return watch.found | {"tokens": int(sum(int(one) for one in seen)), "precision": precision, "kernels": kernels}


def flash_attention() -> str | None:
    """The implementation of flash attention that can be had here."""
    import torch

    if not torch.cuda.is_available():
        return None
    if importlib.util.find_spec("flash_attn_interface") is not None:
        return "flash_attention_3"
    return "flash_attention_2" if importlib.util.find_spec("flash_attn") is not None else None


def examples_of(job: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of prompts and completions, the ids of all examples, and where each begins."""
    prompt, completion = lengths(job["examples"], scale=job["scale"])
    completion = np.maximum(1, np.minimum(completion, job["max_length"] - np.minimum(prompt, job["max_length"] - 1)))
    prompt = np.minimum(prompt, job["max_length"] - 1)
    offsets = np.concatenate([[0], np.cumsum(prompt + completion)])
    ids = np.random.default_rng(1).integers(3, 256, offsets[-1]).astype(np.int32)
    return prompt, completion, ids, offsets


# ---------------------------------------------------------------------------------------------------- measurement


def work(path: Path) -> None:
    """Do one measurement in this process, and print what was found."""
    import torch

    job = json.loads(path.read_text())
    side = train_crosslift if job["variant"].startswith("crosslift") else train_trl
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


def row_of(job: dict[str, Any], numbers: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    row: dict[str, Any] = {"model": job["model"], "method": job["method"], "variant": job["variant"]} | found
    if "failed" in found:
        return row
    prompt, completion, _, _ = examples_of(job)
    per_token = operations(numbers, prompt, completion, lora=job["method"] == "lora") / float(
        (prompt + completion).sum()
    )
    row["tokens_per_second"] = found["tokens"] / found["seconds"]
    peak = next((value for name, value in PEAKS.items() if name in found.get("device", "")), None)
    row["utilisation"] = None if peak is None else row["tokens_per_second"] * per_token / peak
    joules = found["joules"]
    row["joules_per_1000_tokens"] = None if joules is None else 1000 * joules / found["tokens"]
    return row


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows as a table in Markdown."""
    yield "| model | method | variant | tokens / s | FLOPs utilisation | peak memory | joules / 1,000 tokens | before |"
    yield "|---|---|---|--:|--:|--:|--:|--:|"
    for row in rows:
        start = f"| {row['model']} | {row['method']} | {row['variant']} | "
        if "failed" in row:
            yield start + f"{row['failed']} | | | | |"
            continue
        used = "not told" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        energy = row["joules_per_1000_tokens"]
        yield start + (
            f"{row['tokens_per_second']:,.0f} | {used} | {row['peak_bytes'] / 1e9:.1f} GB | "
            f"{'not told' if energy is None else f'{energy:.1f}'} | {row['seconds_before']:.0f} s |"
        )


def comparisons(rows: list[dict[str, Any]]) -> Iterator[str]:
    """How many times as fast as TRL's best, per model and method: the mean of each variant's measurements."""
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in rows):
        speeds: dict[str, list[float]] = {}
        for row in rows:
            if (row["model"], row["method"]) == (model, method) and "failed" not in row:
                speeds.setdefault(row["variant"], []).append(row["tokens_per_second"])
        means = {name: float(np.mean(found)) for name, found in speeds.items()}
        theirs = {name: speed for name, speed in means.items() if name.startswith("trl")}
        if "crosslift" in means and theirs:
            best = max(theirs, key=lambda name: theirs[name])
            yield f"{model}, {method}: crosslift is {means['crosslift'] / theirs[best]:.2f} times as fast as {best}"


def does_not_fit(job: dict[str, Any], numbers: dict[str, Any], memory: float | None) -> str | None:
    """Why a model is not measured on a device with so many bytes: weights, gradients and moments alone."""
    from crosslift.training.architecture import read_architecture

    architecture = read_architecture(numbers)
    if memory is None or architecture is None or job["method"] == "lora":
        return None
    needed = 16 * architecture.parameters
    return f"does not fit: {needed / 1e9:.0f} GB before the first activation" if needed > 0.95 * memory else None


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
