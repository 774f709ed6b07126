"""Tiny random models of four architectures, a byte tokenizer, and sums to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Cohere2Config,
    Cohere2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from crosslift.chat import PLAIN_TEMPLATE, encode_examples
from crosslift.training.trainer import TokenTable

CONTROL = ("<pad>", "<eos>")
SIZES = {
    "vocab_size": 256 + len(CONTROL),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
WINDOW = 12  # shorter than the examples, so that sliding windows show
ARCHITECTURES = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=8, tie_word_embeddings=True)),
    "gemma3": (
        Gemma3ForCausalLM,
        Gemma3TextConfig(
            **SIZES,
            head_dim=8,
            sliding_window=WINDOW,
            layer_types=["sliding_attention", "full_attention"],
            final_logit_softcapping=5.0,
        ),
    ),
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=False)),
    "cohere2": (
        Cohere2ForCausalLM,
        Cohere2Config(
            **SIZES,
            sliding_window=WINDOW,
            layer_types=["sliding_attention", "full_attention"],
            logit_scale=0.25,
        ),
    ),
}


def tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte."""
    vocabulary = {token: i for i, token in enumerate([*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    built = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<pad>")
    built.chat_template = PLAIN_TEMPLATE
    return built


def write_model(folder: Path, architecture: str = "qwen3", *, dtype: torch.dtype = torch.float32) -> str:
    """A base model's folder, weights from a fixed seed and large enough that attention matters."""
    torch.manual_seed(0)
    kind, config = ARCHITECTURES[architecture]
    model = kind(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(5)
    model.to(dtype).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def conversations(num_items: int, *, first: int = 0) -> list[list[dict[str, str]]]:
    """Sums in English and Spanish by turns, of different length."""
    found = []
    for i in range(first, first + num_items):
        a, b, name = i % 7, i % 5, "Anna" + "n" * (i % 4)
        texts = (f"{name} has {a} + {b}?", f"¿{name} tiene {a} + {b}?")
        answers = (f"{a} + {b} = {a + b}.", f"Suma: {a + b}.")
        for text, answer in zip(texts, answers, strict=True):
            found.append([{"role": "user", "content": text}, {"role": "assistant", "content": answer}])
    return found


def table(num_items: int, *, first: int = 0) -> TokenTable:
    chats = conversations(num_items, first=first)
    encoded = encode_examples(tokenizer(), chats)
    return TokenTable(
        ids=encoded.ids,
        offsets=encoded.offsets,
        prompt_lengths=encoded.prompt_lengths,
        completion_bytes=encoded.completion_bytes,
        languages=("en", "es"),
        language=np.arange(len(chats), dtype=np.int16) % 2,
        tasks=("math",),
        task=np.zeros(len(chats), np.int16),
    )
