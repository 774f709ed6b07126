"""Corpora, tokens and mixtures of a study: the steps that are missing or damaged are made.

A damaged step on which results may depend is restored identically, or the study stops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crosslift.chat import load_tokenizer
from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.ingest import read_checked as read_corpus
from crosslift.corpora.leaks import find_leaks
from crosslift.corpora.quality import summary_lines
from crosslift.errors import MixtureError, StoreError
from crosslift.evaluation.task import task as find_task
from crosslift.execution.definitions.equal_content import first_drawing, first_reading
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import Step, StepState
from crosslift.execution.folder.tables import read_step_table, write_table
from crosslift.execution.phases import tokens
from crosslift.fingerprint import fingerprint_array
from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.manifest import examples_sha256
from crosslift.mixtures.mixture import Mixture

Say = Callable[[str], None]
LEAKS = "leaks.parquet"
"""In the folder of an evaluation's corpus: its items that occur in a training corpus of the study."""


def _before(graph: StepGraph, step: Step, say: Say) -> StepState | None:
    """Return the state of a step that must be run; None if it is finished and intact. Damage is reported.

    Args:
        graph: the steps of the study.
        step: the step.
        say: called with each line about damage.
    """
    state = step.state()
    if state.intact:
        return None
    for damage in state.damage:
        say(f"damaged: {damage}")
    graph.store.note_damage(step.name, ())
    return state


def _begin(step: Step, before: StepState, key: str, now: Any) -> None:
    """Prepare the folder of a step. A damaged step on which results may depend must be restored identically.

    Args:
        step: the step.
        before: result of `_before`.
        key: the step's output that holds a hash of its content.
        now: the hash of the new content.

    Raises:
        StoreError: the content differs, because the source files or a library have changed.
    """
    was = None if before.outputs is None else before.outputs.get(key)
    if was is not None and was != now:
        raise StoreError(
            f"{step.name} is damaged and cannot be restored: the content of its source has changed ({key} was {was} "
            f"and is now {now}). Restore the original source, or start again in another folder."
        )
    step.begin()


