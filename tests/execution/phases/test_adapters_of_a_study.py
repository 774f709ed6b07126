"""Adapters in the folder of a study contain no path of the machine and find their base model after a move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_study import open_graph
from tiny_study import STUDY, write_study

import crosslift
from crosslift.evaluation.generators.hf import Generator
from crosslift.execution.phases.train import base_name
from crosslift.studies.run import Run

TEXT = STUDY.replace("[training]", '[training]\nmethod = "lora"').replace("max_tokens = 8", "max_tokens = 1")


def test_the_adapter_of_a_run_is_loaded_from_another_directory_after_the_study_was_moved(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    study = crosslift.open_study(write_study(Path("study"), text=TEXT))
    study.prepare()
    assert study.work(["tiny.en.s0"])
    checkpoint = Path("study/runs/tiny.en.s0/train/checkpoint")
    settings = json.loads((checkpoint / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == "../../../../model"
    for file in checkpoint.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
    (tmp_path / "study").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = Generator(Path("../moved") / checkpoint.relative_to("study"), device="cpu")
    given = Generator(tmp_path / "moved" / checkpoint.relative_to("study"), base="../moved/model", device="cpu")
    for one, other in zip(found.model.parameters(), given.model.parameters(), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize(
    ("path", "expected"), [("./model", "../../../../model"), ("pocket:qwen3-s", "pocket:qwen3-s"), (None, None)]
)
def test_a_base_model_is_named_without_the_paths_of_the_machine(tmp_path: Path, path: str | None, expected: str | None):
    text = TEXT.replace("./model", path or str(tmp_path / "study" / "model"))
    graph = open_graph(write_study(tmp_path / "study", text=text))
    run = Run(model=graph.study.models["tiny"], mixture=graph.study.mixtures["en"], seed=0)
    found = base_name(graph, run, graph.store.checkpoint_folder("tiny.en.s0"))
    assert (found.name, found.revision) == (expected, None)
