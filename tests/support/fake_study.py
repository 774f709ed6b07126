"""The tiny study with a trainer and a generator that learn nothing: no worker imports torch."""

from __future__ import annotations

from pathlib import Path

from tiny_study import STUDY, write_study

import crosslift.evaluation.generators
import crosslift.training.trainers
from crosslift import discover
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.phases.prepare import prepare
from crosslift.studies.parsing.load import load

FAKES = Path(__file__).parent / "fakes"


def install_fakes() -> None:
    """Make the fakes known to this process; `fakes/sitecustomize.py` does it for workers."""
    crosslift.training.trainers.__path__.append(str(FAKES / "trainers"))
    crosslift.evaluation.generators.__path__.append(str(FAKES / "generators"))
    discover.module_names.cache_clear()


def open_graph(folder: Path) -> StepGraph:
    return StepGraph(load(folder), Store(folder))


def write_fake_study(folder: Path) -> Path:
    """Five prepared runs: base, and two mixtures with two seeds."""
    text = STUDY.replace("[training]", '[training]\ntrainer = "fake"')
    text = text.replace("max_tokens = 8", 'max_tokens = 8\ngenerator = "fake"')
    write_study(folder, seeds=(0, 1), text=text)
    prepare(open_graph(folder), say=lambda line: None)
    return folder
