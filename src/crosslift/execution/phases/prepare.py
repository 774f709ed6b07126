"""Corpora, tokens and mixtures, before any run: everything that needs the network or is shared by runs.

What is prepared is cheap and follows the study as long as nothing was trained or evaluated on it: change `max_items`
and it is prepared anew. As soon as a result exists, prepared data that disagree with the study stop the program.
"""

from __future__ import annotations

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
from crosslift.corpora.ingest import read as read_corpus
from crosslift.corpora.leaks import find_leaks
from crosslift.corpora.quality import in_words
from crosslift.discover import module_names
from crosslift.errors import MixtureError
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.ledger import Ledger
from crosslift.execution.folder.steps import Step
from crosslift.execution.folder.store import read_table, write_table
from crosslift.execution.phases import tokens
from crosslift.files import read_json, write_json
from crosslift.fingerprint import canonical, fingerprint, fingerprint_file
from crosslift.leases import waiting_claim
from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.manifest import CorpusRecord, items_of, manifest
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.run import Run

Say = Callable[[str], None]


def prepare(ledger: Ledger, *, say: Say) -> None:
    """Make what is missing of corpora, tokens and mixtures, and write down what the runs are.

    Raises:
        StaleStep: prepared data that results depend on disagree with the study.
        CorpusError, MixtureError, TemplateError, StudyError: something must be changed.
    """
    if ready(ledger):
        return
    with waiting_claim(ledger.store.folder):
        if ready(ledger):  # somebody else did it while this process waited
            return
        _corpora(ledger, say)
        _tokens(ledger, say)
        _mixtures(ledger, say)
        _manifests(ledger)
        ledger.states()  # stop here if finished runs disagree, before lock.json says otherwise
        _write_runs(ledger)
        ledger.hashes.save()


def ready(ledger: Ledger) -> bool:
    """Is everything prepared, and does lock.json say so?"""
    if not ledger.store.lock_file.is_file() or not all(step.done() for step in ledger.prepared_steps()):
        return False
    recorded = {name: record["fingerprint"] for name, record in ledger.store.lock()["runs"].items()}
    return recorded == {name: ledger.steps(run).fingerprint for name, run in ledger.runs.items()}


def _begin(ledger: Ledger, step: Step, runs: Iterable[Run]) -> bool:
    """Is there something to do? Then the folder is made ready. `runs`: those whose results stand on this step."""
    if step.done():
        return False
    if any(ledger.store.has_results(run.name) for run in runs):
        step.result()  # raises, naming the change, where the step was finished with other inputs
    step.begin()
    return True


def _corpora(ledger: Ledger, say: Say) -> None:
    anew = False
    for name in ledger.corpora:
        step = ledger.corpus_step(name)
        if not _begin(ledger, step, ledger.users_of(name)):
            continue
        say(f"Reading corpus {name}")
        source = ledger.study.corpora[name]
        checked = read_corpus(source)
        corpus = checked.corpus
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
        ledger.forget()
        anew = True
    if anew:
        _leaks(ledger, say)


def _leaks(ledger: Ledger, say: Say) -> None:
    """Evaluation items that training corpora hold, beside the evaluation's corpus: they change whenever either does."""
    trained = [_prepared(ledger, name) for name in ledger.trained_on()]
    for name in ledger.evaluated_on():
        found = find_leaks(trained, _prepared(ledger, name))
        write_table(ledger.store.corpus_folder(name) / "leaks.parquet", found)
        for line in in_words(found):
            say(f"corpora.{name}: {line}")


def _prepared(ledger: Ledger, name: str) -> ParallelCorpus:
    source, read = ledger.study.corpora[name], ledger.corpus(name)
    return ParallelCorpus(
        name=name,
        task=source.task,
        licence=read["licence"],
        revision=read["revision"],
        languages=source.languages,
        rows=read_table(ledger.store.corpus_folder(name) / "rows.parquet"),
    )


def _hash_language(corpus: ParallelCorpus, tag: str) -> str:
    """Of one language's rows: what other languages the study reads is nothing to a run that does not use them."""
    rows = corpus.rows.gather_every(len(corpus.languages), offset=corpus.languages.index(tag))
    return hashlib.sha256(rows.write_ndjson().encode()).hexdigest()[:16]


def _tokens(ledger: Ledger, say: Say) -> None:
    for corpus, name in ledger.tokenised():
        step = ledger.tokens_step(corpus, name)
        if not _begin(ledger, step, ledger.users_of(corpus)):
            continue
        say(f"Tokenising corpus {corpus} for {name}")
        model = ledger.models[name]
        tokenizer = load_tokenizer(model.folder(ledger.study.folder), template=model.template)
        found = tokens.tokenise(
            read_table(ledger.store.corpus_folder(corpus) / "rows.parquet"),
            corpus=corpus,
            task=find_task(ledger.study.corpora[corpus].task),
            prompt=ledger.study.prompts[corpus],
            tokenizer=tokenizer,
        )
        tokens.write(step.folder, found)
        step.finish(num_tokens=int(found.offsets[-1]), longest=int(found.lengths.max()))


