"""The estimate of `training.memory` against measured peaks of resident memory, and against counted bytes of tensors.

    python benchmarks/memory.py [--out memory.jsonl] [--only qwen3]
    python benchmarks/memory.py --gpu [--out counted.jsonl]

Every line is a process of its own that trains a random model of one architecture for two steps with the native trainer
on one core. The peak is that of the process (VmHWM); "beyond the runtime" leaves out what Python and its libraries
take, which otherwise hides the error for small models. Takes about four minutes. Cases that `--out` holds already are
not computed again.

`--gpu` counts the bytes of the tensors in a training step as a GPU makes it, of four layers of models of the presets in
their real size, two micro-batches of 4,096 tokens, with tensors that have no memory (tests/support/counted_memory.py).
It needs no GPU, and shows nothing of what a GPU itself takes: runtime, workspaces, and what is lost between
allocations. About two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

TOKENS = 4096
SIZES = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
KINDS = ("qwen3", "gemma3", "cohere", "llama")
LARGE = {"vocab_size": 32_768, "num_hidden_layers": 2}
CASES = [
    *({"architecture": kind, "method": method} for kind in KINDS for method in ("full", "lora")),
    *({"architecture": kind, "method": "full", "checkpointing": True} for kind in KINDS),
    *({"architecture": kind, "method": "full", "changes": LARGE} for kind in ("gemma3", "llama")),
    *({"architecture": kind, "method": method, "retained": True} for kind in KINDS for method in ("full", "lora")),
]
CASES += [{"architecture": kind, "method": "full", "low": low} for kind in KINDS[:2] for low in ("moments", "both")]
SETTINGS = {
    "moments": {"optimizer_state": "8-bit"},
    "both": {"optimizer_state": "8-bit", "weight_precision": "bfloat16", "precision": "auto"},
}
LOW_WORDS = {"": "", "moments": ", 8-bit moments", "both": ", 8-bit moments, bfloat16 weights"}
CASES += [{"architecture": kind, "method": "lora", "retained": True, "together": 4} for kind in KINDS]
LENGTH = 128
COUNTED = ("Qwen/Qwen3-0.6B-Base", "google/gemma-3-1b-pt", "CohereLabs/aya-23-8B", "meta-llama/Llama-3.1-8B")
TOGETHER = ((COUNTED[0], 4), (COUNTED[0], 8), (COUNTED[1], 4))


def return_freed_memory() -> None:
    """Large tensors are mapped and unmapped, so that resident memory is what is in use."""
    from crosslift.training.trainers.native import hardware

    hardware.return_freed_memory()
    hardware.retain_freed_memory = lambda: None


def build(folder: Path, kind: str, changes: dict[str, int]) -> dict[str, Any]:
    """Write a random model with the tokenizer of a pocket model; returns its configuration."""
    from transformers import (
        AutoTokenizer,
        CohereConfig,
        CohereForCausalLM,
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    from crosslift.pocket import checkpoints

    sizes = SIZES | changes
    model, config = {
        "qwen3": (Qwen3ForCausalLM, lambda: Qwen3Config(**sizes, head_dim=64, tie_word_embeddings=True)),
        "gemma3": (Gemma3ForCausalLM, lambda: Gemma3TextConfig(**sizes, head_dim=64, sliding_window=64)),
        "cohere": (CohereForCausalLM, lambda: CohereConfig(**sizes)),
        "llama": (LlamaForCausalLM, lambda: LlamaConfig(**sizes, tie_word_embeddings=False)),
    }[kind]
    model(config()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(checkpoints.folder(checkpoints.names()[0])).save_pretrained(folder)
    return json.loads((folder / "config.json").read_text())


def examples(mean_length: int, num: int, vocabulary: int) -> Any:
    """Random tokens; half of each example is the prompt."""
    import numpy as np

    from crosslift.training.trainer import TokenTable

    lengths = np.full(num, mean_length)
    return TokenTable(
        ids=np.random.default_rng(0).integers(2, vocabulary, lengths.sum()).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        prompt_lengths=(lengths // 2).astype(np.int32),
        completion_bytes=lengths.astype(np.int32),
        languages=("en",),
        language=np.zeros(num, np.int16),
        tasks=("math",),
        task=np.zeros(num, np.int16),
    )


def child(case: dict[str, Any]) -> None:
    """Train one case and print estimate and peak, in bytes."""
    import peft  # noqa: F401
    import transformers.models.auto  # noqa: F401

    if not case.get("retained"):
        return_freed_memory()
    from crosslift.training.activations import Workload
    from crosslift.training.architecture import read_architecture
    from crosslift.training.memory import estimate
    from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
    from crosslift.training.trainers.native import train, train_together

    with tempfile.TemporaryDirectory() as place:
        built = subprocess.run(
            [sys.executable, __file__, "--build", place, json.dumps(case)], check=True, capture_output=True, text=True
        )
        number = TOKENS // LENGTH
        settings: dict[str, Any] = {"precision": "float32"} | SETTINGS.get(case.get("low", ""), {})
        if "low" in case:
            import torchao  # noqa: F401
        config = SFTConfig(
            steps=2,
            learning_rate=1e-4,
            batch_examples=2 * number,
            micro_batch_tokens=TOKENS,
            max_length=LENGTH,
            validate_every=0.0,
            **settings,
            method=case["method"],
            lora=LoRAConfig() if case["method"] == "lora" else None,
            gradient_checkpointing=case.get("checkpointing", False),
        )
        together = case.get("together", 1)
        if together > 1:
            config = replace(config, batch_examples=2 * number // together)
        request = TrainingRequest(
            model=place,
            revision=None,
            config=config,
            examples=examples(LENGTH, 4 * number, 2048),
            validation=None,
            seed=0,
            folder=Path(place) / "run",
        )
        architecture = read_architecture(json.loads(built.stdout))
        assert architecture is not None
        load = Workload(tokens=TOKENS, loss_tokens=TOKENS // 2, mean_length=LENGTH, accumulates=True)
        retains = case.get("retained", False)
        found = estimate(architecture, config, load=load, device="cpu", retains=retains, together=together)
        from transformers import AutoModelForCausalLM, PreTrainedModel  # noqa: F401

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if together == 1:
            train(request)
        else:
            asked = [replace(request, folder=Path(place) / f"run-{seed}", seed=seed) for seed in range(together)]
            reason = train_together(asked, lambda index, result: None)
            assert reason is None, reason
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            json.dumps(
                {
                    "estimate": found.total,
                    "runtime": found.runtime,
                    "before": before,
                    "peak": peak,
                    "parts": found.parts(),
                    "loading": found.loading,
                }
            )
        )


def count(case: dict[str, Any]) -> None:
    """Count one case and print estimate and peak, in bytes."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
    import tomllib

    import numpy as np
    from counted_memory import counted_peak, counted_peak_together

    from crosslift.studies.planning import devices
    from crosslift.training.activations import Workload
    from crosslift.training.architecture import read_architecture
    from crosslift.training.memory import estimate
    from crosslift.training.trainer import LoRAConfig, SFTConfig

    known = tomllib.loads((Path(devices.__file__).parent / "architectures.toml").read_text(encoding="utf-8"))
    settings = known[case["model"]] | {"num_hidden_layers": 4}
    together, tokens, length = case.get("together", 1), TOKENS, 256
    number = 2 * tokens // length // together
    config = SFTConfig(
        steps=2, learning_rate=1e-4, batch_examples=number, micro_batch_tokens=tokens, max_length=length,
        method=case["method"], lora=LoRAConfig() if case["method"] == "lora" else None, validate_every=0.0,
        gradient_checkpointing=case["checkpointing"],
    )  # fmt: skip
    lengths = np.full(2 * number, length)
    with tempfile.TemporaryDirectory() as place:
        if together == 1:
            peak = counted_peak(Path(place), settings, config, lengths=lengths)
        else:
            peak = counted_peak_together(Path(place), settings, config, lengths=lengths, number=together)
    architecture = read_architecture(settings)
    assert architecture is not None
    load = Workload(tokens=tokens, loss_tokens=tokens, mean_length=length, accumulates=True)
    found = estimate(replace(architecture, stored_bytes=2), config, load=load, device="cuda", together=together)
    print(json.dumps({"estimate": found.total - found.runtime, "peak": peak}))


