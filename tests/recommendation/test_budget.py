"""A budget is spent as far as its limits allow, whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.recommendation.objective import Budget, Pool

TAGS = ("en", "es", "sw")
amounts = st.floats(1e-9, 1e9)


def test_what_one_language_cannot_take_goes_to_the_others():
    budget = Budget(amount=900, languages=TAGS, available={"en": 100})
    assert budget.allocate(dict.fromkeys(TAGS, 1.0)) == {"en": 100, "es": 400, "sw": 400}
    assert Budget(amount=900, languages=TAGS, available=dict.fromkeys(TAGS, 10)).allocate({"en": 1, "sw": 2}) == {
        "en": 10,
        "sw": 10,
    }


def test_a_total_keeps_equal_shares_equal():
    budget = Budget(amount=5000, languages=TAGS, available={"en": 1000, "es": 500, "sw": 100}, total=1000)
    assert budget.allocate(dict.fromkeys(TAGS, 1.0)) == {"en": 450, "es": 450, "sw": 100}


def test_items_that_may_be_in_one_language_only_are_shared_out():
    pool = Pool(per_unit=dict.fromkeys(TAGS, 1.0), num_items=100)
    assert Budget(amount=900, languages=TAGS, pools=[pool]).allocate({"en": 3, "sw": 1}) == {"en": 75, "sw": 25}


def test_whole_items_meet_the_budget_and_costs_count():
    assert sum(Budget(amount=100, languages=TAGS).allocate(dict.fromkeys(TAGS, 1.0)).values()) == 100
    assert Budget(amount=100, languages=TAGS, costs={"sw": 4.0}).allocate({"en": 1, "sw": 1}) == {"en": 50, "sw": 12}
    assert Budget(amount=3, languages=TAGS, costs={"sw": 4.0}).allocate({"sw": 1}) == {}


@given(
    st.builds(
        Budget,
        amount=amounts,
        languages=st.just(TAGS),
        costs=st.dictionaries(st.sampled_from(TAGS), st.floats(1e-300, 1e300)),
        available=st.fixed_dictionaries({tag: st.integers(0, 1000) for tag in TAGS}),
        total=amounts,
        least=st.dictionaries(st.sampled_from(TAGS), st.integers(1, 50).map(float)),
    ),
    st.dictionaries(st.sampled_from(TAGS), st.floats(1e-3, 1e3), min_size=1),
)
def test_every_allocation_is_allowed_or_empty(budget: Budget, shares: dict[str, float]):
    found = budget.allocate(shares)
    assert not found or budget.allows(found)
    assert found.keys() <= shares.keys()


def test_an_unlimited_amount_is_none():
    assert Budget(amount=float("inf"), languages=TAGS).allocate({"en": 1.0}) == {}


@pytest.mark.parametrize("mixture", [{}, {"de": 1.0}, {"en": 101.0}])
def test_mixtures_outside_the_budget_are_not_allowed(mixture: dict[str, float]):
    assert not Budget(amount=100, languages=TAGS).allows(mixture)


@given(
    st.builds(
        Budget,
        amount=st.floats(0, 1e4),
        languages=st.just(TAGS),
        costs=st.dictionaries(st.sampled_from(TAGS), st.floats(0.01, 100)),
        existing=st.dictionaries(st.sampled_from(TAGS), st.integers(0, 800).map(float) | st.just(float("inf"))),
        fixed_costs=st.dictionaries(st.sampled_from(TAGS), st.floats(0, 5000)),
        available=st.fixed_dictionaries({tag: st.integers(0, 1000) for tag in TAGS}),
    ),
    st.dictionaries(st.sampled_from(TAGS), st.floats(1e-3, 1e3), min_size=1),
)
def test_what_exists_and_fixed_costs_are_within_the_budget(budget: Budget, shares: dict[str, float]):
    found = budget.allocate(shares)
    assert not found or budget.allows(found)
    free = [tag for tag in shares if min(budget.existing.get(tag, 0.0), budget.available[tag]) >= 1]
    if budget.amount == 0 and free == list(shares):
        assert budget.cost_of(found) == 0 and found


def test_a_language_whose_fixed_cost_is_not_left_takes_only_what_exists():
    budget = Budget(amount=100, languages=TAGS, existing={"es": 20}, fixed_costs={"es": 200}, available={"es": 500})
    assert budget.allocate({"en": 1.0, "es": 1.0}) == {"en": 100, "es": 20}
    assert Budget(amount=300, languages=TAGS, fixed_costs={"es": 200}).allocate({"es": 1.0}) == {"es": 100}
