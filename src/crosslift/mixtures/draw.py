"""Which items a mixture gets, in which language, in which order.

Two mixtures of one study must differ in what the study varies and in nothing else. A draw that shuffles each mixture
anew changes the problems together with the languages; here every item has one random key per corpus (a Philox number
that is addressed by data seed and corpus name), and a draw is always *the first n by key*:

- nested: the draw of n items is a prefix of the draw of m > n, per language and for every pairing;
- blind: neither the mixture's name nor its other languages nor the training seed move anything;
- growing: items appended to a corpus get keys of their own and never reorder the old ones.

Pairing, for a corpus of N items in L languages:

`shared`       all languages take prefixes of one order. With equal amounts they hold the same items, in every mixture
               of the study; with unequal amounts the smaller set lies inside the larger one. In tokens or bytes each
               language takes the largest prefix that fits *its* amount, so a language with long items holds fewer of
               the same items. With a fixed total the number of different items falls as languages are added.
`independent`  one order per language.
`disjoint`     every item in at most one language. Language k of the corpus owns the k-th block of N / L items of the
               shared order and takes from its beginning; one that needs more takes free items leftwards from its
               block's start, that is from the far end of its neighbour's. So nothing moves while amounts grow up to
               N / L, and with two languages it never does. Beyond that three or more languages cannot all keep their
               items (each pair of orders would have to be the reverse of the other), and borrowed items may change.

Amounts in tokens and bytes are met from below: less than one item is missing per corpus and language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from crosslift.errors import MixtureError
from crosslift.mixtures.mixture import Mixture
from crosslift.streams import stream

EXAMPLES = pl.Schema(
    {
        "corpus": pl.String,
        "item_id": pl.String,
        "language": pl.String,
        "repeat": pl.Int32,  # 0 for the first time an item is used in a language
        "row": pl.Int64,  # in the corpus's rows: item index * number of languages + language index
    }
)


@dataclass(frozen=True, kw_only=True)
class CorpusIndex:
    """What a draw needs to know of a corpus: not its text."""

    name: str
    languages: tuple[str, ...]
    item_ids: pl.Series
    """Shape (num_items,)."""
    lengths: np.ndarray | None = None
    """In the budget's unit, shape (num_items, num_languages), at least 1; None for the unit "items"."""

    @property
    def num_items(self) -> int:
        return len(self.item_ids)


class Picks(NamedTuple):
    """What one language takes from one corpus, in the order of the draw."""

    items: np.ndarray  # int64 positions in the corpus
    repeat: np.ndarray  # int32
    missing: int  # what the amount still asks for, in the budget's unit; 0 when it is met


def draw(mixture: Mixture, indexes: Mapping[str, CorpusIndex], *, data_seed: int) -> pl.DataFrame:
    """The examples of a mixture in training order, columns as in EXAMPLES: references, no text.

    The order is nested too: with order "shuffled" the examples of a smaller draw keep their order in a larger one.

    Raises:
        MixtureError: a corpus has too few items (all shortfalls at once), lacks a language, has no lengths where the
            budget counts tokens or bytes, or an amount is less than one item.
    """
    amounts = mixture.amounts()
    picks: dict[tuple[str, str], Picks] = {}
    problems: list[str] = []
    for corpus in mixture.corpora:
        index = indexes[corpus]
        wanted = {tag: amount for (name, tag), amount in amounts.items() if name == corpus}
        problems += _unusable(mixture, index, wanted)
        if not problems:
            picks.update({(corpus, tag): taken for tag, taken in _pick(mixture, index, wanted, data_seed).items()})
    problems += [
        _shortfall(mixture, corpus, tag, amounts[corpus, tag], taken)
        for (corpus, tag), taken in picks.items()
        if taken.missing or (amounts[corpus, tag] and not len(taken.items))
    ]
    if problems:
        raise MixtureError("\n".join(problems))
    return _table(mixture, indexes, picks, data_seed)


def order_of_items(data_seed: int, num_items: int, *names: str) -> np.ndarray:
    """A random order of the items, shape (num_items,): positions sorted by their keys.

    Raw Philox numbers, because numpy promises the raw streams of its bit generators for ever and those of
    `permutation` only until the next release.
    """
    return np.argsort(_keys(data_seed, num_items, "item", *names))


def _keys(data_seed: int, count: int, *names: str) -> np.ndarray:
    raw: np.ndarray = stream(data_seed, "draw", *names).bit_generator.random_raw(count)
    return raw


def _unusable(mixture: Mixture, index: CorpusIndex, wanted: Mapping[str, int]) -> list[str]:
    place = f"mixtures.{mixture.name}"
    problems = [
        f"{place}: corpus '{index.name}' has no language '{tag}'. It has: {', '.join(index.languages)}."
        for tag in wanted
        if tag not in index.languages
    ]
    if mixture.unit != "items" and index.lengths is None:
        problems.append(f"{place}: the budget counts {mixture.unit} and corpus '{index.name}' has no lengths.")
    return problems


