"""Draws: exact, nested, blind to names, disjoint where asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslift.errors import MixtureError
from crosslift.mixtures.draw import EXAMPLES, CorpusIndex, draw
from crosslift.mixtures.mixture import Budget, Component, Mixture, largest_remainder

TAGS = ("en", "es", "ja", "sw")


def index(num_items: int = 40, *, lengths: bool = False, tags: tuple[str, ...] = TAGS) -> CorpusIndex:
    table = np.random.default_rng(0).integers(1, 9, (num_items, len(tags))) if lengths else None
    return CorpusIndex(
        name="toy",
        languages=tags,
        item_ids=pl.Series([f"i{i}" for i in range(num_items)], dtype=pl.String),
        lengths=table,
    )


def mixture(counts: dict[str, int], *, pairing: str = "shared", **fields: object) -> Mixture:
    return Mixture(name="m", components=(Component(corpus="toy", counts=counts),), pairing=pairing, **fields)  # type: ignore[arg-type]


def items(examples: pl.DataFrame, tag: str) -> list[str]:
    return examples.filter(pl.col("language") == tag)["item_id"].to_list()


def take(counts: dict[str, int], **fields: object) -> pl.DataFrame:
    num_items = fields.pop("num_items", 40)
    assert isinstance(num_items, int)
    return draw(mixture(counts, **fields), {"toy": index(num_items)}, data_seed=3)  # type: ignore[arg-type]


PAIRINGS = st.sampled_from(["shared", "disjoint", "independent"])


@given(total=st.integers(0, 10**6), shares=st.lists(st.floats(1e-3, 1), min_size=1, max_size=12))
def test_largest_remainder_is_exact_and_never_a_unit_off(total: int, shares: list[float]) -> None:
    parts = largest_remainder(total, shares)
    assert sum(parts) == total
    assert all(abs(part - total * share / sum(shares)) < 1 + 1e-6 for part, share in zip(parts, shares, strict=True))


def test_equal_shares_of_a_total_differ_by_one_at_most() -> None:
    assert largest_remainder(500, [1 / 3] * 3) == [167, 167, 166]
    assert largest_remainder(100, [0.29, 0.71]) == [29, 71]


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 10), min_size=4, max_size=4), pairing=PAIRINGS)
def test_counts_are_exact_for_every_pairing(counts: list[int], pairing: str) -> None:
    wanted = dict(zip(TAGS, counts, strict=True))
    examples = take(wanted, pairing=pairing)
    assert examples.schema == EXAMPLES
    assert {tag: len(items(examples, tag)) for tag in TAGS} == wanted
    assert examples.select("item_id", "language").is_duplicated().sum() == 0


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 10), min_size=4, max_size=4), pairing=PAIRINGS)
def test_rows_point_at_the_item_in_the_language(counts: list[int], pairing: str) -> None:
    examples = take(dict(zip(TAGS, counts, strict=True)), pairing=pairing)
    for row, item, tag in examples.select("row", "item_id", "language").iter_rows():
        assert (f"i{row // 4}", TAGS[row % 4]) == (item, tag)


@settings(max_examples=60, deadline=None)
@given(small=st.integers(1, 10), more=st.integers(0, 10), pairing=PAIRINGS, others=st.integers(0, 10))
def test_a_smaller_draw_is_a_prefix_of_a_larger_one(small: int, more: int, pairing: str, others: int) -> None:
    """Also when the other languages' amounts change meanwhile, up to a block of N / L items for disjoint draws."""
    before = take({"en": small, "sw": others}, pairing=pairing, order="by_language")
    after = take({"en": min(small + more, 10), "sw": 10 - others}, pairing=pairing, order="by_language")
    assert items(after, "en")[:small] == items(before, "en")


