"""`manifest.json`: the actual content of a mixture, computed from its examples and not from its specification.

The manifest shows without the data whether two mixtures differ in one language only, or also in tokens, in their items
or in repetitions: it has counts and tokens per language, fertility on the same items, the overlap with every other
mixture of the study, and hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from crosslift.mixtures.draw import STAGE
from crosslift.mixtures.mixture import Mixture

ENGLISH = "en"

Items = dict[str, np.ndarray]
"""Corpus -> mask of the items in use, bool, (num_items,) or shorter; items beyond the end are not used."""


@dataclass(frozen=True, kw_only=True)
class CorpusRecord:
    """Description of a corpus in the manifest."""

    languages: tuple[str, ...]
    fingerprint: str
    revision: str
    licence: str
    origins: pl.Series | None = None
    """Origin of each row, such as "human" and "mt:<system>", for mixtures that vary it."""


def manifest(
    mixture: Mixture,
    examples: pl.DataFrame,
    *,
    corpora: Mapping[str, CorpusRecord],
    tokens: Mapping[str, Mapping[str, np.ndarray]],
    others: Mapping[str, Items],
    data_seed: int,
) -> dict[str, Any]:
    """Build the manifest of a sampled mixture.

    Args:
        mixture: the mixture.
        examples: its examples, as `draw` returns them.
        corpora: corpus name -> description, for every corpus of the mixture.
        tokens: model -> corpus -> tokens of each row, prompt and completion, shape (num_rows,).
        others: mixture -> its items (see `items_of`), for the overlap.
        data_seed: seed of the sample.

    Returns:
        In JSON types: "mixture", "languages" (trained on), "num_examples", "num_items" (distinct, all corpora),
        "counts" and "unique_items" {corpus: {language: n}}, "tokens" {model: {corpus: {language: n}}} of one epoch,
        "fertility" {model: {language: x}}: tokens of the language's items / tokens of the same items in English, null
        if a corpus has no English; "overlap" {other mixture: shared items}, "examples_sha256", "corpora" {corpus:
        {"fingerprint", "revision", "licence"}}, "data_seed", "pairing", "order", "budget", "factors". If the mixture
        limits the number of different items, "most_uses" {corpus: {language: n}}: of one item. If it has stages,
        "stages": of each, in order, "counts" {corpus: {language: n}}, and "replayed", those of them that an earlier
        stage has. If it varies the origin of texts, "origins": {corpus: {"as": "native" or "translated", "counts":
        {language: {origin of the rows: n}}}}.
    """
    counts = _per_language(mixture, examples, pl.len())
    items = items_of(examples, corpora)
    described: dict[str, Any] = {
        "mixture": mixture.name,
        "languages": list(mixture.languages),
        "num_examples": examples.height,
        "num_items": sum(int(used.sum()) for used in items.values()),
        "counts": counts,
        "unique_items": _per_language(mixture, examples, pl.col("row").n_unique()),
        "tokens": {model: _tokens(mixture, examples, lengths) for model, lengths in tokens.items()},
        "fertility": {model: _fertility(mixture, examples, corpora, lengths) for model, lengths in tokens.items()},
        "overlap": {name: shared_items(items, other) for name, other in others.items() if name != mixture.name},
        "examples_sha256": examples_sha256(examples),
        "corpora": {
            corpus: {key: getattr(corpora[corpus], key) for key in ("fingerprint", "revision", "licence")}
            for corpus in mixture.corpora
        },
        "data_seed": data_seed,
        "pairing": mixture.pairing,
        "order": mixture.order,
        "budget": _budget(mixture),
        "factors": dict(mixture.factors),
    }
    if mixture.limits:
        uses = examples.group_by("corpus", "language", "row").len()
        described["most_uses"] = _per_language(mixture, uses, pl.col("len").max())
    if mixture.origins and all(corpora[corpus].origins is not None for corpus in mixture.corpora):
        described["origins"] = {
            corpus: {"as": mixture.origins[corpus], "counts": _origins(examples.filter(corpus=corpus), corpora[corpus])}
            for corpus in mixture.corpora
        }
    if mixture.stages:
        described["stages"] = _stages(mixture, examples)
    return described


def _origins(examples: pl.DataFrame, record: CorpusRecord) -> dict[str, dict[str, int]]:
    assert record.origins is not None
    origins = record.origins.gather(examples["row"].cast(pl.UInt32)).alias("origin")
    counted = examples.select("language", origins).group_by("language", "origin").len().sort("language", "origin")
    found: dict[str, dict[str, int]] = {}
    for tag, origin, number in counted.iter_rows():
        found.setdefault(tag, {})[origin] = number
    return found


def _budget(mixture: Mixture) -> dict[str, Any] | None:
    if mixture.budget is None:
        return None
    found = asdict(mixture.budget)
    if found["if_fewer"] == "error":  # as before there was a choice
        del found["if_fewer"]
    return found


def _stages(mixture: Mixture, examples: pl.DataFrame) -> list[dict[str, Any]]:
    first = pl.col(STAGE).min().over("corpus", "row")
    marked = examples.with_columns(again=first < pl.col(STAGE))
    found = []
    for number in range(len(mixture.stages)):
        here = marked.filter(pl.col(STAGE) == number)
        found.append(
            {
                "counts": _per_language(mixture, here, pl.len()),
                "replayed": _per_language(mixture, here.filter("again"), pl.len()),
            }
        )
    return found


def items_of(examples: pl.DataFrame, corpora: Mapping[str, CorpusRecord]) -> Items:
    """Masks of the items that the examples use in any language, one byte per item of the corpus."""
    used: Items = {}
    for (corpus,), part in examples.group_by("corpus"):
        rows = part["row"].to_numpy() // len(corpora[str(corpus)].languages)
        used[str(corpus)] = np.bincount(rows).astype(bool)
    return used


def shared_items(one: Items, other: Items) -> int:
    """Number of items that two mixtures have in common, in any language."""
    total = 0
    for corpus in one.keys() & other.keys():
        length = min(len(one[corpus]), len(other[corpus]))
        total += int(np.count_nonzero(one[corpus][:length] & other[corpus][:length]))
    return total


def examples_sha256(examples: pl.DataFrame) -> str:
    """SHA-256 of `corpus,item_id,language,repeat` as CSV with a header, in training order.

    It hashes the content and not the Parquet file, whose bytes depend on the version of the library that writes it, so
    that any tool can verify it.
    """
    digest = hashlib.sha256()
    columns = ["corpus", "item_id", "language", "repeat"]
    for i, part in enumerate(examples.select(columns).iter_slices(1_000_000)):
        digest.update(part.write_csv(include_header=i == 0).encode())
    return digest.hexdigest()


def _per_language(mixture: Mixture, examples: pl.DataFrame, what: pl.Expr) -> dict[str, dict[str, int]]:
    """{corpus: {language: n}}, zeros included, in the order of the mixture."""
    table = examples.group_by("corpus", "language").agg(what.alias("n"))
    found = {(corpus, tag): n for corpus, tag, n in table.select("corpus", "language", "n").iter_rows()}
    counts: dict[str, dict[str, int]] = {}
    for corpus, tag in mixture.amounts():
        counts.setdefault(corpus, {})[tag] = int(found.get((corpus, tag), 0))
    return counts


def _tokens(mixture: Mixture, examples: pl.DataFrame, lengths: Mapping[str, np.ndarray]) -> dict[str, dict[str, int]]:
    parts = [
        part.with_columns(tokens=lengths[str(corpus)][part["row"].to_numpy()].astype(np.int64))
        for (corpus,), part in examples.group_by("corpus")
    ]
    return _per_language(mixture, pl.concat(parts), pl.col("tokens").sum())


def _fertility(
    mixture: Mixture, examples: pl.DataFrame, corpora: Mapping[str, CorpusRecord], lengths: Mapping[str, np.ndarray]
) -> dict[str, float | None]:
    fertility: dict[str, float | None] = dict.fromkeys(mixture.languages)
    if any(ENGLISH not in corpora[corpus].languages for corpus in mixture.corpora):
        return fertility
    own = dict.fromkeys(mixture.languages, 0)
    english = dict.fromkeys(mixture.languages, 0)
    for (corpus, tag), part in examples.group_by("corpus", "language"):
        languages = corpora[str(corpus)].languages
        rows = part["row"].unique().to_numpy()
        counted = lengths[str(corpus)]
        own[str(tag)] += int(counted[rows].sum())
        english[str(tag)] += int(counted[rows - languages.index(str(tag)) + languages.index(ENGLISH)].sum())
    return {tag: own[tag] / english[tag] if english[tag] else None for tag in mixture.languages}
