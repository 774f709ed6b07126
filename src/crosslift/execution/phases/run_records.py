"""Records of mixtures and runs for readers of the study: manifests, run.json and lock.json."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crosslift import __version__
from crosslift.discover import module_names
from crosslift.errors import StoreError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases import tokens
from crosslift.fingerprint import canonical, fingerprint, fingerprint_file
from crosslift.mixtures.manifest import CorpusRecord, items_of, manifest
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.run import Run
from crosslift.system.files import read_json, write_json


def write_manifests(graph: StepGraph) -> None:
    """Write the manifests of all mixtures that are not up to date.

    A manifest contains the overlap of a mixture with all others and its number of tokens for every model, so a new
    mixture or model changes all manifests.

    Args:
        graph: the steps of the study.
    """
    study = graph.study
    by_origin = {corpus for mixture in study.mixtures.values() for corpus in mixture.origins}
    records = {corpus: corpus_record(graph, corpus, origins=corpus in by_origin) for corpus in graph.corpora}
    items = {name: items_of(_examples(graph, name), records) for name in study.mixtures}
    for mixture in study.mixtures.values():
        described = manifest(
            mixture,
            _examples(graph, mixture.name),
            corpora={corpus: records[corpus] for corpus in mixture.corpora},
            tokens=_token_counts(graph, mixture),
            others=items,
            data_seed=study.data_seed,
        )
        step = graph.mixture_step(mixture.name)
        if step.done() and _json_of(step.folder / "manifest.json") == described:
            continue
        with step.rewriting("manifest.json") as file:
            write_json(file, described, durable=False)


def _json_of(path: Path) -> Any:
    with contextlib.suppress(StoreError):  # a damaged file is rewritten
        return read_json(path)
    return None


def _examples(graph: StepGraph, mixture: str) -> pl.DataFrame:
    return read_step_table(graph.store.mixture_folder(mixture), "examples.parquet")


def corpus_record(graph: StepGraph, corpus: str, *, origins: bool) -> CorpusRecord:
    """Describe a prepared corpus for manifests.

    Args:
        graph: the steps of the study.
        corpus: name of the corpus.
        origins: whether a mixture varies the origin of its texts.
    """
    prepared = graph.corpus(corpus)
    folder = graph.store.corpus_folder(corpus)
    return CorpusRecord(
        languages=graph.study.corpora[corpus].languages,
        fingerprint=prepared["fingerprint"],
        revision=prepared["revision"],
        licence=prepared["licence"],
        origins=read_step_table(folder, "rows.parquet")["origin"] if origins else None,
    )


def _token_counts(graph: StepGraph, mixture: Mixture) -> dict[str, dict[str, np.ndarray]]:
    return {
        model: {corpus: tokens.read(graph.tokens_step(corpus, model).folder).lengths for corpus in mixture.corpora}
        for model in graph.models
    }


def write_runs(graph: StepGraph) -> None:
    """Write run.json of every run, and lock.json, which lists the runs.

    Args:
        graph: the steps of the study.
    """
    store, study = graph.store, graph.study
    lock = store.lock_if_intact()
    before = {} if lock is None else lock["runs"]
    manifests = {name: read_json(store.mixture_folder(name) / "manifest.json") for name in study.mixtures}
    records = {}
    for name, run in graph.runs.items():
        steps = graph.steps(run)
        mixture = "base" if run.mixture is None else run.mixture.name
        record = {"fingerprint": steps.fingerprint, "mixture": mixture, "evaluations": steps.languages}
        known = before.get(name, {})
        if {**record, "record": known.get("record")} == known and store.run_is_recorded(name, known):
            records[name] = known
            continue
        factors = _factors(graph, run, manifests.get(mixture))
        identity = canonical({step.name: step.inputs for step in steps.steps()})
        record["record"] = store.write_run(name, fingerprint=steps.fingerprint, factors=factors, identity=identity)
        records[name] = record
    corpora = {name: graph.corpus(name) for name in graph.corpora}
    store.write_lock(
        {
            "crosslift": __version__,
            "corpora": {
                name: {key: corpus[key] for key in ("revision", "licence", "fingerprint", "num_items")}
                for name, corpus in corpora.items()
            },
            "models": {name: model.record() for name, model in graph.models.items()},
            "tasks": _tasks(graph),
            "runs": records,
        }
    )


def _factors(graph: StepGraph, run: Run, described: dict[str, Any] | None) -> dict[str, Any]:
    """Return one value per column of `scores.RUNS`."""
    mixture = run.mixture
    factors: dict[str, Any] = {
        "run": run.name,
        "model": run.model.name,
        "mixture": "base",
        "family": "",
        "setting": "",
        "seed": run.seed,
        "num_parameters": graph.models[run.model.name].num_parameters,
        "languages": [],
        "num_items": [],
        "num_tokens": [],
        "dose": None,
    }
    if mixture is None or described is None:
        return factors

    def per_language(counts: dict[str, dict[str, int]]) -> list[int]:
        return [sum(counts[corpus].get(tag, 0) for corpus in counts) for tag in mixture.languages]

    return factors | {
        "mixture": mixture.name,
        "family": mixture.family,
        "setting": "+".join(graph.study.tasks_of(mixture)),
        "languages": list(mixture.languages),
        "num_items": per_language(described["counts"]),
        "num_tokens": per_language(described["tokens"][run.model.name]),
        "dose": mixture.dose,
    }


def _tasks(graph: StepGraph) -> dict[str, str]:
    """Return task -> hash of its code when the study was first prepared; if it changes, scores may be recomputed."""
    lock = graph.store.lock_if_intact()
    before = {} if lock is None else lock["tasks"]
    used = sorted({evaluation.task for evaluation in graph.study.evaluations.values()})
    return {name: before.get(name) or task_revision(name) for name in used}


def task_revision(name: str) -> str:
    """Hash the code of a task without importing it.

    Args:
        name: the task.

    Returns:
        Fingerprint of the task's module and of the shared modules for numbers, calls and languages.
    """
    spec = find_spec(module_names("task")[name.partition(":")[0]])
    assert spec is not None
    assert spec.origin is not None
    module = Path(spec.origin)
    evaluation = module.parents[1]
    shared = [*sorted(evaluation.glob("*.py")), *sorted((evaluation.parent / "languages").glob("*.py"))]
    return fingerprint([fingerprint_file(file) for file in (module, *shared)])
