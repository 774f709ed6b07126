"""A study that a laptop finishes in seconds: a random Qwen3 of 30,000 weights, 40 items in three languages."""

from __future__ import annotations

import json
from pathlib import Path

NUM_ITEMS = 40
LANGUAGES = ("en", "es", "sw")
WORDS = {"en": "{a} plus {b} is {c}", "es": "{a} más {b} es {c}", "sw": "{a} na {b} ni {c}"}

STUDY = """
name = "tiny"
question = "Does a second language help?"
hypothesis = "No: the model is random."
data_seed = 0

[models.tiny]
path = "./model"

[corpora.train]
reader = "jsonl"
task = "math"
path = "train.jsonl"
languages = ["en", "es", "sw"]

[corpora.test]
reader = "jsonl"
task = "math"
split = "test"
path = "test.jsonl"
languages = ["en", "es", "sw"]

[mixtures.en]
components = [{ corpus = "train", shares = { en = 1.0 } }]
budget = { amount = 32 }
pairing = "shared"

[mixtures.en-sw]
components = [{ corpus = "train", shares = { en = 0.5, sw = 0.5 } }]
budget = { amount = 32 }
pairing = "shared"

[grid]
seeds = SEEDS
base = true

[training]
epochs = 1.0
learning_rate = 1e-3
batch_examples = 8

[evaluations.math]
corpus = "test"
max_tokens = 8

[[contrasts]]
name = "second language"
control = "en"
treatments = ["en-sw"]
primary = true
"""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def dose_families(*, fixed: int, dose: int) -> str:
    """Two families of doses that meet at dose 0, to be put before [training]."""
    return "".join(
        f"""
[families.{name}]
kind = "dose"
corpora = ["train"]
fixed = {{ en = {fixed} }}
languages = ["{language}"]
doses = [0, {dose}]
pairing = "shared"

"""
        for name, language in (("latin", "es"), ("other", "sw"))
    )


def write_study(folder: Path, *, seeds: tuple[int, ...] = (0,), text: str = STUDY, num_items: int = NUM_ITEMS) -> Path:
    """study.toml, two corpora and a model in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text.replace("SEEDS", str(list(seeds))), encoding="utf-8")
    write_corpus(folder / "train.jsonl", num_items, first=0)
    write_corpus(folder / "test.jsonl", 8, first=1000)
    write_model(folder / "model")
    return folder


def write_corpus(file: Path, num_items: int, *, first: int) -> None:
    lines = []
    for number in range(first, first + num_items):
        for tag in LANGUAGES:
            values = {"a": number, "b": number % 7, "c": number + number % 7}
            row = {"item_id": f"i{number}", "language": tag, "prompt": WORDS[tag].format(**values | {"c": "?"})}
            lines.append(json.dumps(row | {"completion": WORDS[tag].format(**values), "answer": str(values["c"])}))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_model(folder: Path) -> None:
    """A random model with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>", chat_template=CHATML
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=259,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=256,
        initializer_range=0.4,
        tie_word_embeddings=False,
        pad_token_id=256,
        eos_token_id=256,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
