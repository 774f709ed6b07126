"""A prepared study per test, copied: preparing it needs transformers and is done once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load


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


@pytest.fixture(scope="session")
def scores(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """scores.parquet of the prepared study, executed on this machine."""
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("scores") / "study"))
    assert work(load(folder))
    graph = open_graph(folder)
    rebuild_result_tables(graph, graph.states())
    return (folder / "scores.parquet").read_bytes()