def _mixtures(ledger: Ledger, say: Say) -> None:
    store = ledger.store
    todo = []
    for name, mixture in ledger.study.mixtures.items():
        runs = [run for run in ledger.runs.values() if run.mixture == mixture]
        if _begin(ledger, ledger.mixture_step(name), runs):
            todo.append(name)
    if not todo:
        return
    say(f"Drawing {len(todo)} mixtures" if len(todo) > 1 else f"Drawing mixture {todo[0]}")
    drawn = [ledger.study.mixtures[name] for name in todo]
    rows = {
        corpus: read_table(store.corpus_folder(corpus) / "rows.parquet")
        for corpus in dict.fromkeys(corpus for mixture in drawn for corpus in mixture.corpora)
    }
    problems: list[str] = []
    for mixture in drawn:
        indexes = {corpus: _index(ledger, mixture, corpus, rows[corpus]) for corpus in mixture.corpora}
        try:
            examples = draw(mixture, indexes, data_seed=ledger.study.data_seed)
        except MixtureError as error:
            problems.append(str(error))
            continue
        write_table(store.mixture_folder(mixture.name) / "examples.parquet", examples)
        ledger.mixture_step(mixture.name).finish(num_examples=examples.height)
    if problems:
        raise MixtureError("\n".join(problems))


def _index(ledger: Ledger, mixture: Mixture, corpus: str, rows: pl.DataFrame) -> CorpusIndex:
    lengths = None
    if mixture.unit == "bytes":
        lengths = tokens.lengths_in_bytes(rows)
    elif mixture.unit == "tokens":
        assert mixture.budget is not None
        assert mixture.budget.tokenizer is not None
        lengths = tokens.read(ledger.tokens_step(corpus, mixture.budget.tokenizer).folder).lengths
    return corpus_index(corpus, ledger.study.corpora[corpus].languages, rows, lengths)


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


def _manifests(ledger: Ledger) -> None:
    """Describe the mixtures. A manifest tells what a mixture shares with all others and how many tokens it has for
    every model, so all are written whenever one mixture or model is new."""
    store, study = ledger.store, ledger.study
    records = {corpus: _record(ledger, corpus) for corpus in ledger.corpora}
    items = {name: items_of(_examples(ledger, name), records) for name in study.mixtures}
    for mixture in study.mixtures.values():
        described = manifest(
            mixture,
            _examples(ledger, mixture.name),
            corpora={corpus: records[corpus] for corpus in mixture.corpora},
            tokens=_token_counts(ledger, mixture),
            others=items,
            data_seed=study.data_seed,
        )
        file = store.mixture_folder(mixture.name) / "manifest.json"
        if read_json(file) != described:
            write_json(file, described, durable=False)


def _examples(ledger: Ledger, mixture: str) -> pl.DataFrame:
    return read_table(ledger.store.mixture_folder(mixture) / "examples.parquet")


def _record(ledger: Ledger, corpus: str) -> CorpusRecord:
    prepared = ledger.corpus(corpus)
    return CorpusRecord(
        languages=ledger.study.corpora[corpus].languages,
        fingerprint=prepared["fingerprint"],
        revision=prepared["revision"],
        licence=prepared["licence"],
    )


def _token_counts(ledger: Ledger, mixture: Mixture) -> dict[str, dict[str, np.ndarray]]:
    return {
        model: {corpus: tokens.read(ledger.tokens_step(corpus, model).folder).lengths for corpus in mixture.corpora}
        for model in ledger.models
    }


def _write_runs(ledger: Ledger) -> None:
    """run.json for every run, and lock.json, which names them."""
    store, study = ledger.store, ledger.study
    before = store.lock()["runs"] if store.lock_file.is_file() else {}
    manifests = {name: read_json(store.mixture_folder(name) / "manifest.json") for name in study.mixtures}
    records = {}
    for name, run in ledger.runs.items():
        steps = ledger.steps(run)
        mixture = "base" if run.mixture is None else run.mixture.name
        tags: dict[str, list[str]] = {}
        for one in steps.evaluations:
            tags.setdefault(one.evaluation.name, []).append(one.language)
        records[name] = {"fingerprint": steps.fingerprint, "mixture": mixture, "evaluations": tags}
        if before.get(name) != records[name]:
            factors = _factors(ledger, run, manifests.get(mixture))
            identity = {step.name: step.inputs for step in steps.steps()}
            store.write_run(name, fingerprint=steps.fingerprint, factors=factors, identity=canonical(identity))
    corpora = {name: ledger.corpus(name) for name in ledger.corpora}
    store.write_lock(
        {
            "crosslift": __version__,
            "corpora": {
                name: {key: corpus[key] for key in ("revision", "licence", "fingerprint", "num_items")}
                for name, corpus in corpora.items()
            },
            "models": {name: model.record() for name, model in ledger.models.items()},
            "tasks": _tasks(ledger),
            "runs": records,
        }
    )


def _factors(ledger: Ledger, run: Run, described: dict[str, Any] | None) -> dict[str, Any]:
    """One value per column of `scores.RUNS`."""
    mixture = run.mixture
    factors: dict[str, Any] = {
        "run": run.name,
        "model": run.model.name,
        "mixture": "base",
        "family": "",
        "setting": "",
        "seed": run.seed,
        "num_parameters": ledger.models[run.model.name].num_parameters,
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
        "setting": "+".join(ledger.study.tasks_of(mixture)),
        "languages": list(mixture.languages),
        "num_items": per_language(described["counts"]),
        "num_tokens": per_language(described["tokens"][run.model.name]),
        "dose": mixture.dose,
    }


def _tasks(ledger: Ledger) -> dict[str, str]:
    """Task -> hash of its code as it was when the study was prepared; scores may be made anew when it has changed."""
    before = ledger.store.lock()["tasks"] if ledger.store.lock_file.is_file() else {}
    used = sorted({evaluation.task for evaluation in ledger.study.evaluations.values()})
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
