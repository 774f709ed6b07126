"""A finished study per test, and commands in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from in_process import crosslift, quicker
from study_edits import add_files


@pytest.fixture(scope="package")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("finished") / "study"))
    shutil.copy(folder / "test.jsonl", folder / "dev.jsonl")
    add_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        quicker(patch)
        assert crosslift("run", folder).code == 0
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    quicker(monkeypatch)
    return Path(shutil.copytree(finished, tmp_path / "study"))
