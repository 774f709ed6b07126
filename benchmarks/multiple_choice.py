"""Multiple choice by crosslift and by lm-evaluation-harness: verdicts item by item, and speed, in one run.

    make harness                                             # installs the harness, runs its tests and this script
    python benchmarks/multiple_choice.py [ITEMS] [MODEL]     # writes docs/harness-agreement.md

Three tasks on items of the pocket world in three languages: full answers behind a story (as XCOPA), letters (as
Belebele), and answers behind "Answer:" (as MMLU by cloze). The harness runs its own Hugging Face model with its own
prompts from files; crosslift its task `multiple_choice` from its own corpus. Times are those of prompts, model and
scores, without loading; the harness's without the unconditional likelihoods that crosslift always computes.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from harness_tasks import pocket_rows, write_harness_tasks  # type: ignore[import-not-found]

from crosslift.corpora.corpus import Source
from crosslift.corpora.harness import load_task, version
from crosslift.evaluation.generators.hf import Generator, likelihood
from crosslift.evaluation.scoring import predict, score
from crosslift.evaluation.task import task
from crosslift.pocket import checkpoints

TAGS = ("en", "de", "sw")
TASKS = {"reading": "full", "letters": "letters", "next": "answer"}
NORMALISATIONS = {
    "acc": "accuracy",
    "acc_norm": "accuracy_characters",
    "acc_bytes": "accuracy_bytes",
    "acc_mutual_info": "accuracy_unconditional",
}
DOCS = Path(__file__).parents[1] / "docs"

HEAD = """# Agreement with lm-evaluation-harness

`python benchmarks/multiple_choice.py {items} {model}`: lm-evaluation-harness {version}, pocket model {model} in float32
on one thread, {items} items per task and language. "Same" counts items on which both are right or both are wrong;
"largest difference" is that of the log-probability of any choice.

| task | language | acc | same | acc_norm | same | acc_bytes | same | acc_mutual_info | same | largest difference |
|---|---|---|---|---|---|---|---|---|---|---|
"""
SPEED = """
## Speed

CPU seconds for all {cells} cells, without loading the model and the data. Batches of the harness: {batch}.

| | seconds | harness / this |
|---|---|---|
"""
FOOT = """
The harness computes the context again for each choice; crosslift computes it once, and the unconditional likelihoods
of `accuracy_unconditional` in addition. The row without shared contexts differs in nothing else.
"""


def rows_of(name: str, tag: str, items: int) -> pl.DataFrame:
    """The items in crosslift's form."""
    if name == "next":
        numbers = []
        for row in pocket_rows("math", tag, items):
            right = int(row["answer"])
            options = sorted({right, right + 1, right + 10, right * 2})
            answer = {"choices": [str(one) for one in options], "gold": options.index(right)}
            numbers.append(row | {"answer": json.dumps(answer)})
        return pl.DataFrame(numbers)
    return pl.DataFrame(pocket_rows("multiple_choice", tag, items))


def by_harness(model: Any, one: Any) -> list[dict[str, Any]]:
    from lm_eval.evaluator import evaluate

    found = evaluate(
        lm=model, task_dict={"tasks": {one.task_name: one}, "groups": {}, "group_map": {}}, bootstrap_iters=0
    )
    assert found is not None
    samples: list[dict[str, Any]] = found["samples"][one.task_name]
    return samples


def by_crosslift(generator: Generator, rows: pl.DataFrame, prompt: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    module = task("multiple_choice")
    predictions = predict(generator, module, rows, prompt=prompt)
    return predictions, score(module, predictions, run="", evaluation="", task_name="multiple_choice")


class Unshared(Generator):
    """The generator without shared contexts."""

    def log_likelihoods(self, requests: Any) -> Any:
        limits = likelihood.Limits(tokens=self._max_batch_tokens, logits=likelihood.MAX_LOGITS["cpu"])
        return likelihood.log_likelihoods(self.model, requests, limits, share=False)


def main(items: int = 100, name: str = "qwen3-m") -> None:
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    folder = checkpoints.folder(name)
    generator, unshared = Generator(folder, device="cpu"), Unshared(folder, device="cpu")
    batch = 32
    harness = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=batch)
    lines, seconds = [], {"crosslift": 0.0, "crosslift, contexts not shared": 0.0, "lm-evaluation-harness": 0.0}
    with tempfile.TemporaryDirectory() as place:
        tasks = write_harness_tasks(Path(place), TAGS, num_items=items)
        for kind, prompt in TASKS.items():
            options = {"harness_task": f"{kind}_{{language}}"}
            source = Source(
                name=kind, reader="lm_eval", task="lm_eval", split="test", languages=TAGS, path=tasks, options=options
            )
            for tag in TAGS:
                one, rows = load_task(source, tag), rows_of(kind, tag, items)
                theirs = by_harness(harness, one)
                predictions, scores = by_crosslift(generator, rows, prompt)
                cells = []
                for metric, own in NORMALISATIONS.items():
                    ours = scores.filter(metric=own)["value"].to_list()
                    wanted = [sample[metric] for sample in theirs]
                    same = sum(a == b for a, b in zip(ours, wanted, strict=True))
                    cells += [f"{100 * sum(wanted) / len(wanted):.1f}", f"{same} of {len(wanted)}"]
                difference = max(
                    abs(found["log_probability"] - response[0][0])
                    for row, sample in zip(predictions["continuations"], theirs, strict=True)
                    for found, response in zip(row, sample["resps"][: len(row)], strict=True)
                )
                lines.append(f"| {kind} | {tag} | " + " | ".join(cells) + f" | {difference:.1e} |")
                print(lines[-1], flush=True)
                del one._metric_fn_list["acc_mutual_info"]
                for label, run in (
                    ("lm-evaluation-harness", lambda one=one: by_harness(harness, one)),
                    ("crosslift", lambda rows=rows, prompt=prompt: by_crosslift(generator, rows, prompt)),
                    (
                        "crosslift, contexts not shared",
                        lambda rows=rows, prompt=prompt: by_crosslift(unshared, rows, prompt),
                    ),
                ):
                    start = time.process_time()
                    run()
                    seconds[label] += time.process_time() - start
    text = HEAD.format(items=items, model=name, version=version()) + "\n".join(lines) + "\n"
    text += SPEED.format(cells=len(TASKS) * len(TAGS), batch=batch)
    base = seconds["lm-evaluation-harness"]
    text += "\n".join(f"| {label} | {took:.1f} | {base / took:.2f} |" for label, took in seconds.items()) + "\n" + FOOT
    (DOCS / "harness-agreement.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*([int(sys.argv[1])] if len(sys.argv) > 1 else []), *sys.argv[2:3])
