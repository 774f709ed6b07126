"""Checks before a study is prepared. They write nothing and report all problems at once.

A study file may be valid although its data are not: an item lacks a language, a mixture needs more items than exist, or
a tokenizer has no chat template. Without these checks, such problems would appear one at a time during a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from crosslift.chat import load_tokenizer
from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.ingest import read_checked as read_corpus
from crosslift.corpora.leaks import find_leaks
from crosslift.corpora.quality import summary_lines as findings_in_words
from crosslift.discover import member
from crosslift.errors import CrossliftError, MissingPackage, StudyError
from crosslift.evaluation.requests.likelihood import require_likelihoods
from crosslift.evaluation.task import asks_for_likelihoods
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.base_models import count_parameters, local_folder, template_file
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases import tokens
from crosslift.execution.phases.data_checks import limited_data, unmatched_items
from crosslift.execution.phases.prepared_data import corpus_index
from crosslift.mixtures.draw import draw
from crosslift.mixtures.mixture import Mixture

NUM_SAMPLED = 16
"""Items per corpus that are tokenised with every tokenizer; the first ones reveal missing templates and answers."""

Say = Callable[[str], None]


def preflight(graph: StepGraph, *, say: Say) -> Counter[str]:
    """Read every corpus, draw every mixture, and tokenise a few items of each corpus with each local tokenizer.

    Args:
        graph: the steps of the study.
        say: called with each line of the report.

    Returns:
        Check -> number of rows with a finding of severity "error" that remain in the data. They do not stop a study:
        its policies decide.

    Raises:
        StudyError: contains every problem found.
    """
    problems = _refused(graph) + limited_data(graph)
    errors: Counter[str] = Counter()
    corpora = _corpora(graph, problems, errors, say)
    for name in graph.evaluated_on():
        if name in corpora:
            trained = [corpora[one] for one in graph.trained_on() if one in corpora]
            leaks = find_leaks(trained, corpora[name])
            errors.update(_errors(leaks))
            for line in findings_in_words(leaks):
                say(f"corpora.{name}: {line}")
    problems += unmatched_items(graph.study, {name: one.rows["item_id"].unique() for name, one in corpora.items()})
    tokenizers = _tokenizers(graph, problems, say)
    for corpus in graph.trained_on():
        for tokenizer in tokenizers.values():
            if corpus in corpora:
                _tokens(graph, corpora[corpus], NUM_SAMPLED, tokenizer, problems)
    drawn = 0
    for mixture in graph.study.mixtures.values():
        drawn += _draw(graph, mixture, corpora, tokenizers, problems)
    say(f"{drawn} mixtures can be drawn")
    _generators(graph, problems)
    _harness(graph, corpora, problems)
    if problems:
        raise StudyError(list(dict.fromkeys(problems)))
    return errors


def _generators(graph: StepGraph, problems: list[str]) -> None:
    """Find evaluations by likelihood whose generator returns no log-probabilities of given texts."""
    for one in graph.study.evaluations.values():
        if asks_for_likelihoods(find_task(one.task)):
            try:
                require_likelihoods(member("generator", one.generator).Generator, one.generator)
            except CrossliftError as error:
                problems.append(f"evaluations.{one.name}: {error}")


def _harness(graph: StepGraph, corpora: Mapping[str, ParallelCorpus], problems: list[str]) -> None:
    """Find problems that only the program knows whose task is evaluated."""
    for one in graph.study.evaluations.values():
        check = getattr(find_task(one.task), "problems", None)
        if check is not None and one.corpus in corpora:
            try:
                problems.extend(check(graph.study.corpora[one.corpus], one.metric))
            except CrossliftError as error:
                problems.append(str(error))


def _errors(findings: pl.DataFrame, dropped: Collection[str] = ()) -> dict[str, int]:
    """Return check -> rows with findings of severity "error", without checks that drop the items."""
    rows = findings.filter(pl.col("severity") == "error")
    counts: dict[str, int] = dict(rows["check"].value_counts().iter_rows())
    return {check: count for check, count in counts.items() if check not in dropped}


def _refused(graph: StepGraph) -> list[str]:
    """Return the settings that the study's trainer does not support, one sentence each."""
    training = graph.study.training
    refused = getattr(member("trainer", training.trainer), "refused", None)
    return [] if refused is None or not graph.study.mixtures else list(refused(training))


