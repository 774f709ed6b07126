"""A study with tasks of lm-evaluation-harness, killed and restarted; and its verdicts beside crosslift's own.

    python benchmarks/harness_study.py [ITEMS] [MODEL]       # writes docs/harness-verdicts.md

Two mixtures x two seeds of a pocket model, two tasks of the harness (multiple choice; word problems with the filters
of MGSM) in three languages, and crosslift's task `math` on the same word problems. The study is run twice: once as it
is, and once with kills (SIGKILL to all its processes) at random times until it is finished. The tables of scores must
have the same bytes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from harness_tasks import write_harness_tasks  # type: ignore[import-not-found]

TAGS = ("en", "de", "sw")
HARNESS_METRIC = "exact_match,flexible-extract"
MAX_KILLS = 8
DOCS = Path(__file__).parents[1] / "docs"

STUDY = """
name = "harness"

[models.pocket]
path = "pocket:{model}"

[corpora.train]
reader = "pocket"
task = "math"
languages = ["en", "de", "sw"]
max_items = 600

[corpora.test]
reader = "pocket"
task = "math"
split = "test"
languages = ["en", "de", "sw"]
max_items = {items}

[mixtures.en]
components = [{{ corpus = "train", counts = {{ en = 600 }} }}]
pairing = "shared"

[mixtures.three]
components = [{{ corpus = "train", counts = {{ en = 200, de = 200, sw = 200 }} }}]
pairing = "disjoint"

[grid]
seeds = [0, 1]

[training]
epochs = 3
learning_rate = 2e-3
batch_examples = 16
max_length = 512

[evaluations.math]
corpus = "test"
max_tokens = 64

[evaluations.reading]
task = "lm_eval"
tasks = ["reading_{{language}}"]
languages = ["en", "de", "sw"]
include_path = "tasks"
item = "{{id}}"

[evaluations.solving]
task = "lm_eval"
tasks = ["solving_{{language}}"]
languages = ["en", "de", "sw"]
include_path = "tasks"
metric = "exact_match,flexible-extract"
chat_template = true

[[contrasts]]
name = "three languages minus English"
control = "en"
treatments = ["three"]
primary = true
"""

HEAD = """# Verdicts of crosslift and of lm-evaluation-harness

`python benchmarks/harness_study.py {items} {model}`: a study of the pocket laboratory, {runs} runs ({model}, two
mixtures x two seeds), {items} word problems in three languages. crosslift's task `math` and
lm-evaluation-harness {version} (through `task = "lm_eval"`: a task on these problems with the filters and the metric of
`mgsm_direct`) judge the answers of the same models to the same prompts. {alike} of {answers} answers have the
same text in both evaluations.

| language | answers | both right | both wrong | only crosslift: right | only the harness: right |
|---|---|---|---|---|---|
"""
DISAGREE = """
## Answers that they judge differently

| language | gold | answer (end) | crosslift | harness |
|---|---|---|---|---|
"""
KILLS = """
## Kills

The study was killed {kills} times (SIGKILL to all of its processes) and restarted. Scores of the {runs} runs, three
evaluations and three languages: {same} as those of the same study without kills. The report has intervals of
{statements} means in the harness's metrics.
"""
MAX_SHOWN = 12


def crosslift(*arguments: str, seconds: float | None = None) -> bool:
    """Run a command; False if it was killed after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crosslift", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    if code:
        raise SystemExit(f"crosslift {' '.join(arguments)} ended with {code}")
    return True


