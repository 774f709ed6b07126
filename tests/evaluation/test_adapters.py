"""An adapter finds its base model from any working directory, also after its study was moved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crosslift.errors import EvaluationError
from crosslift.evaluation.adapters import base_of
from crosslift.pocket import checkpoints


def adapter(folder: Path, name: str | None, revision: str | None = None) -> Path:
    folder.mkdir(parents=True)
    settings = {"base_model_name_or_path": name, "revision": revision}
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_path_is_relative_to_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "study" / "model").mkdir(parents=True)
    place = adapter(tmp_path / "study" / "runs" / "a" / "train" / "checkpoint", "../../../../model")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert base_of(place) == (str(tmp_path / "study" / "model"), None)
    assert base_of(Path("../study/runs/a/train/checkpoint")) == (str(tmp_path / "study" / "model"), None)
    (tmp_path / "study").rename(tmp_path / "moved")
    assert base_of(tmp_path / "moved" / place.relative_to(tmp_path / "study")) == (str(tmp_path / "moved/model"), None)
    (tmp_path / "moved" / "model").rmdir()
    with pytest.raises(EvaluationError, match="is not a folder"):
        base_of(tmp_path / "moved" / place.relative_to(tmp_path / "study"))


def test_hub_and_pocket_models_are_named(tmp_path: Path):
    pocket = checkpoints.names()[0]
    assert base_of(adapter(tmp_path / "a", "owner/name", "f" * 40)) == ("owner/name", "f" * 40)
    assert base_of(adapter(tmp_path / "b", f"pocket:{pocket}")) == (str(checkpoints.folder(pocket)), None)
    with pytest.raises(EvaluationError, match="names no base model"):
        base_of(adapter(tmp_path / "c", None))
