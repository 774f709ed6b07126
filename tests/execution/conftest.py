"""A prepared study per test, copied: preparing it needs transformers and is done once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.execution.folder.step_graph import StepGraph


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_fakes()
    return write_fake_study(tmp_path_factory.mktemp("prepared") / "study")


@pytest.fixture
def study(prepared: Path, tmp_path: Path) -> Path:
    """Five runs: base, and two mixtures with two seeds."""
    return Path(shutil.copytree(prepared, tmp_path / "study"))


@pytest.fixture
def graph_of() -> Callable[[Path], StepGraph]:
    return open_graph
