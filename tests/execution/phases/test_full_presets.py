"""The presets as published walk through training, selection, generation, scoring and report, on tiny models and local
data in the published formats."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from published_data import write_data, write_models

from crosslift.studies.presets import preset_text

pytest.importorskip("datasets")

MODELS = {
    "Qwen/Qwen3-0.6B-Base": "qwen3",
    "Qwen/Qwen3-1.7B-Base": "qwen3",
    "Qwen/Qwen3-8B-Base": "qwen3",
    "google/gemma-3-1b-pt": "gemma3",
    "google/gemma-3-4b-pt": "gemma3-vision",
    "CohereLabs/aya-23-8B": "cohere2",
    "CohereLabs/aya-23-35B": "cohere2",
    "meta-llama/Llama-3.1-8B": "llama",
}
PATHS = {"mcot_math": "data/mcot", "mgsm": "data/mgsm", "xlsum": "data/xlsum", "aya_dolly": "data/dolly"}
FEW = {
    "english-is-not-all-you-need": (
        'mixtures = ["coverage-math", "coverage-calls"]',
        'mixtures = ["coverage-math-en", "coverage-math-en-sw", "coverage-calls-es-ja-bn-sw-fr-th"]',
    ),
    "post-trainers-guide": (
        'mixtures = ["dose"]',
        'mixtures = ["dose-math-0", "dose-summaries-100", "dose-instructions-5000"]',
    ),
}


CONTRAST = """[[contrasts]]
name = "what is left"
control = "{}"
treatments = ["{}"]
primary = true
"""
CONTRASTS = {
    "english-is-not-all-you-need": ("coverage-math-en", "coverage-math-en-sw"),
    "post-trainers-guide": ("base", "dose-math-0"),
}


def write_preset(folder: Path, name: str) -> Path:
    """The full preset with local models and data in place of those of the hub; nothing else is changed."""
    text = preset_text(name, "full")
    for hub, local in MODELS.items():
        text = text.replace(f'path = "{hub}"', f'path = "./models/{local}"')
    for reader, path in PATHS.items():
        text = text.replace(f'reader = "{reader}"\n', f'reader = "{reader}"\npath = "{path}"\n')
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    write_data(folder / "data")
    write_models(folder / "models")
    return folder


def fewer(study: Path, name: str) -> Path:
    """The preset with a few mixtures of each family."""
    text = (study / "study.toml").read_text(encoding="utf-8")
    assert FEW[name][0] in text
    few = re.sub(r'mixtures = \["together"\]', 'mixtures = ["together-500"]', text.replace(*FEW[name]))
    few = few.replace('mixtures = ["latin", "non-latin"]', 'mixtures = ["non-latin-summaries-200"]')
    few = few[: few.index("[[contrasts]]")] + CONTRAST.format(*CONTRASTS[name])  # of mixtures that are left
    (study / "study.toml").write_text(few, encoding="utf-8")
    return study


def crosslift(*arguments: object, code: int = 0, cache: Path) -> str:
    command = [sys.executable, "-m", "crosslift", *map(str, arguments)]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FEW))
def test_a_rehearsal_walks_the_preset(name: str, tmp_path: Path) -> None:
    study = fewer(write_preset(tmp_path / "study", name), name)
    (study / "site.toml").write_text("rehearsal = { steps = 2, items = 4, tokens = 4 }\n", encoding="utf-8")
    said = crosslift("run", study, cache=tmp_path / "cache")
    runs = pl.read_parquet(study / "rehearsal" / "runs.parquet")
    assert f"{runs.height} of {runs.height} runs are done." in said
    scores = pl.read_parquet(study / "rehearsal" / "scores.parquet")
    assert set(scores["run"]) == set(runs["run"])
    assert not (scores["status"] == "error").any()
    assert "A rehearsal of 2 steps" in (study / "rehearsal" / "report" / "index.html").read_text(encoding="utf-8")
    assert not (study / "runs").exists()  # nothing of it can be taken for a result
    trained = runs.filter(pl.col("mixture") != "base")
    for run in trained["run"]:
        steps = pl.read_parquet(study / "rehearsal" / "runs" / run / "train" / "metrics.parquet")["step"]
        assert steps.max() == 2
    assert "Nothing to do" in crosslift("run", study, cache=tmp_path / "cache")


PRINTED = {
    "english-is-not-all-you-need": (
        "220 runs and 5 base models",
        "1,320 evaluations of trained models in one language + 60 of base models",
        r"math +120 +240 +474 +588 +708 +1056 +1176",
        r"api_calling +36 +72 +144 +180 +216 +324 +360",
        r"math +7\.9",
    ),
    "post-trainers-guide": (
        "152 runs and 3 base models",
        "multi-task +32 +on",
        "scripts +48 +on",
        "6 runs with the same",
    ),
}


@pytest.mark.parametrize("name", list(PRINTED))
def test_the_plan_of_a_preset_is_known_before_its_data_are_here(name: str, tmp_path: Path) -> None:
    crosslift("new", name, tmp_path / "study", "--scale", "full", cache=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    said = crosslift("plan", tmp_path / "study", cache=tmp_path)
    for line in PRINTED[name]:
        assert re.search(line.replace("+ 60", r"\+ 60"), said), line
    assert "missing: study.toml, corpora." in said
    assert "GPU-hours" in said
    assert sorted(tmp_path.rglob("*")) == before
    assert "does not exist" in crosslift("check", tmp_path / "study", code=2, cache=tmp_path)
