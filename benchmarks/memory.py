"""The estimate of `training.memory` against measured peaks of resident memory: `python benchmarks/memory.py`.

Every line is a process of its own that trains a random model of one architecture for two steps with the native trainer
on one core. The peak is that of the process (VmHWM); "beyond the runtime" leaves out what Python and its libraries
take, which otherwise hides the error for small models. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
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
LENGTH = 128


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
    from crosslift.training.memory import Workload, estimate, read_architecture
    from crosslift.training.trainer import LoRAConfig, SFTConfig, TrainingRequest
    from crosslift.training.trainers.native import train

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
        found = estimate(architecture, config, load=load, device="cpu", retains=case.get("retained", False))
        from transformers import AutoModelForCausalLM, PreTrainedModel  # noqa: F401

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        train(request)
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


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", nargs=2, metavar=("FOLDER", "CASE"), help=argparse.SUPPRESS)
    arguments.add_argument("--case", help=argparse.SUPPRESS)
    arguments.add_argument("--only", help="only cases of this architecture")
    arguments.add_argument("--low", action="store_true", help="only cases with 8-bit moments or bfloat16 weights")
    given = arguments.parse_args()
    if given.build:
        case = json.loads(given.build[1])
        print(json.dumps(build(Path(given.build[0]), case["architecture"], case.get("changes", {}))))
        return
    if given.case:
        child(json.loads(given.case))
        return
    print(
        "| model | method | checkpointing | retains freed memory | estimate, MB | measured, MB | error "
        "| error beyond the runtime |"
    )
    print("|---|---|---|---|---|---|---|---|")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for case in CASES:
        if (given.only and case["architecture"] != given.only) or (given.low and "low" not in case):
            continue
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found = json.loads(done.stdout.splitlines()[-1])
        beyond = (found["estimate"] - found["runtime"]) / (found["peak"] - found["before"]) - 1
        label = case["architecture"] + (", large vocabulary" if case.get("changes") else "")
        label += {"moments": ", 8-bit moments", "both": ", 8-bit moments, bfloat16 weights"}.get(
            case.get("low", ""), ""
        )
        print(
            f"| {label} | {case['method']} | {'yes' if case.get('checkpointing') else 'no'} "
            f"| {'yes' if case.get('retained') else 'no'} "
            f"| {found['estimate'] / 1e6:.0f} | {found['peak'] / 1e6:.0f} "
            f"| {found['estimate'] / found['peak'] - 1:+.0%} | {beyond:+.0%} |",
            flush=True,
        )
        if os.environ.get("PARTS"):
            print({k: round(v / 1e6) for k, v in found["parts"].items()}, round(found["before"] / 1e6), file=sys.stderr)


if __name__ == "__main__":
    main()
