"""The rehearsals of the presets as published, on a real Slurm and a real Ray: every run is done, none has an error."""

from __future__ import annotations

import os
from pathlib import Path

import engines
import polars as pl
import pytest
from full_presets import FEW, keep_few
from test_full_presets import crosslift, write_preset

pytest.importorskip("datasets")

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.xdist_group("engines")]

SITE = """
executor = "{engine}"
device = "cpu"
num_workers = 2
rehearsal = {{ steps = 2, items = 4, tokens = 4 }}
{more}
[resources.default]
devices = 1

[resources."{large}"]
devices = 2
"""
LARGE = {"english-is-not-all-you-need": "qwen3-8b", "post-trainers-guide": "aya-23-35b"}


def rehearse(name: str, engine: str, folder: Path, more: str = "") -> None:
    study = write_preset(folder / "study", name)
    keep_few(study, name)
    large = LARGE[name]
    (study / "site.toml").write_text(SITE.format(engine=engine, more=more, large=large), encoding="utf-8")
    said = crosslift("run", study, cache=folder / "cache")
    runs = pl.read_parquet(study / "rehearsal" / "runs.parquet")
    assert f"{runs.height} of {runs.height} runs are done." in said
    assert not (pl.read_parquet(study / "rehearsal" / "scores.parquet")["status"] == "error").any()
    logs = {file.name for file in (study / "rehearsal" / "logs").iterdir()}
    assert any(log.startswith(engine) for log in logs)


@pytest.mark.skipif(bool(engines.no_slurm()), reason=engines.no_slurm())
@pytest.mark.parametrize("name", list(FEW))
def test_a_rehearsal_walks_the_preset_on_slurm(name: str, tmp_path: Path) -> None:
    with engines.slurm(tmp_path / "cluster", memory=8000):
        rehearse(name, "slurm", tmp_path)


@pytest.mark.skipif(bool(engines.no_ray()), reason=engines.no_ray())
@pytest.mark.parametrize("name", list(FEW))
def test_a_rehearsal_walks_the_preset_on_ray(name: str, tmp_path: Path) -> None:
    before = {name: os.environ.get(name) for name in ("HF_HOME", "HF_HUB_OFFLINE")}
    os.environ |= {
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
    }  # workers have those of their node
    try:
        with engines.ray() as cluster:
            rehearse(name, "ray", tmp_path, f'address = "{cluster.address}"')
    finally:
        engines._restore(before)
