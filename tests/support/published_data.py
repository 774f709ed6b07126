"""Small local folders in the formats of the published data sets, and tiny random models of the presets' kinds."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from crosslift.corpora.readers.texts.xlsum import NAMES

MATH = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
CORE = ("en", "es", "ja", "bn", "sw", "fr", "de", "ru", "zh", "th")
SEEN = ("en", "es", "fr", "ja", "zh")
NUM_MCOT = 216  # the first 200 are the presets' validation split


def write_data(folder: Path) -> None:
    """All that either preset asks for, as `crosslift data` would have made it."""
    write_sources(folder)
    for split in ("train", "validation", "test"):
        for tag in (*CORE, "te"):
            _lines(folder / "api-bank" / split / f"{tag}.jsonl", [_call(number, tag) for number in range(10)])
    for tag in ("ar", "ko", "pt"):
        _lines(folder / "mgsm-translated" / "test" / f"{tag}.jsonl", [_sum(number, tag) for number in range(1, 9)])
        examples = [_sum(number, tag) | {"item_id": f"mgsm-exemplar-{number}"} for number in range(1, 9)]
        _lines(folder / "mgsm-translated" / "examples" / f"{tag}.jsonl", examples)
    for split in ("train", "validation"):
        for tag in SEEN:
            said = [
                {"item_id": f"s{n}", "prompt": f"{tag}: say {n}", "completion": f"{n}, gladly.", "answer": f"{n}"}
                for n in range(10)
            ]
            _lines(folder / "instructions" / split / f"{tag}.jsonl", said)


def write_sources(folder: Path) -> None:
    """What is published: the files of the releases, with a few items where any number will do."""
    _mcot(folder / "mcot")
    _mgsm(folder / "mgsm")
    write_api_bank(folder / "api_bank")
    write_sharegpt(folder / "sharegpt.json")
    for tag, name in NAMES.items():
        for split in ("train", "validation", "test"):
            texts = [f"{name} {split} {number} happened. More on that." for number in range(10)]
            file = folder / "xlsum" / name / split / "0000.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame(
                {"id": texts, "text": texts, "summary": [f"{tag} {n} happened." for n in range(10)]}
            ).write_parquet(file)
    codes = {"en": "eng", "es": "spa", "fr": "fra", "ja": "jpn", "zh": "zho", "ar": "arb", "ko": "kor", "pt": "por"}
    rows = [
        {
            "source_id": number,
            "inputs": f"{code} {number}?",
            "targets": "An answer.",
            "language": code,
            "script": script,
        }
        for tag, code in codes.items()
        for number in range(8)
        for script in [{"zh": "Hans", "ar": "Arab"}.get(tag, "Latn")]
    ]
    file = folder / "dolly" / "dolly_machine_translated" / "test-00000-of-00001.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(file)


def _mcot(folder: Path) -> None:
    rows = [
        {"lang-id": f"{tag}-{number}", "question": f"{tag}: {number} and 1?", "answer": f"It is {number + 1}."}
        for number in range(NUM_MCOT)
        for tag in MATH
    ]
    _lines(folder / "mcot_math.json", rows)


def _mgsm(folder: Path) -> None:
    for tag in MATH:
        _write(folder / f"mgsm_{tag}.tsv", "".join(f"{tag}: {number} and 2?\t{number + 2}\n" for number in range(250)))
    shown = {str(n): {"q": f"Question: {n} and 1?", "a": f"Step-by-Step Answer: It is {n + 1}."} for n in range(1, 9)}
    exemplars = {"EXEMPLAR_NUMBER_ANSWERS": list(range(2, 10)), "MGSM_EXEMPLARS": dict.fromkeys(MATH, shown)}
    _write(folder / "exemplars.json", json.dumps(exemplars))


def write_api_bank(folder: Path, *, num_train: int = 40) -> None:
    """The test file of level 1 with its 399 items, two of a dialogue, and the training file of level 1."""
    test = []
    for number in range(399):
        name = f"Remind{number % 49}"
        test.append(
            {
                "file": f"{name}-level-1-{number // 2}.jsonl",
                "id": number % 2,
                "instruction": INSTRUCTION + _description(name, "name", "input_parameters"),
                "input": f"User: Can you please set a reminder for my meeting on 2023-03-{1 + number % 28:02d}?\n"
                "AI: Sure, please tell me the topic of the meeting.\nUser: It is about the health check.\n"
                "Generate API Request:\n",
                "expected_output": f"API-Request: [{name}(day='2023-03-{1 + number % 28:02d}', topic='health check')]",
            }
        )
    train = []
    for number in range(num_train):
        name = f"Book{number // 2}"
        train.append(
            {
                "instruction": INSTRUCTION,
                "input": f"{_description(name, 'apiCode', 'parameters')}\n"
                f"User: I want to book {3 + number // 2} tickets, please.\nAI: For which day?\nUser: For Monday.\n"
                + (
                    f"API-Request: [{name}(number={3 + number // 2})]->success\nAI: Done.\nUser: Again.\n"
                    * (number % 2)
                )
                + "Generate API Request: ",
                "output": f"API-Request: [{name}(number={3 + number // 2}, day='monday morning')]",
            }
        )
    train.append({"instruction": INSTRUCTION, "input": "User: Hello.\n", "output": "No call is needed."})
    _write(folder / "level-1-api.json", json.dumps(test))
    _write(folder / "lv1-api-train.json", json.dumps(train))


INSTRUCTION = (
    "\nGenerate an API request in the format of [ApiName(key1='value1', key2='value2', ...)] based on the previous "
    "dialogue context.\nThe current year is 2023.\nAPI descriptions:\n"
)


def _description(name: str, key: str, parameters: str) -> str:
    text = {"type": "str", "description": "The day."}
    return json.dumps({key: name, "description": "Does something.", parameters: {"day": text}})


def write_sharegpt(file: Path, *, number: int = 40) -> None:
    """Conversations; every tenth is the second half of one and begins with an answer."""
    rows = [
        {
            "id": f"talk{number}_0",
            "conversations": [
                {"from": "gpt", "value": "The rest of an answer."}
                if number % 10 == 9
                else {
                    "from": "human",
                    "value": f"Please explain to me in simple words how a garden grows, part {number}.",
                },
                {"from": "gpt", "value": "An answer that is not used."},
            ],
        }
        for number in range(number)
    ]
    _write(file, json.dumps(rows))


def _call(number: int, tag: str) -> dict[str, str]:
    call = f"[Remind(day='{number}')]"
    row = {"item_id": f"call-{number}", "prompt": f"{tag}: remind me on {number}", "cluster": f"talk-{number // 2}"}
    return row | {"completion": f"API-Request: {call}", "answer": call}


def _sum(number: int, tag: str) -> dict[str, str]:
    row = {"item_id": f"mgsm-{number:04d}", "prompt": f"{tag}: {number} and 2?"}
    return row | {"completion": f"It is {number + 2}.", "answer": str(number + 2)}


def _lines(file: Path, rows: list[dict[str, str]]) -> None:
    _write(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def write_models(folder: Path) -> None:
    """Qwen3, Gemma 3 (text only, and with a vision tower as the 4B has one), Cohere2 and Llama, of some ten thousand
    weights, in folders as the hub holds them."""
    import torch
    from tiny_study import CHATML
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        Cohere2Config,
        Cohere2ForCausalLM,
        Gemma3Config,
        Gemma3ForCausalLM,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    size = {
        "vocab_size": 262,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "pad_token_id": 256,
        "bos_token_id": 256,
        "eos_token_id": 256,
    }
    sliding = {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
    gemma = size | sliding | {"head_dim": 8}
    seeing = Gemma3Config(
        text_config=gemma,
        vision_config={
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=1,
        image_token_index=259,
        boi_token_index=260,
        eoi_token_index=261,
    )
    built = {
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**size, head_dim=8)),
        "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**gemma)),
        "gemma3-vision": lambda: Gemma3ForConditionalGeneration(seeing),
        "cohere2": lambda: Cohere2ForCausalLM(Cohere2Config(**size, **sliding)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**size)),
    }
    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for name, build in built.items():
        torch.manual_seed(0)
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>", chat_template=CHATML
        ).save_pretrained(folder / name)
        build().save_pretrained(folder / name)
