"""Checks of prepared data that concern several corpora or models. They are made before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import numpy as np
import polars as pl

from crosslift.corpora.findings import Policy
from crosslift.corpora.quality import enforce_stop
from crosslift.data_steps.state import limited_steps
from crosslift.errors import StudyError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases import tokens
from crosslift.execution.phases.joined import common_of, read_ids, takes_common
from crosslift.mixtures.mixture import NATIVE, TRANSLATED
from crosslift.studies.study import Study

MACHINE = "mt:"
"""How the origin of machine translations begins."""
MAX_SHOWN = 3
"""Item ids that a message shows."""


def unmatched_items(study: Study, item_ids: Mapping[str, pl.Series]) -> list[str]:
    """Describe evaluations whose joined corpora hold different items, or too few that all of them have.

    Intervals are paired by item id, and languages are compared on the same items; corpora with different items can
    therefore not be joined, unless one of them is read with `incomplete = "drop"`.

    Args:
        study: the study.
        item_ids: corpus -> ids of its items, for the corpora that have been read.

    Returns:
        One sentence per pair of corpora that differ, or per group with too few items in common.
    """
    problems = []
    for place, corpora, needed in _joined(study):
        if not item_ids.keys() >= set(corpora):
            continue
        if takes_common(study, corpora):
            number = len(common_of(item_ids, corpora))
            if number < needed:
                problems.append(
                    f"{place}: {_quoted(corpora)} have {number} items in common, and {needed} are needed. Make the "
                    "missing ones (crosslift data names the file with the reasons), or lower the number."
                )
            continue
        first, *others = corpora
        for other in others:
            differing = sorted(set(item_ids[first]) ^ set(item_ids[other]))
            if differing:
                problems.append(
                    f"{place}: '{first}' and '{other}' hold different items "
                    f"({len(differing)} are in one of them only, such as "
                    f"{', '.join(differing[:MAX_SHOWN])}). Give equal items equal ids, limit both to the same items, "
                    'or set incomplete = "drop" in one of them to take the items that both have.'
                )
    return list(dict.fromkeys(problems))


def _joined(study: Study) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield the joined corpora of evaluations: their place in the study file, their names, and the items needed."""
    for name, evaluation in study.evaluations.items():
        if len(evaluation.corpora) > 1:
            yield f"evaluations.{name}.corpus", evaluation.corpora, 1
        if evaluation.shots is not None and len(evaluation.shots.corpora) > 1:
            yield f"evaluations.{name}.shots.corpus", evaluation.shots.corpora, evaluation.shots.number


