"""What do moments in 8 bits and weights in bfloat16 cost and save?

    python benchmarks/low_memory.py [--base qwen3-m] [--steps 40] [--rates 1e-3 1e-5] [--seeds 2]

Full fine-tuning of a pocket model on 2,000 math items of the pocket world (English and Spanish), with the trainer
`native` on one core. For each setting: bytes of weights, gradients and moments per parameter, counted from the tensors
in the first step; the loss on 300 held-out items after the last step, mean over seeds, and its difference from float32;
processor time per step. "To nearest" is no setting of a study: it shows what stochastic rounding is for, with the same
optimizer and a noise of exactly one half.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from adapters import LANGUAGES

LOW = {"weight_precision": "bfloat16"}
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "moments in 8 bits": {"optimizer_state": "8-bit"},
    "weights in bfloat16": LOW,
    "both": {"optimizer_state": "8-bit", **LOW},
    "weights in bfloat16, rounded to nearest": LOW,
}


def table(base: str, split: str, number: int) -> Any:
    """The first items of a split, tokenised."""
    import numpy as np

    from crosslift.chat import encode_examples, load_tokenizer
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.readers.general import pocket
    from crosslift.training.trainer import TokenTable

    source = Source(
        name="math", reader="pocket", task="math", split=split, languages=LANGUAGES, max_items=number // len(LANGUAGES)
    )
    rows = pocket.read(source).rows.select("language", "messages").to_dicts()
    encoded = encode_examples(load_tokenizer(base), [row["messages"] for row in rows])
    return TokenTable(
        ids=encoded.ids,
        offsets=encoded.offsets,
        prompt_lengths=encoded.prompt_lengths,
        completion_bytes=encoded.completion_bytes,
        languages=LANGUAGES,
        language=np.array([LANGUAGES.index(row["language"]) for row in rows], np.int16),
        tasks=("math",),
        task=np.zeros(len(rows), np.int16),
    )


def run(name: str, rate: float, seed: int, given: argparse.Namespace, data: tuple[Any, Any]) -> dict[str, float]:
    """Train once; returns bytes per parameter, final validation loss and seconds per step."""
    import polars as pl
    import torch

    from crosslift.pocket import checkpoints
    from crosslift.training.trainer import SFTConfig, TrainingRequest
    from crosslift.training.trainers.native import train
    from crosslift.training.trainers.native.optimization import optimizer as of_run
    from crosslift.training.trainers.native.optimization.rounding import RoundingNoise

    held: list[float] = []

    def update(optimizer: Any, weights: list[Any], **settings: Any) -> None:
        bytes_before = sum(one.nbytes + one.grad.nbytes for one in weights)
        plain(optimizer, weights, **settings)
        if not held:
            state = [one for weight in weights for one in optimizer.state[weight].values() if torch.is_tensor(one)]
            held.append((bytes_before + sum(one.nbytes for one in state)) / sum(one.numel() for one in weights))

    def half(self: Any, name: str, step: int, number: int, shape: Any, device: Any) -> Any:
        return torch.full(shape, 1 << 15, dtype=torch.int32, device=device)

    drawn, plain = RoundingNoise.chunk, of_run.update
    config = SFTConfig(
        steps=given.steps, learning_rate=rate, batch_examples=32, max_length=256, warmup_share=0.1, **SETTINGS[name]
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(of_run, "update", update),
        patch.object(RoundingNoise, "chunk", half if "nearest" in name else drawn),
    ):
        request = TrainingRequest(
            model=str(checkpoints.folder(given.base)),
            revision=None,
            config=config,
            examples=data[0],
            validation=data[1],
            seed=seed,
            folder=Path(folder) / "run",
            device="cpu",
            save_seconds=1e9,
        )
        began = time.process_time()
        train(request)
        seconds = time.process_time() - began
        rows = pl.read_parquet(request.folder / "metrics.parquet").filter(split="validation", language="all")
    return {"bytes": held[0], "loss": float(rows["loss"][-1]), "seconds": seconds / given.steps}


def main() -> None:
    """Print the table."""
    import torch

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--base", default="qwen3-m")
    arguments.add_argument("--steps", type=int, default=40)
    arguments.add_argument("--rates", type=float, nargs="+", default=[1e-3, 1e-5])
    arguments.add_argument("--seeds", type=int, default=2)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    from crosslift.pocket import checkpoints

    base = str(checkpoints.folder(given.base))
    data = table(base, "train", 2000), table(base, "test", 300)
    print("| learning rate | setting | bytes per parameter | loss | difference from float32 | seconds per step |")
    print("|---|---|---|---|---|---|")
    for rate in given.rates:
        plain: list[float] = []
        for name in SETTINGS:
            found = [run(name, rate, seed, given, data) for seed in range(given.seeds)]
            losses = [one["loss"] for one in found]
            plain = plain or losses
            apart = [loss - other for loss, other in zip(losses, plain, strict=True)]
            print(
                f"| {rate:g} | {name} | {found[0]['bytes']:.2f} | {sum(losses) / len(losses):.4f} "
                f"| {'' if name == 'float32' else f'{sum(apart) / len(apart):+.4f}'} "
                f"| {min(one['seconds'] for one in found):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
