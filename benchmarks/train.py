"""How long does a run of supervised fine-tuning take, beside TRL's SFTTrainer?

    python benchmarks/train.py [--size 1.0] [--runs 2] [--out train.json]

The run: a Qwen3 of a million parameters, 4,000 math items of the pocket world (half English, half Spanish), two epochs,
batch 32, learning rate 5e-4 falling linearly after ten steps of warm-up. Whole processes are timed, from the start of
Python over imports, tokenisation and training to the saved checkpoint.

TRL trains padded and packed, in bfloat16 (its default) and float32, each alone with all cores. Crosslift trains as
`crosslift run` does on two cores: two workers of one thread side by side, each making `--runs` runs one after another;
its time per run is the time of both divided by the number of runs. To tell what of the ratio comes from this way of
working, TRL's faster variant is run side by side, too, which nothing in TRL does by itself; both ratios are printed.

Final models are compared on the same held-out items, by their mean loss per completion token.
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

NUM_ITEMS = 4000
NUM_HELD_OUT = 400
EPOCHS = 2
BATCH = 32
RATE = 5e-4
WARMUP = 10
LANGUAGES = ("en", "es")
MAX_LENGTH = 256


# ------------------------------------------------------------------------------------------------------- the work


def prepare(folder: Path, size: float) -> None:
    """Items as JSON lines, and a random model with a tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    from crosslift.corpora.corpus import Source
    from crosslift.corpora.readers.general import pocket

    def items(split: str, number: int) -> list[dict[str, Any]]:
        source = Source(
            name="math",
            reader="pocket",
            task="math",
            split=split,
            languages=LANGUAGES,
            max_items=number // len(LANGUAGES),
        )
        return pocket.read(source).rows.select("language", "messages").to_dicts()

    corpora = {"train": items("train", int(NUM_ITEMS * size)), "held-out": items("test", NUM_HELD_OUT)}
    for name, rows in corpora.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    core.train_from_iterator(
        (message["content"] for row in corpora["train"] for message in row["messages"]),
        trainers.BpeTrainer(
            vocab_size=1500, special_tokens=control, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer.save_pretrained(folder / "base")
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=MAX_LENGTH,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    model.save_pretrained(folder / "base")


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


# -------------------------------------------------------------------------------------------------- the two sides


def train_crosslift(folder: Path, outputs: list[Path]) -> None:
    import numpy as np

    from crosslift.chat import encode_examples, load_tokenizer
    from crosslift.training.trainer import SFTConfig, TokenTable, TrainingRequest
    from crosslift.training.trainers.native import train

    rows = read(folder, "train")
    encoded = encode_examples(load_tokenizer(folder / "base"), [row["messages"] for row in rows])
    examples = TokenTable(
        ids=encoded.ids,
        offsets=encoded.offsets,
        prompt_lengths=encoded.prompt_lengths,
        completion_bytes=encoded.completion_bytes,
        languages=LANGUAGES,
        language=np.array([LANGUAGES.index(row["language"]) for row in rows], np.int16),
        tasks=("math",),
        task=np.zeros(len(rows), np.int16),
    )
    for seed, output in enumerate(outputs):
        config = SFTConfig(
            epochs=EPOCHS,
            learning_rate=RATE,
            schedule="linear",
            warmup_share=WARMUP / (EPOCHS * -(-len(rows) // BATCH)),
            batch_examples=BATCH,
            max_length=MAX_LENGTH,
        )
        trained = train(
            TrainingRequest(
                model=str(folder / "base"),
                revision=None,
                config=config,
                examples=examples,
                validation=None,
                seed=seed,
                folder=output,
            )
        )
        print(json.dumps({"steps": trained.num_steps, "precision": trained.precision, "tokens": trained.num_tokens}))


def train_trl(folder: Path, outputs: list[Path], *, packing: bool, bf16: bool) -> None:
    import transformers
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    transformers.logging.set_verbosity_error()
    rows = read(folder, "train")
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    dataset = Dataset.from_list([{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in rows])
    batch = BATCH
    if packing:  # as many rows as hold about 32 examples
        texts = [tokenizer.apply_chat_template(row["messages"], tokenize=False) for row in rows[:200]]
        batch = max(1, round(BATCH * sum(map(len, tokenizer(texts)["input_ids"])) / len(texts) / MAX_LENGTH))
    for seed, output in enumerate(outputs):
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder / "base", dtype="float32"),
            args=SFTConfig(
                output_dir=str(output),
                per_device_train_batch_size=batch,
                num_train_epochs=EPOCHS,
                learning_rate=RATE,
                lr_scheduler_type="linear",
                warmup_steps=WARMUP,
                weight_decay=0.0,
                max_grad_norm=1.0,
                logging_steps=1000,
                save_strategy="no",
                report_to=[],
                bf16=bf16,
                use_cpu=True,
                packing=packing,
                max_length=MAX_LENGTH,
                completion_only_loss=True,
                loss_type="nll",
                gradient_checkpointing=False,
                disable_tqdm=True,
                seed=seed,
            ),
            train_dataset=dataset,
            processing_class=tokenizer,
        )
        trainer.train()
        trainer.model.save_pretrained(output / "checkpoint")
        print(json.dumps({"steps": trainer.state.global_step, "precision": "bfloat16" if bf16 else "float32"}))


def held_out_loss(folder: Path, checkpoint: Path) -> float:
    """Nats per completion token, by the model's own forward, one item at a time, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    from crosslift.chat import encode_example, load_tokenizer

    tokenizer = load_tokenizer(folder / "base")
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    total, tokens = 0.0, 0
    for row in read(folder, "held-out"):
        example = encode_example(tokenizer, row["messages"])
        ids = torch.tensor([example.prompt + example.completion])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(example.prompt) - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, ids[0, len(example.prompt) :], reduction="sum").item()
        tokens += len(example.completion)
    return total / tokens


# ---------------------------------------------------------------------------------------------------- measurement

VARIANTS = {
    "crosslift": {},
    "trl padded": {"packing": False, "bf16": True},
    "trl packed": {"packing": True, "bf16": True},
    "trl padded float32": {"packing": False, "bf16": False},
    "trl packed float32": {"packing": True, "bf16": False},
}


def start(folder: Path, variant: str, outputs: list[Path], threads: int) -> subprocess.Popen[str]:
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, __file__, "--worker", variant, str(folder), *map(str, outputs)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measure(folder: Path, variant: str, *, processes: int, runs: int, threads: int) -> dict[str, Any]:
    """Seconds per run of whole processes, and the loss of every model that came of them."""
    name = f"{variant}, {processes} x {threads} thread{'s' if threads > 1 else ''}"
    outputs = [[folder / "out" / name / f"{i}.{j}" for j in range(runs)] for i in range(processes)]
    began = time.monotonic()
    started = [start(folder, variant, one, threads) for one in outputs]
    texts = [process.communicate() for process in started]
    seconds = time.monotonic() - began
    for process, (_, errors) in zip(started, texts, strict=True):
        if process.returncode:
            raise SystemExit(f"{name} failed:\n{errors[-3000:]}")
    losses = [held_out_loss(folder, output / "checkpoint") for one in outputs for output in one]
    said = json.loads(texts[0][0].splitlines()[-1])
    result = {"name": name, "seconds_per_run": seconds / processes / runs, "losses": losses, **said}
    shown = " ".join(f"{loss:.3f}" for loss in losses)
    details = f"{said['steps']} steps {said['precision']}  held-out loss {shown}"
    print(f"{name:40} {result['seconds_per_run']:7.1f} s per run  {details}", flush=True)
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=float, default=1.0, help="share of the items")
    arguments.add_argument("--runs", type=int, default=2, help="runs that a worker makes one after another")
    arguments.add_argument("--only", nargs="*", default=list(VARIANTS), help="variants to run")
    arguments.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = arguments.parse_args()
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    cores = len(os.sched_getaffinity(0))
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, given.size)
        print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, {int(NUM_ITEMS * given.size)} items, {EPOCHS} epochs")
        trl = [variant for variant in given.only if variant.startswith("trl")]
        for variant in trl:
            results.append(measure(folder, variant, processes=1, runs=1, threads=cores))
        if trl:
            faster = trl[min(range(len(trl)), key=lambda i: results[i]["seconds_per_run"])]
            results.append(measure(folder, faster, processes=2, runs=1, threads=max(1, cores // 2)))
        if "crosslift" in given.only:
            alone = measure(folder, "crosslift", processes=1, runs=1, threads=cores)
            pair = measure(folder, "crosslift", processes=2, runs=given.runs, threads=max(1, cores // 2))
            results += [alone, pair]
            for one in (results[trl.index(faster)], results[len(trl)]) if trl else ():
                ratio = one["seconds_per_run"] / pair["seconds_per_run"]
                print(f"crosslift is {ratio:.2f} times as fast as TRL's best, {one['name']}")
    if given.out:
        given.out.write_text(json.dumps({"size": given.size, "cores": cores, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        variant, place, *where = sys.argv[2:]
        paths = [Path(path) for path in where]
        if variant == "crosslift":
            train_crosslift(Path(place), paths)
        else:
            train_trl(Path(place), paths, **VARIANTS[variant])
    else:
        main()
