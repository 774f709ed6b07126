"""Every key of the schema is edited on a finished study: exactly the necessary steps are missing afterwards, and none
when the key is set back. Nothing is trained: a step counts as computed when its marker is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from fake_study import open_graph
from study_edits import STUDIES, Edit, add_files, apply, edits_of, not_edited, start_of

from crosslift.corpora.corpus import ROWS, ParallelCorpus, Source
from crosslift.corpora.quality import run_checks
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases import prepared_data as phase
from crosslift.execution.phases.prepare import prepare
from crosslift.scores import SCORES
from crosslift.studies.parsing.schema import study_file
from crosslift.studies.parsing.schema.values import Table

LARGE = ("families", "choices")
"""Studies of many runs or corpora, whose edits are slow tests."""
ALL = [edit for study in STUDIES for edit in edits_of(study)]


def keys_of_the_schema() -> set[str]:
    """Every field, by the model that declares it."""
    found, models = [Table], []
    while found:
        found += (model := found.pop()).__subclasses__()
        models += [model] if model.__module__.startswith(study_file.__package__ or "") else []
    return {f"{model.__name__}.{key}" for model in models for key in model.__annotations__ if key in model.model_fields}


def test_every_key_of_the_study_file_is_edited_or_has_a_reason():
    edited = {key for edit in ALL for key in edit.keys}
    assert keys_of_the_schema() == edited | not_edited().keys()
    assert not edited & not_edited().keys()


def read_without_the_harness(source: Source):
    """Documents of a task of lm-evaluation-harness, as if it were installed."""
    if source.reader != "lm_eval":
        return read_checked(source)
    rows = [
        {
            "item_id": f"{item}",
            "language": tag,
            "messages": [{"role": "user", "content": f"{source.options} {tag} {item}?"}],
            "answer": "{}",
            "cluster": f"{item}",
            "origin": "unknown",
        }
        for item in range(source.max_items or 6)
        for tag in source.languages
    ]
    corpus = ParallelCorpus.build(source, pl.DataFrame(rows, schema=ROWS), licence="", revision="1")
    return run_checks(corpus, {})


read_checked = phase.read_corpus


@pytest.fixture(scope="module")
def studies(prepared: Path, tmp_path_factory: pytest.TempPathFactory):
    """Name -> a finished study."""
    found: dict[str, Path] = {}

    def study(name: str) -> Path:
        if name not in found:
            folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp(name) / "study"))
            shutil.copy(folder / "test.jsonl", folder / "dev.jsonl")
            add_files(folder)
            apply(folder, start_of(name))
            complete(opened(folder))
            found[name] = folder
        return found[name]

    return study


@pytest.fixture(autouse=True)
def without_the_harness(monkeypatch):
    monkeypatch.setattr(phase, "read_corpus", read_without_the_harness)


def opened(folder: Path) -> StepGraph:
    graph = open_graph(folder)
    prepare(graph, say=lambda line: None)
    return graph


def missing(graph: StepGraph) -> set[str]:
    found = set()
    for name, state in graph.states().items():
        assert not state.damage, name
        found |= {one.step.name for one in state.missing}
        if not state.trained:
            found.add(f"runs/{name}/train")
    return found


def complete(graph: StepGraph) -> None:
    todo = missing(graph)
    for run in graph.runs.values():
        for step in graph.steps(run).steps():
            if step.name in todo:
                step.begin()
                pl.DataFrame(schema=SCORES).write_parquet(step.folder / "scores.parquet")
                step.finish(fingerprint=step.fingerprint, scores={}, num_errors=0, seconds=1.0)


@pytest.mark.parametrize(
    "edit",
    [pytest.param(edit, marks=pytest.mark.slow if edit.study in LARGE else ()) for edit in ALL],
    ids=lambda edit: f"{edit.study}-{edit.name}",
)
def test_an_edit_leaves_exactly_the_necessary_steps_and_going_back_none(edit: Edit, studies, tmp_path):
    study = Path(shutil.copytree(studies(edit.study), tmp_path / "study"))
    original = (study / "study.toml").read_text()
    apply(study, edit.replace)
    graph = opened(study)
    assert missing(graph) == edit.expected(graph.study)
    complete(graph)
    (study / "study.toml").write_text(original)
    assert missing(opened(study)) == set()
    apply(study, edit.replace)
    assert missing(opened(study)) == set()
