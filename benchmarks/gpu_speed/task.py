"""What is trained: models, lengths of examples, and the operations that they need."""

from __future__ import annotations

import tomllib
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


def examples_of(job: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of prompts and completions, the ids of all examples, and where each begins."""
    prompt, completion = lengths(job["examples"], scale=job["scale"])
    completion = np.maximum(1, np.minimum(completion, job["max_length"] - np.minimum(prompt, job["max_length"] - 1)))
    prompt = np.minimum(prompt, job["max_length"] - 1)
    offsets = np.concatenate([[0], np.cumsum(prompt + completion)])
    ids = np.random.default_rng(1).integers(3, 256, offsets[-1]).astype(np.int32)
    return prompt, completion, ids, offsets
