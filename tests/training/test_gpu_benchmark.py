"""benchmarks/gpu.py: what its numbers mean, and that it runs, in small, on a machine without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import places
import pytest

FILE = places.REPOSITORY / "benchmarks" / "gpu.py"


sys.path.insert(0, str(FILE.parent))
from gpu_speed import tables, task  # noqa: E402


def test_languages_differ_in_length_as_stated():
    prompt, completion = task.lengths(11_000)
    english, telugu = (completion[i :: len(task.FERTILITY)] for i in (0, list(task.FERTILITY).index("te")))
    assert np.median(english) == pytest.approx(130, rel=0.05)
    assert np.median(telugu) == pytest.approx(130 * 4.5, rel=0.05)
    assert np.array_equal(prompt, task.lengths(11_000)[0])


def test_operations_are_six_per_weight_and_token_and_those_of_the_pairs():
    numbers = task.settings_of("qwen3-8b", small=False)
    prompt, completion = np.array([100, 50]), np.array([60, 10])
    weights = 36 * (4096 * 128 * (2 * 32 + 2 * 8) + 3 * 4096 * 12288)
    pairs = sum(length * (length + 1) / 2 for length in (160, 60))
    head, attention = 151_936 * 4096 * 70, 36 * 4 * 32 * 128 * pairs
    full = task.operations(numbers, prompt, completion, lora=False)
    assert full == pytest.approx(6 * (weights * 220 + head) + 3 * attention)
    lora = task.operations(numbers, prompt, completion, lora=True)
    assert lora == pytest.approx(4 * (weights * 220 + head) + 3 * attention)


def test_windows_limit_the_pairs():
    numbers = task.settings_of("gemma3-1b", small=False)
    assert numbers["sliding_window"] == 512 and numbers["num_hidden_layers"] == 26
    prompt, completion = np.array([600]), np.array([100])
    narrow = sum(min(place + 1, 512) for place in range(700))
    pairs = 4 * 700 * 701 / 2 + 22 * narrow
    others = task.operations(numbers | {"head_dim": 0}, prompt, completion, lora=False)
    products = 6 * 26 * 1152 * 256 * (2 * 4 + 2 * 1) * 700
    found = task.operations(numbers, prompt, completion, lora=False)
    assert found - others - products == pytest.approx(3 * 4 * 4 * 256 * pairs, rel=1e-6)


def test_a_model_that_cannot_fit_is_not_started():
    numbers = task.settings_of("qwen3-8b", small=False)
    assert "does not fit: 131 GB" in tables.does_not_fit({"method": "full"}, numbers, 85e9)
    assert tables.does_not_fit({"method": "lora"}, numbers, 85e9) is None
    assert tables.does_not_fit({"method": "full"}, numbers, 150e9) is None


def test_the_table_says_what_failed_and_what_is_not_told():
    job = {
        "model": "qwen3-0.6b", "method": "full", "variant": "crosslift", "examples": 11, "scale": 1.0,
        "max_length": 2048,
    }  # fmt: skip
    found = {
        "tokens": 5000,
        "seconds": 0.5,
        "joules": 250.0,
        "peak_bytes": 3e9,
        "seconds_before": 9.4,
        "device": "NVIDIA H200",
    }
    numbers = task.settings_of("qwen3-0.6b", small=False)
    rows = [
        tables.row_of(job, numbers, found),
        tables.row_of(
            job | {"variant": "trl packed"}, numbers, found | {"seconds": 1.0, "joules": None, "device": "?"}
        ),
        tables.row_of(job | {"variant": "trl padded"}, numbers, {"failed": "out of memory"}),
    ]
    lines = list(tables.table(rows))
    assert "| crosslift | 10,000 |" in lines[2] and "| 50.0 |" in lines[2] and "%" in lines[2]
    assert "| 5,000 | not told | 3.0 GB | not told |" in lines[3]
    assert "| trl padded | out of memory |" in lines[4]
    assert list(tables.comparisons(rows)) == ["qwen3-0.6b, full: crosslift is 2.00 times as fast as trl packed"]


@pytest.mark.slow
def test_it_runs_in_small_on_any_machine(tmp_path):
    pytest.importorskip("trl")
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(FILE), "--small", "--models", "gemma3-1b", "--methods", "lora", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {row["variant"] for row in rows} >= {"crosslift", "trl padded"}
    assert all(row["tokens_per_second"] > 0 for row in rows), rows


@pytest.mark.slow
def test_without_a_gpu_it_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ended = subprocess.run([sys.executable, str(FILE)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "torch finds no CUDA device. Use --small" in ended.stderr
