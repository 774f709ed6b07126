"""Sampling of the items of a mixture, per language and in training order.

Two mixtures of one study must differ only in the factor that the study varies. If each mixture were shuffled anew, the
problems would change together with the languages. Here every item has one random key per corpus (a Philox number
addressed by data seed and corpus name), and a sample of n items is always *the first n by key*:

- nested: the sample of n items is a prefix of the sample of m > n items, per language and for every pairing;
- independent of the mixture's name, of its other languages and of the training seed;
- extensible: items appended to a corpus get new keys and never change the order of the existing ones.

Pairing, for a corpus of N items in L languages:

`shared`       all languages take prefixes of one permutation. With equal amounts they contain the same items, in every
               mixture of the study; with unequal amounts the smaller set is a subset of the larger. In tokens or bytes
               each language takes the largest prefix that fits *its* amount, so that a language with long items has
               fewer of the same items. With a fixed total the number of distinct items falls as languages are added.
`independent`  one permutation per language.
`disjoint`     every item in at most one language. Language k of the corpus owns the k-th block of N / L items of the
               shared permutation and takes items from its start. A language that needs more takes unused items
               backwards from the start of its block, that is, from the end of the previous block. Existing items thus
               stay the same while amounts grow up to N / L, and with two languages always. Beyond N / L, three or more
               languages cannot all keep their items (each pair of permutations would have to be the reverse of the
               other), and borrowed items may change.

Amounts in tokens and bytes are upper bounds: per corpus and language less than one item is missing.

Stages divide the sample of every language in its order: the first stage has the first items, the next stage those that
follow. So a curriculum, its reverse and the same mixture without stages contain the same examples. What a stage replays
are items of earlier stages in turn, the first ones first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
STAGE = "stage"
"""Further column of the examples of a mixture with stages: the stage, from 0, Int32."""


@dataclass(frozen=True, kw_only=True)
class CorpusIndex:
    """The properties of a corpus that sampling needs, without its text."""

    name: str
    languages: tuple[str, ...]
    item_ids: pl.Series
    """Ids of the items, shape (num_items,)."""
    lengths: np.ndarray | None = None
    """Length of each item in the unit of the budget, at least 1, shape (num_items, num_languages); None for the unit
    "items"."""

    @property
    def num_items(self) -> int:
        return len(self.item_ids)


class Selection(NamedTuple):
    """The items of one language from one corpus, in sampling order."""

    items: np.ndarray
    """Indices of the items in the corpus, int64, (num_selected,)."""
    repeat: np.ndarray
    """Number of earlier uses of each item in the language, int32, (num_selected,)."""
    missing: int
    """Shortfall of the amount, in the unit of the budget; 0 if the amount is met."""


def draw(mixture: Mixture, indexes: Mapping[str, CorpusIndex], *, data_seed: int) -> pl.DataFrame:
    """Sample the examples of a mixture.

    The order is nested too: with order "shuffled" the examples of a smaller sample keep their order in a larger one.

    Args:
        mixture: the mixture.
        indexes: corpus name -> index, for every corpus of the mixture.
        data_seed: seed of the sample.

    Returns:
        References to corpus rows in training order, without text, with the schema EXAMPLES; with the column STAGE as
        well if the mixture has stages.

    Raises:
        MixtureError: a corpus has too few items or lacks a language, or has no lengths for a budget in tokens or bytes,
            or an amount is less than one item. The message has one line for every problem.
    """
    mixture = within(mixture, {name: index.num_items for name, index in indexes.items()})
    amounts, limits = mixture.new_amounts(), mixture.limits
    picks: dict[tuple[str, str], Selection] = {}
    problems: list[str] = []
    for corpus in mixture.corpora:
        index = indexes[corpus]
        wanted = {
            tag: min(amount, limits.get((corpus, tag), amount))
            for (name, tag), amount in amounts.items()
            if name == corpus
        }
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
    for cell, limit in limits.items():
        if amounts[cell] > limit:
            picks[cell] = _repeated(picks[cell], amounts[cell])
    return _table(mixture, indexes, picks, data_seed)


def within(mixture: Mixture, num_items: Mapping[str, int]) -> Mixture:
    """Lower the budget of a mixture with `if_fewer` "all" to the number of items that its corpus has.

    Args:
        mixture: the mixture.
        num_items: corpus -> number of its items.
    """
    budget = mixture.budget
    if budget is None or budget.if_fewer == "error":
        return mixture
    held = min(num_items[corpus] for corpus in mixture.corpora)
    return mixture if held >= budget.amount else replace(mixture, budget=replace(budget, amount=held))


def item_permutation(data_seed: int, num_items: int, *names: str) -> np.ndarray:
    """A random permutation of the items: indices sorted by their random keys, int64, shape (num_items,).

    The keys are raw Philox numbers, because numpy guarantees the raw streams of its bit generators permanently, but
    those of `permutation` only until the next release.
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