@settings(max_examples=60, deadline=None)
@given(first=st.integers(0, 40), second=st.integers(0, 40), data=st.data())
def test_disjoint_draws_of_two_languages_never_move_an_item(first: int, second: int, data: st.DataObject) -> None:
    second = min(second, 40 - first)
    smaller = {"en": data.draw(st.integers(0, first)), "sw": data.draw(st.integers(0, second))}
    two = {"toy": index(40, tags=("en", "sw"))}
    large = draw(mixture({"en": first, "sw": second}, pairing="disjoint", order="by_language"), two, data_seed=3)
    small = draw(mixture(smaller, pairing="disjoint", order="by_language"), two, data_seed=3)
    for tag in ("en", "sw"):
        assert items(small, tag) == items(large, tag)[: smaller[tag]]


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 25), min_size=4, max_size=4).filter(lambda counts: sum(counts) <= 40))
def test_disjoint_puts_each_item_into_one_language_and_needs_no_more_items_than_there_are(counts: list[int]) -> None:
    examples = take(dict(zip(TAGS, counts, strict=True)), pairing="disjoint")
    assert examples.height == sum(counts)
    assert examples["item_id"].n_unique() == sum(counts)


def test_shared_pairing_uses_the_same_items_in_every_mixture() -> None:
    alone = take({"en": 12})
    beside = take({"ja": 12, "sw": 12, "en": 12})
    assert set(items(alone, "en")) == set(items(beside, "en")) == set(items(beside, "ja")) == set(items(beside, "sw"))


def test_with_unequal_amounts_shared_items_are_nested() -> None:
    examples = take({"en": 20, "sw": 5})
    assert set(items(examples, "sw")) < set(items(examples, "en"))


def test_independent_languages_hold_different_items() -> None:
    examples = take({"en": 20, "sw": 20}, pairing="independent")
    assert set(items(examples, "sw")) != set(items(examples, "en"))


@settings(max_examples=30, deadline=None)
@given(small=st.integers(1, 20), large=st.integers(20, 40))
def test_the_order_of_a_smaller_draw_is_kept_in_a_larger_one(small: int, large: int) -> None:
    before, after = take({"en": small, "sw": small}), take({"en": large, "ja": 7, "sw": large})
    kept = after.join(before, on=["item_id", "language"], how="semi", maintain_order="left")
    assert kept.equals(before)


def test_neither_name_nor_component_order_moves_an_item() -> None:
    first = take({"en": 10, "sw": 10})
    second = draw(replace(mixture({"sw": 10, "en": 10}), name="other"), {"toy": index()}, data_seed=3)
    assert first.equals(second)


def test_another_data_seed_draws_other_items() -> None:
    one, other = (draw(mixture({"en": 10}), {"toy": index()}, data_seed=seed) for seed in (0, 1))
    assert set(one["item_id"]) != set(other["item_id"])


def test_items_appended_to_a_corpus_do_not_reorder_the_old_ones() -> None:
    small, large = take({"en": 40}, order="by_language"), take({"en": 60}, num_items=60, order="by_language")
    old = set(small["item_id"])
    assert [item for item in large["item_id"] if item in old] == small["item_id"].to_list()


def test_the_draw_is_the_same_everywhere_and_for_ever() -> None:
    """A golden draw: a change here makes every finished study stale."""
    examples = take({"en": 4, "sw": 2})
    assert examples.select("item_id", "language").rows() == GOLDEN


@settings(max_examples=60, deadline=None)
@given(amounts=st.lists(st.just(0) | st.integers(8, 60), min_size=4, max_size=4), pairing=PAIRINGS)
def test_lengths_fill_the_budget_to_less_than_one_item(amounts: list[int], pairing: str) -> None:
    source = index(200, lengths=True)
    counts = dict(zip(TAGS, amounts, strict=True))
    budget = Budget(amount=sum(amounts), unit="bytes")
    examples = draw(mixture(counts, pairing=pairing, budget=budget), {"toy": source}, data_seed=3)
    assert source.lengths is not None
    for tag, amount in counts.items():
        rows = examples.filter(pl.col("language") == tag)["row"].to_numpy()
        used = source.lengths.reshape(-1)[rows].sum()
        assert amount - 8 < used <= amount or amount == used == 0
    if pairing == "disjoint":
        assert examples["item_id"].n_unique() == examples.height


def test_shares_of_several_corpora_join_in_one_mixture() -> None:
    parts = tuple(Component(corpus=name, shares={"en": 0.25, "sw": 0.25}) for name in ("math", "api"))
    both = Mixture(name="m", components=parts, pairing="shared", budget=Budget(amount=22))
    sources = {name: replace(index(), name=name) for name in ("api", "math")}
    examples = draw(both, sources, data_seed=0)
    counts = examples.group_by("corpus", "language").len()
    assert both.amounts() == {(c, t): n for c, t, n in counts.iter_rows()}
    assert sorted(both.amounts().values()) == [5, 5, 6, 6]


