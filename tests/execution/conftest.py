"""A prepared study per test, copied: preparing it needs transformers and is done once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.prepare import prepare
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
    return _scores_of(Path(shutil.copytree(prepared, tmp_path_factory.mktemp("scores") / "study")))


@pytest.fixture(scope="session")
def two_sizes(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A prepared study of a small and a large model (ten runs), and its scores.parquet of this machine."""
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("sizes") / "study"))
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("[corpora.train]", '[models.large]\npath = "./model"\n\n[corpora.train]'))
    prepare(open_graph(folder), say=lambda line: None)
    fresh = Path(shutil.copytree(folder, folder.with_name("fresh")))
    return fresh, _scores_of(folder)


def _scores_of(folder: Path) -> bytes:
    assert work(load(folder))
    graph = open_graph(folder)
    rebuild_result_tables(graph, graph.states())
    return (folder / "scores.parquet").read_bytes()
