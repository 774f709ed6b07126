"""Tiny random models of four architectures, saved as folders the way real ones are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
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

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NUM_IDS = 259  # 256 bytes and three control tokens
SIZES = {
    "vocab_size": NUM_IDS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,  # a model of the usual 0.02 repeats one token for ever
    "tie_word_embeddings": False,  # tied random embeddings echo their input
    "pad_token_id": 256,
    "bos_token_id": 256,
    "eos_token_id": 256,
}
ARCHITECTURES = {
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    # windows shorter than the prompts, so that the sliding cache slides
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZES, head_dim=8, sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    ),
    "cohere2": lambda: Cohere2ForCausalLM(
        Cohere2Config(**SIZES, sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    ),
}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>", chat_template=CHATML
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny random model of an architecture."""
    folders: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in folders:
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(architecture)
            model = ARCHITECTURES[architecture]()
            model.generation_config.eos_token_id = None
            model.save_pretrained(folder)
            byte_tokenizer().save_pretrained(folder)
            folders[architecture] = folder
        return folders[architecture]

    return make


settings.register_profile("crosslift", deadline=None, derandomize=True)  # the first example may load a model
settings.load_profile("crosslift")
