"""The data of a pilot: which items it uses, of which how many are held out, and what has to be translated."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.ingest import read_checked
from crosslift.errors import StudyError
from crosslift.piloting.request import MIN_TEST, PilotRequest

MAX_TEST = 200
"""Most items to test with by default."""
MAX_TRAIN = 2000
"""Most items to train on."""
MIN_TRAIN = 40
"""Fewest items to train on."""
TEST_SHARE = 0.25
"""Share of the items of a pilot that it tests with by default."""
USABLE = 0.95
"""Share of translated items that mixtures count on; a translation sets aside what it cannot verify."""


@dataclass(frozen=True, kw_only=True)
class PilotData:
    """Items of a pilot in the languages that exist."""

    train: pl.DataFrame
    """Columns of `corpora.corpus.ROWS`."""
    test: pl.DataFrame
    num_train: int
    """Items to train on."""
    num_test: int
    num_usable: int
    """Training items that a mixture may ask for."""
    num_all: int
    """Items of the user's training data, without those that are held out."""
    cost: float
    """Cost of the translations."""
    licence: str


def pilot_data(request: PilotRequest) -> PilotData:
    """Read the data and choose the items of the pilot.

    Items are chosen by a hash of their cluster, so that a larger pilot keeps the items of a smaller one, and dependent
    items are not divided between training and test.

    Raises:
        CorpusError: the data cannot be read or are not parallel.
        StudyError: there are too few items, or the budget allows too few.
    """
    source = read_checked(replace(request.source, incomplete="drop")).corpus
    rows = _in_order_of_hash(source)
    test_rows = rows
    if request.test is not None:
        test_rows = _in_order_of_hash(read_checked(replace(request.test, incomplete="drop")).corpus)
    affordable = _affordable(request)
    num_all = _num_items(rows)
    most = min(affordable, num_all if request.test is None else num_all + _num_items(test_rows))
    wanted = request.num_test_items
    num_test = min(MAX_TEST, max(MIN_TEST, round(TEST_SHARE * most))) if wanted is None else wanted
    test = _first_clusters(test_rows, num_test)
    num_test = _num_items(test)
    left = rows.join(test.select("cluster").unique(), on="cluster", how="anti", maintain_order="left")
    train = _first_items(left, min(MAX_TRAIN, int(max(most - num_test, 0))))
    num_train = _num_items(train)
    if num_test < MIN_TEST or num_train < MIN_TRAIN:
        raise StudyError([_too_few(request, affordable, num_all, num_train, num_test)])
    return PilotData(
        train=train,
        test=test,
        num_train=num_train,
        num_test=num_test,
        num_usable=math.floor(USABLE * num_train) if request.missing else num_train,
        num_all=_num_items(left),
        cost=translation_cost(request, num_train + num_test),
        licence=source.licence,
    )


def translation_cost(request: PilotRequest, num_items: int) -> float:
    """Cost of translating items into all missing languages."""
    costs = [request.question.cost(tag) for tag in request.missing]
    return sum(one.fixed + one.amount * num_items for one in costs)


def _affordable(request: PilotRequest) -> float:
    """Items that can be translated into all missing languages; infinite without a budget or missing languages."""
    costs = [request.question.cost(tag) for tag in request.missing]
    budget = request.translation_budget
    if budget is None or not costs:
        return math.inf
    return max(math.floor((budget - sum(one.fixed for one in costs)) / sum(one.amount for one in costs)), 0)


def _too_few(request: PilotRequest, affordable: float, num_all: int, num_train: int, num_test: int) -> str:
    need = MIN_TRAIN + (request.num_test_items or MIN_TEST)
    found = (
        f"A pilot needs {MIN_TRAIN} items to train on and {MIN_TEST} to test with; there would be {num_train} and "
        f"{num_test}"
    )
    if affordable < need:
        return (
            f"{found}: the budget for translations, {request.translation_budget:g}, allows {affordable:g} items in all "
            f"of {', '.join(request.missing)}. {translation_cost(request, need):g} would do. Raise --pilot-budget, or "
            "consider fewer languages."
        )
    return f"{found} of the {num_all} items of the data. Add items, or name test data of their own with --test."


def _in_order_of_hash(corpus: ParallelCorpus) -> pl.DataFrame:
    clusters = corpus.rows["cluster"].unique(maintain_order=True).to_list()
    order = {cluster: hashlib.sha256(str(cluster).encode()).hexdigest() for cluster in clusters}
    keys = pl.Series("key", [order[cluster] for cluster in corpus.rows["cluster"].to_list()])
    return corpus.rows.with_columns(keys).sort("key", maintain_order=True).drop("key")


def _num_items(rows: pl.DataFrame) -> int:
    return rows["item_id"].n_unique()


def _first_items(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    items = rows["item_id"].unique(maintain_order=True)[:number]
    return rows.filter(pl.col("item_id").is_in(items.implode()))


def _first_clusters(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    """Whole clusters, until there are at least so many items."""
    sizes = rows.group_by("cluster", maintain_order=True).agg(n=pl.col("item_id").n_unique())
    before = sizes["n"].cum_sum() - sizes["n"]
    chosen = sizes.filter(before < number)["cluster"]
    return rows.filter(pl.col("cluster").is_in(chosen.implode()))
