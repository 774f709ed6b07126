"""A prepared study whose scores follow from its mixtures, copied per test; workers run in the process of the test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_study import install_fakes, open_graph
from in_process import quicker
from tiny_study import STUDY, write_corpus, write_study

from crosslift.execution.phases.prepare import prepare

MIXTURES = """[mixtures.es]
components = [{ corpus = "train", counts = { es = 32 } }]
pairing = "shared"

[mixtures.en-es]
components = [{ corpus = "train", counts = { en = 16, es = 16 } }]
pairing = "shared"

[mixtures.half-sw]
components = [{ corpus = "train", counts = { sw = 16 } }]
pairing = "shared"

[grid]"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_fakes()
    folder = tmp_path_factory.mktemp("prepared") / "study"
    text = STUDY.replace("[training]", '[training]\ntrainer = "fake_amounts"').replace("base = true", "base = false")
    text = text.replace("max_tokens = 8", 'max_tokens = 8\ngenerator = "fake_amounts"').replace("[grid]", MIXTURES)
    write_study(folder, text=text)
    write_corpus(folder / "test.jsonl", 60, first=1000)
    prepare(open_graph(folder), say=lambda line: None)
    return folder


@pytest.fixture
def study(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five planned runs of 16 to 32 items in three languages, none of them executed."""
    quicker(monkeypatch)
    return Path(shutil.copytree(prepared, tmp_path / "study"))
