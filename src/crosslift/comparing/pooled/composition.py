"""Which models, mixtures and test items of different studies are the same, whatever they are called.

A model is its content, a mixture its composition: examples per task and language, pairing and repetition, as the
manifest counts them. Test items of two studies are the same if they ask the same and expect the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from crosslift.comparing.name_map import NameMap
from crosslift.comparing.result_set import ResultSet
from crosslift.fingerprint import fingerprint

SHARES = pl.Schema(
    {
        "kind": pl.String,  # "model" or "mixture"
        "name": pl.String,  # name in the pooled tables
        "study": pl.String,
        "own_name": pl.String,
        "same": pl.String,  # what is known to be the same: "content", "examples", "composition", "name"
        "what": pl.String,  # composition of the mixture
    }
)


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What a mixture consists of."""

    amounts: tuple[tuple[str, str, int], ...]
    """(task, language, examples), sorted."""
    pairing: str

    def __str__(self) -> str:
        tasks = {task for task, _, _ in self.amounts}
        parts = [f"{tag} {number}" + (f" ({task})" if len(tasks) > 1 else "") for task, tag, number in self.amounts]
        return ", ".join(parts) + f", {self.pairing}"


def composition(one: ResultSet, mixture: str) -> Composition | None:
    """Return what a mixture consists of; None if its manifest is missing or damaged."""
    manifest = one.manifests.get(mixture)
    if manifest is None:
        return None
    amounts: dict[tuple[str, str], int] = {}
    for corpus, counts in manifest["counts"].items():
        for tag, number in counts.items():
            key = (one.study.corpora[corpus].task, tag)
            amounts[key] = amounts.get(key, 0) + int(number)
    sorted_amounts = tuple((task, tag, number) for (task, tag), number in sorted(amounts.items()) if number)
    return Composition(amounts=sorted_amounts, pairing=str(manifest["pairing"]))


@dataclass(frozen=True, kw_only=True)
class Identities:
    """Common names of the models and mixtures of several studies."""

    models: tuple[dict[str, str], ...]
    """Per study: own name -> common name."""
    mixtures: tuple[dict[str, str], ...]
    table: pl.DataFrame
    """Columns as in SHARES."""


def identities(sets: Sequence[ResultSet], names: NameMap) -> Identities:
    """Give equal models and equal mixtures one name each.

    Args:
        sets: the studies; names of the first one come first.
        names: names of later studies that mean names of the first, for models or mixtures that differ in content.

    Returns:
        The names. A model or mixture with a name that means something else in an earlier study gets the study's label
        behind its name.
    """
    rows: list[list[str]] = []
    models = _common(sets, rows, kind="model", names=names)
    mixtures = _common(sets, rows, kind="mixture", names=names)
    return Identities(
        models=tuple(models), mixtures=tuple(mixtures), table=pl.DataFrame(rows, schema=SHARES, orient="row")
    )


def _common(sets: Sequence[ResultSet], rows: list[list[str]], *, kind: str, names: NameMap) -> list[dict[str, str]]:
    known: dict[str, str] = {}
    """Identity -> common name."""
    examples: dict[str, str] = {}
    found = []
    for place, one in enumerate(sets):
        own: dict[str, str] = {}
        for name in one.runs[kind].unique(maintain_order=True):
            if name == "base":
                own[name] = name
                continue
            paired = names.names.get(kind, {}).get(name) if place else None
            key, what, same = _identity(one, kind, name)
            common = paired or known.get(key)
            if common is None:
                common = name if name not in known.values() else f"{name} of {one.label}"
            known.setdefault(key, common)
            own[name] = common
            if kind == "mixture" and name in one.manifests:
                digest = _digest(one, name)
                same = "examples" if examples.setdefault(common, digest) == digest else same
            rows.append([kind, common, one.label, name, "name" if paired else same, what])
        found.append(own)
    return found


def _identity(one: ResultSet, kind: str, name: str) -> tuple[str, str, str]:
    """Return a key that equal things share, a description, and what the key is made of."""
    if kind == "model":
        content = one.lock["models"].get(name, {}).get("content")
        return (str(content), "", "content") if content else (f"name {name}", "", "name")
    made_of = composition(one, name)
    if made_of is None:
        return f"name {name}", "the manifest is missing", "name"
    return str(made_of), str(made_of), "composition"


def _digest(one: ResultSet, mixture: str) -> str:
    manifest = one.manifests[mixture]
    corpora = sorted(str(record["fingerprint"]) for record in manifest["corpora"].values())
    return fingerprint([manifest["examples_sha256"], corpora])


def items_fingerprint(one: ResultSet, evaluation: str, languages: Sequence[str]) -> str:
    """Fingerprint the test items of an evaluation, so that studies with the same items share their resamples.

    Args:
        one: a study.
        evaluation: its evaluation.
        languages: the languages that are pooled.

    Returns:
        Equal for equal items; if the prepared corpus is missing, that of the corpus.
    """
    chosen = _scored_items(one, evaluation, languages)
    if chosen is None:
        return one.corpus_fingerprint(evaluation)
    return fingerprint(chosen.sort("language", "item_id").rows())


def item_contents(one: ResultSet, evaluation: str, languages: Sequence[str]) -> frozenset[str]:
    """Return the content of the test items in the first of the languages, by which items of two studies are compared;
    empty if the prepared corpus is missing."""
    chosen = _scored_items(one, evaluation, languages[:1])
    return frozenset() if chosen is None else frozenset(chosen["content"])


def _scored_items(one: ResultSet, evaluation: str, languages: Sequence[str]) -> pl.DataFrame | None:
    items = one.test_items(evaluation)
    if items is None:
        return None
    scored = one.scores.filter(evaluation=evaluation).select("language", "item_id").unique()
    return items.filter(pl.col("language").is_in(list(languages))).join(scored, on=["language", "item_id"], how="semi")
