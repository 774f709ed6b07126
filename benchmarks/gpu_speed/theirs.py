"""The side of TRL, at its best."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from gpu_speed.task import draw_model, examples_of
from gpu_speed.watch import Watch


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