def _quoted(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def limited_data(graph: StepGraph) -> list[str]:
    """Describe data of the study that hold only their first items, one sentence each. A rehearsal may use them.

    Args:
        graph: the steps of the study.
    """
    study = graph.study
    return [] if study.results_folder != study.folder else limited_steps(study.folder)


def check_joined(graph: StepGraph, *, say: Callable[[str], None] = lambda _: None) -> None:
    """Check that the prepared corpora of each evaluation hold the same items, or enough in common.

    Args:
        graph: the steps of the study.
        say: called with a line per evaluation that leaves out items because not all of its corpora have them.

    Raises:
        StudyError: they do not.
    """
    groups = list(_joined(graph.study))
    ids = {
        name: one.unique(maintain_order=True)
        for name, one in read_ids(graph, sorted({name for _, corpora, _ in groups for name in corpora})).items()
    }
    if problems := unmatched_items(graph.study, ids):
        raise StudyError(problems)
    for place, corpora, _ in groups:
        most, number = max(len(ids[name]) for name in corpora), len(common_of(ids, corpora))
        if number < most:
            say(f"{place}: {most - number} of {most} items are not in all of {_quoted(corpora)} and are left out")


def check_policies(graph: StepGraph) -> None:
    """Apply policies that are stricter than when the corpora were read, to the findings of then.

    Args:
        graph: the steps of the study, with prepared corpora.

    Raises:
        CorpusError: a check whose policy is now "stop" had found something.
    """
    for name in graph.corpora:
        policies = cast(Mapping[str, Policy], graph.study.corpora[name].checks)
        if "stop" in policies.values():
            enforce_stop(name, graph.store.findings(name), policies)


def check_origins(graph: StepGraph, *, say: Callable[[str], None]) -> None:
    """Compare what mixtures say of the origin of their texts with the rows of the corpora.

    Rows of unknown origin contradict nothing; a line says that nothing proves what the study file says.

    Args:
        graph: the steps of the study.
        say: called with each line.

    Raises:
        StudyError: rows of a corpus that is said to be native are machine translations.
    """
    asked = {
        (corpus, said, tag)
        for mixture in graph.study.mixtures.values()
        for corpus, said in mixture.origins.items()
        for tag in mixture.languages
        if corpus in mixture.corpora
    }
    problems = []
    for corpus, said in sorted({(corpus, said) for corpus, said, _ in asked}):
        tags = sorted(tag for name, what, tag in asked if (name, what) == (corpus, said))
        rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet").filter(pl.col("language").is_in(tags))
        counts = dict(rows.group_by("origin").len().sort("origin").iter_rows())
        machine = {origin: number for origin, number in counts.items() if origin.startswith(MACHINE)}
        shown = ", ".join(f"{origin}: {number}" for origin, number in counts.items())
        if said == NATIVE and machine:
            problems.append(
                f"corpora.{corpus}: a family names it as native, and {sum(machine.values())} of its {rows.height} rows "
                f"are machine translations ({shown}). Name another corpus."
            )
        elif said == NATIVE and "unknown" in counts:
            say(f"corpora.{corpus}: {counts['unknown']} of {rows.height} rows do not say their origin; taken as native")
        elif said == TRANSLATED and len(machine) < len(counts):
            say(f"corpora.{corpus}: not all rows say that they are translated ({shown}); taken as translated")
    if problems:
        raise StudyError(problems)


def check_lengths(graph: StepGraph, *, say: Callable[[str], None]) -> None:
    """Compare the lengths of all examples that runs are trained and validated on with `max_length`, per language.

    With `truncate = true`, truncated examples are reported and only those without any completion are an error.

    Args:
        graph: the steps of the study, with prepared corpora, tokens and mixtures.
        say: called with each line of the report.

    Raises:
        StudyError: examples are too long. The message says how many in each language, and which length suffices.
    """
    config = graph.study.training
    long: list[str] = []
    lost: list[str] = []
    needed = 0
    for (corpus, model), rows in _rows_by_tokenizer(graph).items():
        found = tokens.read(graph.tokens_step(corpus, model).folder)
        lengths, prompts = np.asarray(found.lengths)[rows], np.asarray(found.prompt_lengths)[rows]
        languages = graph.study.corpora[corpus].languages
        by_language = [languages[place] for place in (rows % len(languages)).tolist()]
        place = f"corpora.{corpus}, tokenizer of {model}"
        if (lengths > config.max_length).any():
            long.append(f"{place}: {_by_language(by_language, lengths, lengths > config.max_length)}")
            needed = max(needed, int(lengths.max()))
        without = np.minimum(lengths, config.max_length) <= prompts
        if without.any():
            lost.append(f"{place}: {_by_language(by_language, lengths, without)}")
            needed = max(needed, int(lengths[without].max()))
    if not config.truncate and long:
        raise StudyError(
            [
                f"training.max_length is {config.max_length}, and examples are longer: {part}. Nothing has been "
                f"trained. Set max_length = {needed}, leave these items out, or set truncate = true."
                for part in long
            ]
        )
    if config.truncate and lost:
        raise StudyError(
            [
                f"training.max_length is {config.max_length}, and truncated examples have no completion left: {part}. "
                f"Nothing has been trained. Set max_length = {needed}, or leave these items out."
                for part in lost
            ]
        )
    for part in long:
        say(f"training.truncate: examples over {config.max_length} tokens are truncated. {part}")


def _rows_by_tokenizer(graph: StepGraph) -> dict[tuple[str, str], np.ndarray]:
    """Return (corpus, model) -> sorted rows that runs with the tokenizer of the model are trained or validated on."""
    study, used = graph.study, {}
    first: dict[str, str] = {}
    parts: dict[tuple[str, str], list[np.ndarray]] = {}
    for run in graph.runs.values():
        if run.mixture is None:
            continue
        model = first.setdefault(graph.models[run.model.name].tokenizer, run.model.name)
        if (model, run.mixture.name) in used:
            continue
        used[model, run.mixture.name] = True
        examples = read_step_table(graph.store.mixture_folder(run.mixture.name), "examples.parquet")
        for (corpus,), part in examples.group_by("corpus"):
            parts.setdefault((str(corpus), model), []).append(part["row"].unique().to_numpy())
        for corpus, tags in study.validation_of(run).items():
            languages = study.corpora[corpus].languages
            num_items = graph.corpus(corpus)["num_items"]
            if study.validation is not None and study.validation.max_items is not None:
                num_items = min(num_items, study.validation.max_items)
            places = np.array([languages.index(tag) for tag in tags])
            rows = (np.arange(num_items)[:, None] * len(languages) + places).ravel()
            parts.setdefault((corpus, model), []).append(rows)
    return {key: np.unique(np.concatenate(rows)) for key, rows in sorted(parts.items())}


def _by_language(languages: list[str], lengths: np.ndarray, chosen: np.ndarray) -> str:
    """Count chosen rows per language: `te 45 of 10,000 (longest 3,120)`, languages with the most first."""
    table = (
        pl.DataFrame({"language": languages, "length": lengths, "chosen": chosen})
        .group_by("language", maintain_order=True)
        .agg(rows=pl.len(), chosen=pl.col("chosen").sum(), longest=pl.col("length").max())
        .filter(pl.col("chosen") > 0)
        .sort("chosen", descending=True, maintain_order=True)
    )
    return ", ".join(
        f"{row['language']} {row['chosen']:,} of {row['rows']:,} (longest {row['longest']:,})"
        for row in table.iter_rows(named=True)
    )
