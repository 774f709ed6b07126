"""Logs of several runs, item by item, against a control."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crosslift.errors import TransferError
from crosslift.importing.ask import run_analyses
from crosslift.importing.mapping import load_import
from crosslift.importing.results import read_results

MAPPING = """
name = "logs"
[source]
format = "lm_eval"
path = "out"
pattern = "mgsm_(?P<language>\\\\w+)"
[columns]
run = "model"
language = "language"
metric = "metric"
item = "item"
value = "value"
[constants]
task = "math"
[[analyses]]
kind = "against"
unit = 100.0
control = { run = "english" }
"""


def write_logs(folder: Path, gains: dict[str, float], *, items: int = 120) -> None:
    generator = np.random.default_rng(0)
    easy = generator.random(items)
    for run, gain in gains.items():
        for tag in ("en", "sw"):
            (folder / "out" / run).mkdir(parents=True, exist_ok=True)
            lines = [
                {"doc_id": number, "metrics": ["exact_match"], "exact_match": float(easy[number] < 0.4 + gain)}
                for number in range(items)
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "out" / run / f"samples_mgsm_{tag}_2026-11-21T12-30-00.1.jsonl").write_text(text)
    (folder / "m.toml").write_text(MAPPING)


def test_every_run_is_compared_with_the_control_over_the_same_items(tmp_path: Path):
    write_logs(tmp_path, {"english": 0.0, "more": 0.2, "same": 0.0, "worse": -0.2})
    mapping = load_import(tmp_path / "m.toml")
    (one,) = run_analyses(mapping, read_results(mapping), say=lambda line: None)
    verdicts = {answer.question: answer for answer in one.answers}
    assert verdicts["more beats english"].verdict == "supported"
    assert verdicts["same beats english"].verdict == "cannot tell" and verdicts["same beats english"].value == 0
    assert verdicts["worse beats english"].verdict == "not supported"
    more = verdicts["more beats english"]
    assert more.low is not None and more.high is not None and more.value is not None
    # Both languages answer the same items: the interval is that of 120 items, not of 240 answers.
    assert more.high - more.low == pytest.approx(
        2 * 196 * (more.value / 100 * (1 - more.value / 100) / 120) ** 0.5, rel=0.1
    )
    assert one.tables["differences"].height == 3 * 3


def test_holes_and_two_controls_are_errors(tmp_path: Path):
    write_logs(tmp_path, {"english": 0.0, "more": 0.2})
    file = next((tmp_path / "out" / "more").glob("*_sw_*"))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    mapping = load_import(tmp_path / "m.toml")
    with pytest.raises(TransferError, match="120 items, and more in sw has 119"):
        run_analyses(mapping, read_results(mapping), say=lambda line: None)
    write_logs(tmp_path, {"english": 0.0, "more": 0.2})
    (tmp_path / "m.toml").write_text(MAPPING.replace('run = "english"', 'setting = ""'))
    mapping = load_import(tmp_path / "m.toml")
    with pytest.raises(TransferError, match="are both the control"):
        run_analyses(mapping, read_results(mapping), say=lambda line: None)
