"""The side of crosslift."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from gpu_speed.task import draw_model, examples_of
from gpu_speed.watch import Watch


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
