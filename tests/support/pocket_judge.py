"""A pocket model that was trained to judge: it rates an answer with "good" in it 4, and any other 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from crosslift.chat import load_tokenizer
from crosslift.corpora.corpus import ROWS
from crosslift.discover import member
from crosslift.evaluation.task import task
from crosslift.execution.phases import tokens
from crosslift.judging import forms
from crosslift.pocket.checkpoints import folder as checkpoint
from crosslift.training.trainer import SFTConfig, TrainingRequest

MODEL = "gemma3-s"
NUM_EXAMPLES = 192


def verdict(answer: str) -> str:
    return f"It is fair.\nRating: {4 if 'good' in answer else 2}"


def prompt(request: str, answer: str) -> str:
    fields = {"language": "English", "request": request, "answer": answer}
    return forms.filled(forms.rating_prompt("short", Path()), fields)


def train_judge(folder: Path, answers: tuple[str, str]) -> Path:
    """Train on requests for sums with one of two answers. Returns the folder of the checkpoint."""
    rows = []
    for number in range(NUM_EXAMPLES):
        answer = answers[number % 2]
        said = verdict(answer)
        messages = [
            {"role": "user", "content": prompt(f"{number // 2} + 1?", answer)},
            {"role": "assistant", "content": said},
        ]
        rows.append({"item_id": str(number), "language": "en", "messages": messages, "answer": said,
                     "cluster": str(number), "origin": "grammar"})  # fmt: skip
    base = checkpoint(MODEL)
    table = pl.DataFrame(rows, schema=ROWS)
    found = tokens.tokenise(
        table, corpus="lesson", task=task("open_ended"), prompt="bare", tokenizer=load_tokenizer(base)
    )
    zeros = np.zeros(table.height, dtype=np.int64)
    examples = tokens.gather(
        [found], corpus=zeros, row=np.arange(table.height), language=zeros, languages=("en",), task=zeros,
        tasks=("open_ended",),
    )  # fmt: skip
    config = SFTConfig(epochs=2, learning_rate=3e-3, batch_examples=8, max_length=1024)
    member("trainer", "native").train(
        TrainingRequest(
            model=str(base), revision=None, config=config, examples=examples, validation=None, seed=0, folder=folder
        )
    )
    return folder / "checkpoint"