def _pick(mixture: Mixture, index: CorpusIndex, wanted: Mapping[str, int], data_seed: int) -> dict[str, Selection]:
    if mixture.pairing == "disjoint":
        return _pick_disjoint(mixture, index, wanted, data_seed)
    if mixture.pairing == "independent":
        orders = {tag: item_permutation(data_seed, index.num_items, index.name, tag) for tag in wanted}
    else:
        orders = dict.fromkeys(wanted, item_permutation(data_seed, index.num_items, index.name))
    repeat = mixture.repeat and not mixture.limits
    return {tag: _fill(orders[tag], _lengths(index, tag), wanted[tag], repeat) for tag in wanted}


def _pick_disjoint(
    mixture: Mixture, index: CorpusIndex, wanted: Mapping[str, int], data_seed: int
) -> dict[str, Selection]:
    circle = item_permutation(data_seed, index.num_items, index.name)
    blocks = np.array_split(circle, len(index.languages))
    taken = np.zeros(index.num_items, dtype=bool)
    picks: dict[str, Selection] = {}
    tags = [tag for tag in index.languages if tag in wanted]
    for tag in tags:
        block = blocks[index.languages.index(tag)]
        own = block[: _prefix(block, _lengths(index, tag), wanted[tag])]
        picks[tag] = Selection(own, np.zeros(len(own), dtype=np.int32), 0)
        taken[own] = True
    for tag in tags:  # a second pass, after every language has taken its own items
        k, lengths, own = index.languages.index(tag), _lengths(index, tag), picks[tag].items
        if len(own) < len(blocks[k]):
            continue
        leftwards = np.concatenate([*blocks[k:], *blocks[:k]])[::-1]
        free = leftwards[~taken[leftwards]]
        borrowed = free[: _prefix(free, lengths, wanted[tag] - _size(own, lengths))]
        taken[borrowed] = True
        items = np.concatenate([own, borrowed])
        if len(borrowed) < len(free):
            picks[tag] = Selection(items, np.zeros(len(items), dtype=np.int32), 0)
        else:
            picks[tag] = _fill(items, lengths, wanted[tag], mixture.repeat and not mixture.limits)
    return {tag: picks[tag] for tag in wanted}


def _lengths(index: CorpusIndex, tag: str) -> np.ndarray | None:
    return None if index.lengths is None else index.lengths[:, index.languages.index(tag)].astype(np.int64)


def _size(items: np.ndarray, lengths: np.ndarray | None) -> int:
    return len(items) if lengths is None else int(lengths[items].sum())


def _prefix(order: np.ndarray, lengths: np.ndarray | None, amount: int) -> int:
    """Number of items, from the start of the order, that fit into the amount."""
    if lengths is None:
        return min(amount, len(order))
    return int(np.searchsorted(np.cumsum(lengths[order]), amount, side="right"))


def _fill(order: np.ndarray, lengths: np.ndarray | None, amount: int, repeat: bool) -> Selection:
    """Take items in this order until the next one does not fit; with `repeat`, start again after the last item."""
    whole = _size(order, lengths)
    passes = amount // whole if repeat and whole else 0
    rest = amount - passes * whole
    count = _prefix(order, lengths, rest)
    items = np.concatenate([np.tile(order, passes), order[:count]])
    repeats = np.repeat(np.arange(passes + 1, dtype=np.int32), [len(order)] * passes + [count])
    # All items are used: there is a shortfall if one more item would still fit.
    first = 1 if lengths is None or not len(order) else int(lengths[order[0]])
    missing = rest - whole if count == len(order) and rest - whole >= first else 0
    return Selection(items, repeats, missing)


def _repeated(taken: Selection, amount: int) -> Selection:
    """Repeat the selected items in turn until there are as many examples as the amount."""
    repeat = np.arange(amount, dtype=np.int32) // len(taken.items)
    return Selection(np.resize(taken.items, amount), repeat.astype(np.int32), 0)