def _pick(mixture: Mixture, index: CorpusIndex, wanted: Mapping[str, int], data_seed: int) -> dict[str, Picks]:
    if mixture.pairing == "disjoint":
        return _pick_disjoint(mixture, index, wanted, data_seed)
    if mixture.pairing == "independent":
        orders = {tag: order_of_items(data_seed, index.num_items, index.name, tag) for tag in wanted}
    else:
        orders = dict.fromkeys(wanted, order_of_items(data_seed, index.num_items, index.name))
    return {tag: _fill(orders[tag], _lengths(index, tag), wanted[tag], mixture.repeat) for tag in wanted}


def _pick_disjoint(mixture: Mixture, index: CorpusIndex, wanted: Mapping[str, int], data_seed: int) -> dict[str, Picks]:
    circle = order_of_items(data_seed, index.num_items, index.name)
    blocks = np.array_split(circle, len(index.languages))
    taken = np.zeros(index.num_items, dtype=bool)
    picks: dict[str, Picks] = {}
    tags = [tag for tag in index.languages if tag in wanted]
    for tag in tags:
        block = blocks[index.languages.index(tag)]
        own = block[: _prefix(block, _lengths(index, tag), wanted[tag])]
        picks[tag] = Picks(own, np.zeros(len(own), dtype=np.int32), 0)
        taken[own] = True
    for tag in tags:  # only now: everybody has what is his own
        k, lengths, own = index.languages.index(tag), _lengths(index, tag), picks[tag].items
        if len(own) < len(blocks[k]):
            continue
        leftwards = np.concatenate([*blocks[k:], *blocks[:k]])[::-1]
        free = leftwards[~taken[leftwards]]
        borrowed = free[: _prefix(free, lengths, wanted[tag] - _size(own, lengths))]
        taken[borrowed] = True
        items = np.concatenate([own, borrowed])
        if len(borrowed) < len(free):
            picks[tag] = Picks(items, np.zeros(len(items), dtype=np.int32), 0)
        else:
            picks[tag] = _fill(items, lengths, wanted[tag], mixture.repeat)
    return {tag: picks[tag] for tag in wanted}


def _lengths(index: CorpusIndex, tag: str) -> np.ndarray | None:
    return None if index.lengths is None else index.lengths[:, index.languages.index(tag)].astype(np.int64)


def _size(items: np.ndarray, lengths: np.ndarray | None) -> int:
    return len(items) if lengths is None else int(lengths[items].sum())


def _prefix(order: np.ndarray, lengths: np.ndarray | None, amount: int) -> int:
    """How many items of the order fit into the amount."""
    if lengths is None:
        return min(amount, len(order))
    return int(np.searchsorted(np.cumsum(lengths[order]), amount, side="right"))


def _fill(order: np.ndarray, lengths: np.ndarray | None, amount: int, repeat: bool) -> Picks:
    """Take from the order, which is all there is, until the next item does not fit; again and again under `repeat`."""
    whole = _size(order, lengths)
    passes = amount // whole if repeat and whole else 0
    rest = amount - passes * whole
    count = _prefix(order, lengths, rest)
    items = np.concatenate([np.tile(order, passes), order[:count]])
    repeats = np.repeat(np.arange(passes + 1, dtype=np.int32), [len(order)] * passes + [count])
    # All items are used: the amount is missed when going round again would still fit one.
    first = 1 if lengths is None or not len(order) else int(lengths[order[0]])
    missing = rest - whole if count == len(order) and rest - whole >= first else 0
    return Picks(items, repeats, missing)


def _shortfall(mixture: Mixture, corpus: str, tag: str, amount: int, taken: Picks) -> str:
    asked = f"mixtures.{mixture.name}: asks for {amount} {mixture.unit} of corpus '{corpus}' in '{tag}'"
    if not taken.missing:
        return f"{asked}, which is less than one item. Ask for more, or leave the language out."
    apart = " once every item is in one language only" if mixture.pairing == "disjoint" else ""
    return (
        f"{asked} and there are {amount - taken.missing}{apart}: {taken.missing} too few. Ask for less, give the "
        "corpus more items, or say repeat = true."
    )


def _table(
    mixture: Mixture,
    indexes: Mapping[str, CorpusIndex],
    picks: Mapping[tuple[str, str], Picks],
    data_seed: int,
) -> pl.DataFrame:
    parts = []
    for (corpus, tag), taken in picks.items():
        if not len(taken.items):
            continue
        index = indexes[corpus]
        columns: dict[str, pl.Expr | pl.Series] = {
            "corpus": pl.lit(corpus),
            "item_id": index.item_ids.cast(pl.String).gather(taken.items.astype(np.uint32)),
            "language": pl.lit(tag),
            "repeat": pl.Series(taken.repeat),
            "row": pl.Series(taken.items * len(index.languages) + index.languages.index(tag)),
        }
        parts.append(pl.select([column.alias(name) for name, column in columns.items()]).cast(EXAMPLES))
    examples = pl.concat(parts) if parts else EXAMPLES.to_frame()
    if mixture.order == "by_language" or not parts:
        return examples
    # 64-bit keys: two equal ones among ten million examples have a chance of 3 in a million, so no stable sort.
    keys = [_keys(data_seed, len(taken.items), "order", *cell) for cell, taken in picks.items() if len(taken.items)]
    return examples[np.argsort(np.concatenate(keys)).astype(np.uint32)]
