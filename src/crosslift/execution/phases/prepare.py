"""Corpora, tokens and mixtures, before any run: everything that needs the network or is shared by runs.

What is prepared is cheap and follows the study as long as nothing was trained or evaluated on it: change `max_items`
and it is prepared anew. As soon as a result exists, prepared data that disagree with the study stop the program.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crosslift import __version__
from crosslift.chat import load_tokenizer
from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.ingest import read_checked as read_corpus
from crosslift.corpora.leaks import find_leaks
from crosslift.corpora.quality import summary_lines
from crosslift.discover import module_names
from crosslift.errors import LeaseHeld, MixtureError, StaleStep, StoreError
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import Step, StepState
from crosslift.execution.folder.store import read_step_table, write_table
from crosslift.execution.phases import tokens
from crosslift.files import read_json, remove_leftovers, write_json
from crosslift.fingerprint import canonical, fingerprint, fingerprint_array, fingerprint_file
from crosslift.leases import waiting_lease
from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.manifest import CorpusRecord, examples_sha256, items_of, manifest
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.run import Run

Say = Callable[[str], None]


def prepare(graph: StepGraph, *, say: Say) -> None:
    """Make what is missing of corpora, tokens and mixtures, and write down what the runs are.

    Raises:
        StaleStep: prepared data that results depend on disagree with the study.
        CorpusError, MixtureError, TemplateError, StudyError: something must be changed.
    """
    if is_prepared(graph):
        return
    while True:
        try:
            with waiting_lease(graph.store.folder) as lease:
                if not is_prepared(graph):  # else somebody did it while this process waited
                    _prepare(graph, say, lease.check)
            return
        except LeaseHeld:  # taken over by another process while this one was stopped: see what it made
            continue


def _prepare(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    """`check` raises `LeaseHeld` where another process has taken over; then what it made is looked at anew."""
    for kind in ("corpora", "tokens", "mixtures"):
        remove_leftovers(graph.store.folder / kind, below=True)
    _corpora(graph, say, check)
    _tokens(graph, say, check)
    _mixtures(graph, say, check)
    _manifests(graph)
    graph.states()  # stop here if finished runs disagree, before lock.json says otherwise
    check()
    _write_runs(graph)
    graph.hashes.save()


def is_prepared(graph: StepGraph) -> bool:
    """Is everything prepared, and does lock.json say so?"""
    lock = graph.store.lock_if_whole()
    try:
        if lock is None or not all(step.done() for step in graph.prepared_steps()):
            return False
    except StoreError:  # a corpus's marker is damaged
        return False
    recorded = {name: record["fingerprint"] for name, record in lock["runs"].items()}
    if recorded != {name: graph.steps(run).fingerprint for name, run in graph.runs.items()}:
        return False
    return all(graph.store.run_is_recorded(name, record) for name, record in lock["runs"].items())


def _before(graph: StepGraph, step: Step, runs: Iterable[Run], say: Say) -> StepState | None:
    """What is in the folder of a step that must be made; None where there is nothing to do. Damage is told.

    Args:
        runs: those whose results stand on this step.
    """
    state = StepState()
    try:
        state = step.state()
        if state.whole:
            return None
    except StaleStep:
        if any(graph.store.has_results(run.name) for run in runs):
            raise
    for damage in state.damage:
        say(f"damaged: {damage}")
    graph.store.note_damage(step.name, ())
    return state


def _begin(step: Step, before: StepState, key: str, now: Any) -> None:
    """Make the folder ready. Results may stand on what a damaged step held: made again, it must hold the same.

    Args:
        key: of the step's outputs, a hash of what it holds.
        now: that hash of what will be written.

    Raises:
        StoreError: it does not, because the files that it is made of, or a library, have changed.
    """
    was = None if before.outputs is None else before.outputs.get(key)
    if was is not None and was != now:
        raise StoreError(
            f"{step.name} is damaged and cannot be made again: its source gives something else now ({key} was {was}, "
            f"is {now}). Bring the source back that the study began with, or start anew in another folder."
        )
    step.begin()


def _corpora(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    for name in graph.corpora:
        step = graph.corpus_step(name)
        before = _before(graph, step, graph.users_of(name), say)
        if before is None:
            continue
        say(f"Reading corpus {name}")
        for asked in graph.evaluated_on():  # they are made again below, also after a kill in between
            _leaks_file(graph, asked).unlink(missing_ok=True)
        source = graph.study.corpora[name]
        checked = read_corpus(source)
        corpus = checked.corpus
        check()
        _begin(step, before, "fingerprint", corpus.fingerprint())
        write_table(step.folder / "rows.parquet", corpus.rows)
        write_table(step.folder / "findings.parquet", checked.findings)
        step.finish(
            revision=corpus.revision,
            licence=corpus.licence,
            fingerprint=corpus.fingerprint(),
            num_items=corpus.num_items,
            languages={tag: _hash_language(corpus, tag) for tag in corpus.languages},
            notes=list(corpus.notes),
        )
        graph.forget()
    if not all(_leaks_file(graph, asked).is_file() for asked in graph.evaluated_on()):
        _leaks(graph, say)


def _leaks_file(graph: StepGraph, corpus: str) -> Path:
    return graph.store.corpus_folder(corpus) / "leaks.parquet"


def _leaks(graph: StepGraph, say: Say) -> None:
    """Evaluation items that training corpora hold, beside the evaluation's corpus: they change whenever either does."""
    trained = [_prepared(graph, name) for name in graph.trained_on()]
    for name in graph.evaluated_on():
        found = find_leaks(trained, _prepared(graph, name))
        with graph.corpus_step(name).rewriting("leaks.parquet") as file:
            write_table(file, found)
        for line in summary_lines(found):
            say(f"corpora.{name}: {line}")