def _shortfall(mixture: Mixture, corpus: str, tag: str, amount: int, taken: Selection) -> str:
    asked = f"mixtures.{mixture.name}: asks for {amount} {mixture.unit} of corpus '{corpus}' in '{tag}'"
    if not taken.missing:
        return f"{asked}, which is less than one item. Increase the amount, or remove the language."
    apart = " once every item is in one language only" if mixture.pairing == "disjoint" else ""
    return (
        f"{asked} and there are {amount - taken.missing}{apart}: {taken.missing} too few. Reduce the amount, add "
        "items to the corpus, or set repeat = true."
    )


def _table(
    mixture: Mixture,
    indexes: Mapping[str, CorpusIndex],
    picks: Mapping[tuple[str, str], Selection],
    data_seed: int,
) -> pl.DataFrame:
    parts, keys = [], []
    for (corpus, tag), taken in picks.items():
        index = indexes[corpus]
        staged = _staged(mixture, corpus, tag, taken, _lengths(index, tag)) if mixture.stages else _one_stage(taken)
        if not len(staged.items):
            continue
        columns: dict[str, pl.Expr | pl.Series] = {
            "corpus": pl.lit(corpus),
            "item_id": index.item_ids.cast(pl.String).gather(staged.items.astype(np.uint32)),
            "language": pl.lit(tag),
            "repeat": pl.Series(staged.repeat),
            "row": pl.Series(staged.items * len(index.languages) + index.languages.index(tag)),
            STAGE: pl.Series(staged.stage),
        }
        parts.append(pl.select([column.alias(name) for name, column in columns.items()]).cast(_STAGED))
        # 64-bit keys: among ten million examples two are equal with probability 3e-6, so the sort need not be stable.
        num_new = len(taken.items)
        keys.append(_keys(data_seed, num_new, "order", corpus, tag))
        keys.append(_keys(data_seed, len(staged.items) - num_new, "replay", corpus, tag))
    examples = pl.concat(parts) if parts else _STAGED.to_frame()
    if not mixture.stages:
        examples = examples.drop(STAGE)
    if not parts or (mixture.order == "by_language" and not mixture.stages):
        return examples
    shuffled = mixture.order == "shuffled"
    by_key = np.argsort(np.concatenate(keys)) if shuffled else np.arange(examples.height)
    if mixture.stages:
        by_key = by_key[np.argsort(examples[STAGE].to_numpy()[by_key], kind="stable")]
    return examples[by_key.astype(np.uint32)]


_STAGED = pl.Schema([*EXAMPLES.items(), (STAGE, pl.Int32())])


class _Staged(NamedTuple):
    """Examples of one language from one corpus: those that are drawn, then those that are replayed."""

    items: np.ndarray
    repeat: np.ndarray
    stage: np.ndarray


def _one_stage(taken: Selection) -> _Staged:
    return _Staged(taken.items, taken.repeat, np.zeros(len(taken.items), dtype=np.int32))


def _staged(mixture: Mixture, corpus: str, tag: str, taken: Selection, lengths: np.ndarray | None) -> _Staged:
    """Divide the sample among the stages, and add what they replay."""
    amounts = [stage.amounts.get(corpus, {}).get(tag, 0) for stage in mixture.stages]
    ends = [_prefix(taken.items, lengths, int(end)) for end in np.cumsum(amounts)]
    ends[-1] = len(taken.items)
    starts = [0, *ends[:-1]]
    stage = np.repeat(np.arange(len(ends), dtype=np.int32), np.subtract(ends, starts))
    replayed, of_stage, begin = [], [], 0
    for number, one in enumerate(mixture.stages):
        amount = one.replayed.get(corpus, {}).get(tag, 0)
        if not amount:
            continue
        earlier = np.arange(starts[number])
        turned = np.roll(earlier, -(begin % max(len(earlier), 1)))
        count = _prefix(taken.items[turned], lengths, amount)
        replayed.append(turned[:count])
        of_stage.append(np.full(count, number, dtype=np.int32))
        begin += count
    if not replayed:
        return _Staged(taken.items, taken.repeat, stage)
    again = np.concatenate(replayed)
    items = np.concatenate([taken.items, taken.items[again]])
    uses = pl.Series(items).to_frame("item").select(pl.col("item").cum_count().over("item") - 1).to_series().to_numpy()
    return _Staged(items, uses.astype(np.int32), np.concatenate([stage, *of_stage]))
