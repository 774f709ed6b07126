"""From a study file to a report through the command line, with a real trainer and generator and nothing faked."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from finished_study import write_finished_study
from tiny_study import STUDY, write_study

from crosslift.scores import SCORES
from crosslift.transfer.estimates.estimate import ESTIMATES


def crosslift(*arguments, code=0):
    command = [sys.executable, "-m", "crosslift", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.slow
def test_check_plan_run_report(tmp_path):
    study = write_study(tmp_path / "study")
    assert "3 runs. No problems were found." in crosslift("check", study)
    assert "3 missing" in crosslift("plan", study)
    assert "3 of 3 runs are done." in crosslift("run", study)
    assert "3 done" in crosslift("status", study)
    scores = pl.read_parquet(study / "scores.parquet")
    assert scores.schema == SCORES
    assert scores.group_by("run", "language").len().height == 9
    assert (study / "report" / "index.html").stat().st_size > 10_000
    estimates = pl.read_parquet(study / "report" / "estimates.parquet")
    assert estimates.schema == ESTIMATES
    assert "Nothing to do" in crosslift("run", study)
    crosslift("report", study)
    written = [path.read_text() for path in study.rglob("*.json")] + [(study / "report" / "index.html").read_text()]
    assert not any(str(tmp_path) in text for text in written)

    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(text.replace("1e-3", "1e-4"))
    said = crosslift("plan", study)
    assert "2 runs change (training.learning_rate: 0.001 -> 1e-04), 1 kept, 2 earlier results stay." in said


@pytest.mark.slow
def test_worked_examples_are_shown_and_belong_to_the_evaluation_alone(tmp_path):
    shots = 'max_tokens = 8\nshots = { corpus = "train", number = 2 }'
    study = write_study(tmp_path / "study", text=STUDY.replace("max_tokens = 8", shots))
    crosslift("run", study)
    prompts = pl.read_parquet(study / "runs" / "tiny.en.s0" / "eval" / "math.sw" / "predictions.parquet")["prompt"]
    first = json.loads((study / "train.jsonl").read_text().splitlines()[0])
    assert all(prompt.count("<|im_start|>user") == 3 for prompt in prompts)
    assert not any(first["prompt"] in prompt for prompt in prompts if first["language"] != "sw")
    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(text.replace("number = 2", "number = 3"))
    assert "3 runs keep their training (evaluations.math.shots.number: 2 -> 3)" in crosslift("plan", study)


@pytest.mark.slow
def test_a_restart_of_200_finished_runs_finds_nothing_to_do_in_three_seconds(tmp_path):
    write_finished_study(tmp_path, num_mixtures=20, num_seeds=10, tags=("en", "sw"))
    crosslift("run", tmp_path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to do: all 200 runs are done." in crosslift("run", tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor: a busy machine does not make the program slower. benchmarks/restart.py measures the clock.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


@pytest.mark.slow
def test_a_checkpoint_is_selected_by_generated_answers_and_provenance_tells_nothing_of_the_machine(tmp_path):
    dev = '[corpora.dev]\nreader = "jsonl"\ntask = "math"\nsplit = "validation"\npath = "test.jsonl"\n'
    text = STUDY.replace("[mixtures.en]", dev + 'languages = ["en"]\n\n[mixtures.en]')
    chosen = '[training]\nselect_by = "score"\nvalidation = { corpora = ["dev"], max_items = 2 }'
    text = text.replace("[training]", chosen)
    study = write_study(tmp_path / "study", text=text)
    crosslift("prepare", study)
    crosslift("work", study, "tiny.en.s0")
    text = (study / "runs" / "tiny.en.s0" / "provenance.json").read_text()
    metrics = pl.read_parquet(study / "runs" / "tiny.en.s0" / "train" / "metrics.parquet")
    assert metrics.filter(split="validation", language="all")["score"].is_between(0, 1).all()
    provenance = json.loads(text)
    assert provenance["train"]["num_tokens"] > 0
    assert provenance["train"]["precision"] in ("float32", "bfloat16")
    assert provenance["evaluate"]["seconds"] >= 0
    assert provenance["environment"]["packages"].keys() >= {"crosslift", "torch", "transformers"}
    home = re.escape(str(Path.home()))
    assert not re.search(rf"{re.escape(str(tmp_path))}|{home}|{re.escape(os.uname().nodename)}", text)