def main(items: int = 40, model: str = "qwen3-s") -> None:
    from crosslift.corpora.harness import version

    with tempfile.TemporaryDirectory() as place:
        whole, killed = Path(place) / "whole", Path(place) / "killed"
        whole.mkdir()
        write_harness_tasks(whole / "tasks", TAGS, num_items=items, num_solved=items)
        (whole / "study.toml").write_text(STUDY.format(items=items, model=model), encoding="utf-8")
        shutil.copytree(whole, killed)
        crosslift("run", str(whole))
        times = random.Random(0)
        kills = 0
        while kills < MAX_KILLS and not crosslift("run", str(killed), seconds=times.uniform(8, 40)):
            kills += 1
            print(f"killed {kills} times", flush=True)
        crosslift("run", str(killed))
        same = all(
            (killed / file.relative_to(whole)).read_bytes() == file.read_bytes()
            for file in [*sorted(whole.glob("runs/*/eval/*/scores.parquet")), whole / "scores.parquet"]
        )
        scores = pl.read_parquet(whole / "scores.parquet")
        estimates = pl.read_parquet(whole / "report" / "estimates.parquet")
        answers = [_answers(folder) for folder in sorted((whole / "runs").iterdir()) if (folder / "eval").is_dir()]
        text = page(scores, pl.concat(answers), items=items, model=model, version=version())
        statements = estimates.filter(
            pl.col("evaluation").is_in(["reading", "solving"]),
            pl.col("metric").is_in(["acc", HARNESS_METRIC]),
            pl.col("estimand") == "score",
            pl.col("low").is_not_null(),
        ).height
        words = "the same bytes" if same else "NOT the same bytes"
        text += KILLS.format(kills=kills, runs=scores["run"].n_unique(), same=words, statements=statements)
    (DOCS / "harness-verdicts.md").write_text(text, encoding="utf-8")
    print(text)


def _answers(run: Path) -> pl.DataFrame:
    """Texts of both evaluations of a run, one row per item and language."""
    tables = []
    for tag in TAGS:
        own = pl.read_parquet(run / "eval" / f"math.{tag}" / "predictions.parquet")
        theirs = pl.read_parquet(run / "eval" / f"solving.{tag}" / "predictions.parquet")
        responses = [json.loads(text)["responses"][0][0] for text in theirs["text"]]
        tables.append(
            pl.DataFrame(
                {
                    "run": run.name,
                    "language": tag,
                    "number": range(own.height),
                    "gold": own["answer"],
                    "text": own["text"],
                    "response": responses,
                }
            )
        )
    return pl.concat(tables)


def page(scores: pl.DataFrame, answers: pl.DataFrame, *, items: int, model: str, version: str) -> str:
    """The verdicts as a page."""

    def verdicts(evaluation: str, metric: str, name: str) -> pl.DataFrame:
        rows = scores.filter(evaluation=evaluation, metric=metric)
        numbered = rows.with_columns(number=pl.int_range(pl.len()).over("run", "language"))
        return numbered.select(
            "run", "language", "number", pl.col("value").alias(name), pl.col("status").alias(f"{name}_status")
        )

    keys = ["run", "language", "number"]
    both = verdicts("math", "accuracy", "ours").join(verdicts("solving", HARNESS_METRIC, "theirs"), on=keys)
    both = both.join(answers.with_columns(pl.col("number").cast(pl.Int64)), on=keys, maintain_order="left")
    alike = both.filter(pl.col("text").str.strip_chars() == pl.col("response").str.strip_chars()).height
    lines = []
    for tag in TAGS:
        part = both.filter(language=tag)
        counts = [part.filter(ours=a, theirs=b).height for a, b in ((1, 1), (0, 0), (1, 0), (0, 1))]
        lines.append(f"| {tag} | {part.height} | " + " | ".join(map(str, counts)) + " |")
    text = HEAD.format(
        items=items, model=model, version=version, runs=scores["run"].n_unique(), alike=alike, answers=both.height
    )
    text += "\n".join(lines) + "\n"
    different = both.filter(pl.col("ours") != pl.col("theirs"))
    if different.height:
        text += DISAGREE + "\n".join(
            f"| {row['language']} | {row['gold']} | {row['text'][-70:].replace('|', '/').replace(chr(10), ' ')} | "
            f"{_verdict(row)} | {'right' if row['theirs'] else 'wrong'} |"
            for row in different.head(MAX_SHOWN).iter_rows(named=True)
        )
        text += f"\n\n{min(different.height, MAX_SHOWN)} of {different.height} are shown.\n"
    else:
        text += "\nThey agree on every answer.\n"
    return text


def _verdict(row: dict[str, Any]) -> str:
    if row["ours"]:
        return "right"
    return "wrong" if row["ours_status"] == "scored" else f"wrong ({row['ours_status']})"


if __name__ == "__main__":
    main(*([int(sys.argv[1])] if len(sys.argv) > 1 else []), *sys.argv[2:3])