def _prepared(graph: StepGraph, name: str) -> ParallelCorpus:
    source, read = graph.study.corpora[name], graph.corpus(name)
    return ParallelCorpus(
        name=name,
        task=source.task,
        licence=read["licence"],
        revision=read["revision"],
        languages=source.languages,
        rows=read_step_table(graph.store.corpus_folder(name), "rows.parquet"),
    )


def _hash_language(corpus: ParallelCorpus, tag: str) -> str:
    """Of one language's rows: what other languages the study reads is nothing to a run that does not use them."""
    rows = corpus.rows.gather_every(len(corpus.languages), offset=corpus.languages.index(tag))
    return hashlib.sha256(rows.write_ndjson().encode()).hexdigest()[:16]


def _tokens(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    for corpus, name in graph.tokenised():
        step = graph.tokens_step(corpus, name)
        before = _before(graph, step, graph.users_of(corpus), say)
        if before is None:
            continue
        say(f"Tokenising corpus {corpus} for {name}")
        model = graph.models[name]
        tokenizer = load_tokenizer(model.folder(graph.study.folder), template=model.template)
        found = tokens.tokenise(
            read_step_table(graph.store.corpus_folder(corpus), "rows.parquet"),
            corpus=corpus,
            task=find_task(graph.study.corpora[corpus].task),
            prompt=graph.study.prompts[corpus],
            tokenizer=tokenizer,
        )
        check()
        content = fingerprint_array(found.ids)
        _begin(step, before, "ids", content)
        tokens.write(step.folder, found)
        step.finish(num_tokens=int(found.offsets[-1]), longest=int(found.lengths.max()), ids=content)


def _mixtures(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    store = graph.store
    todo: dict[str, StepState] = {}
    for name, mixture in graph.study.mixtures.items():
        runs = [run for run in graph.runs.values() if run.mixture == mixture]
        before = _before(graph, graph.mixture_step(name), runs, say)
        if before is not None:
            todo[name] = before
    if not todo:
        return
    say(f"Drawing {len(todo)} mixtures" if len(todo) > 1 else f"Drawing mixture {next(iter(todo))}")
    drawn = [graph.study.mixtures[name] for name in todo]
    rows = {
        corpus: read_step_table(store.corpus_folder(corpus), "rows.parquet")
        for corpus in dict.fromkeys(corpus for mixture in drawn for corpus in mixture.corpora)
    }
    problems: list[str] = []
    for mixture in drawn:
        indexes = {corpus: _index(graph, mixture, corpus, rows[corpus]) for corpus in mixture.corpora}
        try:
            examples = draw(mixture, indexes, data_seed=graph.study.data_seed)
        except MixtureError as error:
            problems.append(str(error))
            continue
        check()
        step, content = graph.mixture_step(mixture.name), examples_sha256(examples)
        _begin(step, todo[mixture.name], "examples", content)
        write_table(step.folder / "examples.parquet", examples)
        step.finish(num_examples=examples.height, examples=content)
    if problems:
        raise MixtureError("\n".join(problems))


def _index(graph: StepGraph, mixture: Mixture, corpus: str, rows: pl.DataFrame) -> CorpusIndex:
    lengths = None
    if mixture.unit == "bytes":
        lengths = tokens.lengths_in_bytes(rows)
    elif mixture.unit == "tokens":
        assert mixture.budget is not None
        assert mixture.budget.tokenizer is not None
        lengths = tokens.read(graph.tokens_step(corpus, mixture.budget.tokenizer).folder).lengths
    return corpus_index(corpus, graph.study.corpora[corpus].languages, rows, lengths)


def corpus_index(name: str, languages: tuple[str, ...], rows: pl.DataFrame, lengths: np.ndarray | None) -> CorpusIndex:
    """What a draw needs to know of a corpus.

    Args:
        lengths: of each row in the unit of the mixture's budget, (num_rows,); None for items.
    """
    return CorpusIndex(
        name=name,
        languages=languages,
        item_ids=rows["item_id"].gather_every(len(languages)),
        lengths=None if lengths is None else lengths.reshape(-1, len(languages)),
    )


def _manifests(graph: StepGraph) -> None:
    """Describe the mixtures. A manifest tells what a mixture shares with all others and how many tokens it has for
    every model, so all are written whenever one mixture or model is new."""
    study = graph.study
    records = {corpus: _record(graph, corpus) for corpus in graph.corpora}
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
    with contextlib.suppress(StoreError):  # written anew in any case
        return read_json(path)
    return None


def _examples(graph: StepGraph, mixture: str) -> pl.DataFrame:
    return read_step_table(graph.store.mixture_folder(mixture), "examples.parquet")


def _record(graph: StepGraph, corpus: str) -> CorpusRecord:
    prepared = graph.corpus(corpus)
    return CorpusRecord(
        languages=graph.study.corpora[corpus].languages,
        fingerprint=prepared["fingerprint"],
        revision=prepared["revision"],
        licence=prepared["licence"],
    )


def _token_counts(graph: StepGraph, mixture: Mixture) -> dict[str, dict[str, np.ndarray]]:
    return {
        model: {corpus: tokens.read(graph.tokens_step(corpus, model).folder).lengths for corpus in mixture.corpora}
        for model in graph.models
    }


def _write_runs(graph: StepGraph) -> None:
    """run.json for every run, and lock.json, which names them."""
    store, study = graph.store, graph.study
    lock = store.lock_if_whole()
    before = {} if lock is None else lock["runs"]
    manifests = {name: read_json(store.mixture_folder(name) / "manifest.json") for name in study.mixtures}
    records = {}
    for name, run in graph.runs.items():
        steps = graph.steps(run)
        mixture = "base" if run.mixture is None else run.mixture.name
        tags: dict[str, list[str]] = {}
        for one in steps.evaluations:
            tags.setdefault(one.evaluation.name, []).append(one.language)
        record = {"fingerprint": steps.fingerprint, "mixture": mixture, "evaluations": tags}
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
    """One value per column of `scores.RUNS`."""
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
    """Task -> hash of its code as it was when the study was prepared; scores may be made anew when it has changed."""
    lock = graph.store.lock_if_whole()
    before = {} if lock is None else lock["tasks"]
    used = sorted({evaluation.task for evaluation in graph.study.evaluations.values()})
    return {name: before.get(name) or task_revision(name) for name in used}


def task_revision(name: str) -> str:
    """Hash of the task's module, and of what all tasks read numbers, calls and languages with, without importing it."""
    spec = find_spec(module_names("task")[name])
    assert spec is not None
    assert spec.origin is not None
    module = Path(spec.origin)
    evaluation = module.parents[1]
    shared = [*sorted(evaluation.glob("*.py")), *sorted((evaluation.parent / "languages").glob("*.py"))]
    return fingerprint([fingerprint_file(file) for file in (module, *shared)])
