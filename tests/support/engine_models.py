"""Adapters and checkpoints of pocket models, for tests and benchmarks of real engines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from crosslift.chat import encode_prompts, load_tokenizer
from crosslift.pocket import checkpoints

TEXTS = (
    "What is {a} plus {b}?",
    "¿Cuánto es {a} más {b}?",
    "{a} na {b} ni ngapi?",
    "{a} plus {b} ist wie viel?",
    "Сколько будет {a} и {b}?",
)
OPTIONS: dict[str, Any] = {
    "dtype": "float32",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 1 << 28,
    "max_model_len": 512,
}
"""Options of `vllm` for pocket models on a CPU: without compilation, and with little memory."""


def base(name: str = "qwen3-m") -> str:
    return str(checkpoints.folder(name))


def prompts(number: int, name: str = "qwen3-m") -> list[list[int]]:
    """Token ids of short questions in five languages."""
    asked = [TEXTS[n % len(TEXTS)].format(a=n + 2, b=3 * n % 17 + 1) for n in range(number)]
    return encode_prompts(load_tokenizer(base(name)), [[{"role": "user", "content": text}] for text in asked])


def write_adapter(folder: Path, *, seed: int, size: float = 0.05, name: str = "qwen3-m") -> Path:
    """An adapter in the folder of a run; with size 0, its products are zeros."""
    checkpoint = folder / "train" / "checkpoint"
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base(name), dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for parameter_name, weights in adapted.named_parameters():
            if "lora_B" in parameter_name:
                weights.copy_(torch.randn_like(weights) * size)
    adapted.save_pretrained(checkpoint)
    return checkpoint


def write_checkpoint(folder: Path, *, seed: int, tied: bool, name: str = "llama-m") -> Path:
    """A full checkpoint in the folder of a run: the pocket model with noise on all weights, as training would leave it.

    Args:
        folder: folder of the run.
        seed: seed of the noise.
        tied: whether input and output embeddings are one tensor.
        name: the pocket model.
    """
    checkpoint = folder / "train" / "checkpoint"
    model = AutoModelForCausalLM.from_pretrained(base(name), dtype=torch.float32)
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    torch.manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1 + 0.03 * torch.randn_like(weights))
    model.save_pretrained(checkpoint)
    load_tokenizer(base(name)).save_pretrained(checkpoint)
    shutil.copy(Path(base(name)) / "chat_template.jinja", checkpoint)
    return checkpoint