def counted_cases() -> list[dict[str, Any]]:
    """The cases of `--gpu`."""
    cases: list[dict[str, Any]] = [
        {"model": model, "method": method, "checkpointing": checkpointing}
        for model in COUNTED
        for method in ("full", "lora")
        for checkpointing in (False, True)
    ]
    return cases + [
        {"model": model, "method": "lora", "checkpointing": False, "together": number} for model, number in TOGETHER
    ]


def figures(case: dict[str, Any], option: str, out: Path | None) -> dict[str, Any]:
    """What a process of its own finds for a case, or has found before."""
    lines = out.read_text().splitlines() if out is not None and out.exists() else []
    for line in map(json.loads, lines):
        if line["case"] == case:
            return dict(line["found"])
    command = [sys.executable, __file__, option, json.dumps(case)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if out is not None:
        with out.open("a") as file:
            file.write(json.dumps({"case": case, "found": found}) + "\n")
    return found


def yes_or_no(value: object) -> str:
    """In words."""
    return "yes" if value else "no"


def print_counted(out: Path | None) -> None:
    """Print the table of `--gpu`."""
    print("| model | method | checkpointing | runs together | estimate, MB | counted, MB | error |")
    print("|---|---|---|---:|---:|---:|---:|")
    for case in counted_cases():
        found = figures(case, "--count", out)
        print(
            f"| {case['model'].split('/')[1]} | {case['method']} | {yes_or_no(case['checkpointing'])} "
            f"| {case.get('together', 1)} | {found['estimate'] / 1e6:.0f} | {found['peak'] / 1e6:.0f} "
            f"| {found['estimate'] / found['peak'] - 1:+.1%} |",
            flush=True,
        )


def print_measured(only: str | None, out: Path | None, *, low: bool) -> None:
    """Print the table of measured peaks."""
    print(
        "| model | method | checkpointing | runs together | retains freed memory | estimate, MB | measured, MB | error "
        "| error beyond the runtime |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        if (only and case["architecture"] != only) or (low and "low" not in case):
            continue
        found = figures(case, "--case", out)
        beyond = (found["estimate"] - found["runtime"]) / (found["peak"] - found["before"]) - 1
        label = case["architecture"] + (", large vocabulary" if case.get("changes") else "")
        label += LOW_WORDS[case.get("low", "")]
        print(
            f"| {label} | {case['method']} | {yes_or_no(case.get('checkpointing'))} | {case.get('together', 1)} "
            f"| {yes_or_no(case.get('retained'))} | {found['estimate'] / 1e6:.0f} | {found['peak'] / 1e6:.0f} "
            f"| {found['estimate'] / found['peak'] - 1:+.0%} | {beyond:+.0%} |",
            flush=True,
        )


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", nargs=2, metavar=("FOLDER", "CASE"), help=argparse.SUPPRESS)
    arguments.add_argument("--case", help=argparse.SUPPRESS)
    arguments.add_argument("--count", help=argparse.SUPPRESS)
    arguments.add_argument("--only", help="only cases of this architecture")
    arguments.add_argument("--low", action="store_true", help="only cases with 8-bit moments or bfloat16 weights")
    arguments.add_argument("--gpu", action="store_true", help="count the tensors of a step on a GPU")
    arguments.add_argument("--out", type=Path, help="keep the figures in this file, and read those that it holds")
    given = arguments.parse_args()
    if given.build:
        case = json.loads(given.build[1])
        print(json.dumps(build(Path(given.build[0]), case["architecture"], case.get("changes", {}))))
    elif given.case:
        child(json.loads(given.case))
    elif given.count:
        count(json.loads(given.count))
    elif given.gpu:
        print_counted(given.out)
    else:
        print_measured(given.only, given.out, low=given.low)


if __name__ == "__main__":
    main()