def _corpora(graph: StepGraph, problems: list[str], errors: Counter[str], say: Say) -> dict[str, ParallelCorpus]:
    found: dict[str, ParallelCorpus] = {}
    for name in graph.corpora:
        source = graph.study.corpora[name]
        reader = member("reader", source.reader)
        if source.path is None and hasattr(reader, "HUB"):
            say(f"corpora.{name}: {reader.HUB} is a data set of the hub; crosslift prepare downloads it")
            continue
        try:
            checked = read_corpus(source)
        except CrossliftError as error:
            problems.append(str(error))
            continue
        corpus = found[name] = checked.corpus
        errors.update(_errors(checked.findings, [one for one, policy in source.checks.items() if policy == "drop"]))
        say(f"corpora.{name}: {corpus.num_items} items in {', '.join(corpus.languages)}")
        for line in (*corpus.notes, *findings_in_words(checked.findings)):
            say(f"corpora.{name}: {line}")
    return found


def _tokenizers(graph: StepGraph, problems: list[str], say: Say) -> dict[str, Any]:
    """Return model -> tokenizer for the models that are available locally."""
    found: dict[str, Any] = {}
    for name, model in graph.wanted_models().items():
        try:
            folder = local_folder(name, model.path, graph.study.folder)
            if folder is None:
                say(f"models.{name}: {model.path} is a model of the hub; crosslift prepare downloads it")
                continue
            say(f"models.{name}: {count_parameters(name, folder):,} parameters")
        except CrossliftError as error:
            problems.append(str(error))
            continue
        try:
            found[name] = load_tokenizer(folder, template=template_file(model, graph.study.folder))
        except MissingPackage as error:  # the same for all models
            problems.append(str(error))
        except CrossliftError as error:
            problems.append(str(error) if str(error).startswith("models.") else f"models.{name}: {error}")
    return found


def _tokens(
    graph: StepGraph, corpus: ParallelCorpus, num_items: int, tokenizer: Any, problems: list[str]
) -> np.ndarray | None:
    """Return the lengths in tokens of the rows of the first items; None if they cannot be tokenised."""
    try:
        found = tokens.tokenise(
            corpus.rows.head(num_items * len(corpus.languages)),
            corpus=corpus.name,
            task=find_task(corpus.task),
            prompt=graph.study.prompts[corpus.name],
            tokenizer=tokenizer,
        )
    except CrossliftError as error:
        problems.append(str(error))
        return None
    return found.lengths


def _draw(
    graph: StepGraph,
    mixture: Mixture,
    corpora: Mapping[str, ParallelCorpus],
    tokenizers: Mapping[str, Any],
    problems: list[str],
) -> bool:
    """Return whether a mixture was drawn. Mixtures of an invalid corpus or tokenizer, reported already, are skipped."""
    indexes = {}
    for name in mixture.corpora:
        if name not in corpora:
            return False
        corpus, lengths = corpora[name], None
        if mixture.unit == "bytes":
            lengths = tokens.lengths_in_bytes(corpus.rows)
        elif mixture.unit == "tokens":
            assert mixture.budget is not None
            tokenizer = tokenizers.get(mixture.budget.tokenizer or "")
            lengths = None if tokenizer is None else _tokens(graph, corpus, corpus.num_items, tokenizer, problems)
            if lengths is None:
                return False
        indexes[name] = corpus_index(name, corpus.languages, corpus.rows, lengths)
    try:
        draw(mixture, indexes, data_seed=graph.study.data_seed)
    except CrossliftError as error:
        problems.append(str(error))
        return False
    return True
