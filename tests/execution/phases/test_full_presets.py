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
from full_presets import FEW, keep_few, take_local_places
from published_data import write_data, write_models

from crosslift.studies.presets import preset_data_text, preset_text

pytest.importorskip("datasets")


def write_preset(folder: Path, name: str) -> Path:
    """The full preset with local models and data in place of those of the hub; nothing else is changed."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(preset_text(name, "full"), encoding="utf-8")
    (folder / "data.toml").write_text(preset_data_text(name, "full") or "", encoding="utf-8")
    take_local_places(folder)
    write_data(folder / "data")
    write_models(folder / "models")
    return folder


def crosslift(*arguments: object, code: int = 0, cache: Path) -> str:
    command = [sys.executable, "-m", "crosslift", *map(str, arguments)]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FEW))
def test_a_rehearsal_walks_the_preset(name: str, tmp_path: Path) -> None:
    study = write_preset(tmp_path / "study", name)
    keep_few(study, name)
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