def make_corpora(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    """Read the corpora, run their checks, and find leaks into the corpora of evaluations.

    Args:
        graph: the steps of the study.
        say: called with each line of progress.
        check: called before anything is written; raises if another process has taken over.

    Raises:
        CorpusError: a corpus cannot be read, or a check stops it.
        StoreError: a damaged step cannot be restored.
    """
    for name in graph.corpora:
        step = graph.corpus_step(name)
        if step.done():
            continue
        before = _before(graph, step, say)
        for evaluated in graph.evaluated_on():  # rewritten below, also if the process is killed in between
            graph.corpus_step(evaluated).discard(LEAKS)
        if step.done():  # only the leaks were damaged
            continue
        if before is None:
            step.take_back()
            step.discard(LEAKS)
            graph.forget()
            continue
        say(f"Reading corpus {name}")
        source = graph.study.corpora[name]
        checked = read_corpus(source)
        corpus = checked.corpus
        check()
        hashes = {tag: _hash_language(corpus, tag) for tag in corpus.languages}
        was = (before.outputs or {}).get("read_as")  # a damaged reading is restored as it was
        first = was or first_reading(step, hashes=hashes, num_items=corpus.num_items)
        _begin(step, before, "fingerprint", corpus.fingerprint())
        write_table(step.folder / "rows.parquet", corpus.rows)
        write_table(step.folder / "findings.parquet", checked.findings)
        step.finish(
            revision=corpus.revision,
            licence=corpus.licence,
            fingerprint=corpus.fingerprint(),
            num_items=corpus.num_items,
            languages=hashes,
            notes=list(corpus.notes),
            **({} if first is None else {"read_as": first}),
        )
        graph.forget()
    if not all(_leaks_file(graph, evaluated).is_file() for evaluated in graph.evaluated_on()):
        _leaks(graph, say)


def _leaks_file(graph: StepGraph, corpus: str) -> Path:
    return graph.store.corpus_folder(corpus) / LEAKS


def _leaks(graph: StepGraph, say: Say) -> None:
    """Find evaluation items that occur in training corpora, and write them to the folder of the evaluation's corpus."""
    trained = [_prepared(graph, name) for name in graph.trained_on()]
    for name in graph.evaluated_on():
        found = find_leaks(trained, _prepared(graph, name))
        with graph.corpus_step(name).rewriting(LEAKS) as file:
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
    """Hash the rows of one language, so that a run does not depend on languages that it does not use."""
    rows = corpus.rows.gather_every(len(corpus.languages), offset=corpus.languages.index(tag))
    return hashlib.sha256(rows.write_ndjson().encode()).hexdigest()[:16]


def make_tokens(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    """Tokenise the corpora that are trained on; arguments as for `make_corpora`.

    Raises:
        TemplateError: a tokenizer has no usable chat template.
        StoreError: a damaged step cannot be restored.
    """
    for corpus, name in graph.tokenised():
        step = graph.tokens_step(corpus, name)
        if step.done() or step.take_back() or (before := _before(graph, step, say)) is None:
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


def make_mixtures(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    """Draw the mixtures; arguments as for `make_corpora`.

    Raises:
        MixtureError: corpora hold too few items; the error lists all mixtures that cannot be drawn.
        StoreError: a damaged step cannot be restored.
    """
    store = graph.store
    todo: dict[str, StepState] = {}
    for name in graph.study.mixtures:
        step = graph.mixture_step(name)
        if not (step.done() or step.take_back()) and (before := _before(graph, step, say)) is not None:
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
        indexes = {corpus: mixture_index(graph, mixture, corpus, rows[corpus]) for corpus in mixture.corpora}
        try:
            examples = draw(mixture, indexes, data_seed=graph.study.data_seed)
        except MixtureError as error:
            problems.append(str(error))
            continue
        check()
        step, content = graph.mixture_step(mixture.name), examples_sha256(examples)
        was = (todo[mixture.name].outputs or {}).get("drawn_as")
        first = was or first_drawing(step, examples=content)
        _begin(step, todo[mixture.name], "examples", content)
        write_table(step.folder / "examples.parquet", examples)
        step.finish(num_examples=examples.height, examples=content, **({} if first is None else {"drawn_as": first}))
    graph.forget()
    if problems:
        raise MixtureError("\n".join(problems))


def mixture_index(graph: StepGraph, mixture: Mixture, corpus: str, rows: pl.DataFrame) -> CorpusIndex:
    """Build the index of a prepared corpus with lengths in the unit of a mixture's budget.

    Args:
        graph: the steps of the study.
        mixture: the mixture.
        corpus: one of its corpora.
        rows: the rows of the corpus.

    Returns:
        The index.
    """
    lengths = None
    if mixture.unit == "bytes":
        lengths = tokens.lengths_in_bytes(rows)
    elif mixture.unit == "tokens":
        assert mixture.budget is not None
        assert mixture.budget.tokenizer is not None
        lengths = tokens.read(graph.tokens_step(corpus, mixture.budget.tokenizer).folder).lengths
    return corpus_index(corpus, graph.study.corpora[corpus].languages, rows, lengths)


def corpus_index(name: str, languages: tuple[str, ...], rows: pl.DataFrame, lengths: np.ndarray | None) -> CorpusIndex:
    """Build the index of a corpus from which mixtures are drawn.

    Args:
        name: the corpus.
        languages: its languages, in row order.
        rows: its rows, shape (num_items * num_languages,).
        lengths: length of each row in the unit of the mixture's budget, shape (num_rows,); None for the unit "items".

    Returns:
        The index.
    """
    return CorpusIndex(
        name=name,
        languages=languages,
        item_ids=rows["item_id"].gather_every(len(languages)),
        lengths=None if lengths is None else lengths.reshape(-1, len(languages)),
    )