def test_a_budget_per_language_grows_with_the_languages() -> None:
    parts = (Component(corpus="toy", shares=dict.fromkeys(TAGS, 1.0)),)
    grown = Mixture(name="m", components=parts, pairing="shared", budget=Budget(amount=9, per="language"))
    assert grown.amounts() == {("toy", tag): 9 for tag in TAGS}


def test_too_few_items_names_every_shortfall() -> None:
    with pytest.raises(MixtureError) as caught:
        take({"en": 50, "sw": 45})
    assert "mixtures.m: asks for 50 items of corpus 'toy' in 'en' and there are 40: 10 too few." in str(caught.value)
    assert "5 too few" in str(caught.value)
    with pytest.raises(MixtureError, match="once every item is in one language only"):
        take({"en": 30, "sw": 30}, pairing="disjoint")


@pytest.mark.parametrize("pairing", ["shared", "disjoint", "independent"])
def test_repeating_is_counted_and_even(pairing: str) -> None:
    examples = take({"en": 50, "sw": 45}, pairing=pairing, repeat=True)
    for tag, amount in (("en", 50), ("sw", 45)):
        used = examples.filter(pl.col("language") == tag)
        times = used.group_by("item_id").len()["len"]
        assert used.height == amount
        assert times.max() - times.min() <= 1  # type: ignore[operator]
        assert used.select("item_id", "repeat").is_duplicated().sum() == 0


def test_repeating_with_lengths_goes_round_until_the_next_item_does_not_fit() -> None:
    source = index(10, lengths=True)
    assert source.lengths is not None
    whole = int(source.lengths[:, 0].sum())
    budget = Budget(amount=2 * whole + 3, unit="bytes")
    examples = draw(mixture({"en": 2 * whole + 3}, budget=budget, repeat=True), {"toy": source}, data_seed=0)
    used = source.lengths[:, 0][examples["row"].to_numpy() // 4].sum()
    assert 2 * whole + 3 - 8 < used <= 2 * whole + 3
    with pytest.raises(MixtureError, match="too few"):
        draw(mixture({"en": 2 * whole + 3}, budget=budget), {"toy": source}, data_seed=0)


def test_an_amount_below_one_item_is_an_error_and_not_an_untrained_language() -> None:
    long = replace(index(), lengths=np.full((40, 4), 9))
    with pytest.raises(MixtureError, match="asks for 8 bytes of corpus 'toy' in 'sw', which is less than one item"):
        draw(mixture({"en": 9, "sw": 8}, budget=Budget(amount=17, unit="bytes")), {"toy": long}, data_seed=0)


def test_a_language_that_the_corpus_lacks_is_named() -> None:
    with pytest.raises(MixtureError, match="has no language 'te'"):
        take({"te": 1})


def test_tokens_without_lengths_are_refused() -> None:
    with pytest.raises(MixtureError, match="no lengths"):
        take({"en": 1}, budget=Budget(amount=1, unit="tokens"))


GOLDEN = [("i7", "sw"), ("i27", "en"), ("i24", "en"), ("i15", "sw"), ("i7", "en"), ("i15", "en")]


@pytest.mark.parametrize(("per", "pairing", "each"), [("language", "shared", 30), ("total", "disjoint", 15)])
def test_a_budget_may_be_all_items_where_the_corpus_has_fewer(per: str, pairing: str, each: int):
    shares = dict.fromkeys(("en", "sw"), 1.0 if per == "language" else 0.5)
    budget = Budget(amount=50, per=per, if_fewer="all")  # type: ignore[arg-type]
    asked = Mixture(name="m", components=(Component(corpus="toy", shares=shares),), pairing=pairing, budget=budget)  # type: ignore[arg-type]
    found = draw(asked, {"toy": index(30)}, data_seed=0)
    assert dict(found.group_by("language").len().iter_rows()) == {"en": each, "sw": each}
    with pytest.raises(MixtureError, match="too few"):
        draw(replace(asked, budget=replace(budget, if_fewer="error")), {"toy": index(30)}, data_seed=0)
    enough = draw(replace(asked, budget=replace(budget, if_fewer="error")), {"toy": index(60)}, data_seed=0)
    assert draw(asked, {"toy": index(60)}, data_seed=0).equals(enough)
