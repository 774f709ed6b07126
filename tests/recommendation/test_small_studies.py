"""Recommendations from small studies: whatever is asked, a proposal within the limits or a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from finished_study import NUM_ITEMS, write_finished_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import without_charts

from crosslift.api.questions.recommending import advise_graph, write_advice
from crosslift.errors import CrossliftError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.recommendation.limits import MOST_BEYOND
from crosslift.recommendation.question import Cost, Question, question_of
from crosslift.recommendation.search import LEAST_DIFFERENCE, difference
from crosslift.studies.parsing.load import load

TAGS = ("en", "es", "sw")


def learned(run: str, tag: str, item: int) -> bool:
    """Right for 15 of 50 items, and for more in one language of each mixture."""
    number = int(run.split(".m")[1].split(".")[0]) if ".m" in run else 0
    return (item * 7 + ord(tag[0]) + 3 * number) % NUM_ITEMS < 15 + (4 + number) * (tag == TAGS[number % 3])


def mixtures(*counts: str, pairing: str = "shared", more: str = "") -> str:
    return "".join(
        f'[mixtures.m{number}]\ncomponents = [{{ corpus = "train", counts = {{ {one} }} }}]\n'
        f'pairing = "{pairing}"\n{more}'
        for number, one in enumerate(counts)
    )


PILOT = ("en = 40", "en = 80", "es = 40", "sw = 40", "en = 40, es = 40", "en = 40, sw = 40",
         "en = 30, es = 30, sw = 30", "en = 20, es = 60", "en = 20, sw = 60")  # fmt: skip


@dataclass(frozen=True)
class Small:
    mixtures: str
    right: Callable[[str, str, int], bool] = learned
    num_seeds: int = 1
    more: str = ""
    base: bool = False


STUDIES = {
    "nine-run pilot": Small(mixtures(*PILOT)),
    "pilot with two seeds": Small(mixtures(*PILOT[:4]), num_seeds=2),
    "floor": Small(mixtures(*PILOT[:4]), right=lambda run, tag, item: False),
    "ceiling": Small(mixtures(*PILOT[:4]), right=lambda run, tag, item: True),
    "near the floor": Small(mixtures(*PILOT[:4]), right=lambda run, tag, item: item < 1 + len(run) % 2),
    "one language": Small(mixtures("en = 30", "en = 60", "en = 90")),
    "one mixture": Small(mixtures("en = 30"), num_seeds=2),
    "two evaluations": Small(
        mixtures(*PILOT[:5]), more='\n[evaluations.again]\ncorpus = "test"\nlanguages = ["en", "sw"]\n'
    ),
    "disjoint": Small(mixtures("en = 60", "es = 60", "en = 30, sw = 30", pairing="disjoint")),
    "repeated": Small(mixtures("en = 150", "es = 100", "sw = 120", pairing="independent", more="repeat = true\n")),
    "tokens": Small(
        "".join(
            f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", shares = {shares} }}]\npairing = "shared"\n'
            'budget = { amount = 1500, unit = "tokens", tokenizer = "tiny" }\n'
            for n, shares in enumerate(("{ en = 1.0 }", "{ en = 0.5, es = 0.5 }", "{ en = 0.5, sw = 0.5 }"))
        )
    ),
    "with the base model": Small(mixtures(*PILOT[:4]), base=True),
}
TRAIN_ITEMS = 109


@pytest.fixture(scope="module", autouse=True)
def pages_without_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        without_charts(patch)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], StepGraph]:
    made: dict[str, StepGraph] = {}

    def of(kind: str) -> StepGraph:
        if kind not in made:
            folder, small = tmp_path_factory.mktemp("small") / "study", STUDIES[kind]
            write_finished_study(
                folder, num_mixtures=9, num_seeds=small.num_seeds, tags=TAGS, mixtures=small.mixtures,
                right=small.right, more=small.more, base=small.base,
            )  # fmt: skip
            made[kind] = StepGraph(load(folder, data="optional"), Store(folder))
        return made[kind]

    return of


numbers = st.floats(min_value=1e-12, max_value=1e12)
tags = st.sampled_from(["en", "es", "sw", "de", "th"])
costs = st.builds(Cost, amount=numbers, per=st.sampled_from([None, "item", "token"]), fixed=numbers | st.just(0.0))
options = st.fixed_dictionaries(
    {},
    optional={
        "evaluation": st.sampled_from(["math", {"math": 2.0, "again": 1.0}]),
        "budget": numbers | st.integers(1, 500).map(float),
        "unit": st.sampled_from(["items", "tokens"]),
        "languages": st.lists(tags, max_size=4),
        "costs": st.dictionaries(tags, numbers | costs, max_size=3),
        "existing": st.dictionaries(tags, numbers | st.just("all"), max_size=2),
        "translatable": st.integers(1, 300).map(float),
        "objective": st.sampled_from(["mean", "worst", "weighted"]),
        "weights": st.dictionaries(tags, numbers, min_size=1, max_size=3),
        "at_least": st.dictionaries(st.sampled_from(["en", "es", "math:sw"]), st.floats(0, 0.4), max_size=2),
    },
)
asked_of = given(
    kind=st.sampled_from(list(STUDIES)), asked=options, num_next_runs=st.integers(0, 6), explained=st.booleans()
)
quietly = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=12)


@pytest.mark.parametrize("kind", STUDIES)
def test_what_is_expected_and_proposed_is_possible(study: Callable[[str], StepGraph], kind: str):
    graph = study(kind)
    names = {"math": 1.0, "again": 1.0} if kind == "two evaluations" else {}
    unit = "tokens" if kind == "tokens" else "items"
    advice = advise_graph(graph, Question(evaluations=names, unit=unit), num_next_runs=4)
    proposed = [one.amounts for one in advice.next_runs]
    known = list(advice.fitted.observed.amounts.values())
    for place, one in enumerate(proposed):
        assert advice.budget.allows(one)
        assert all(difference(one, other) >= LEAST_DIFFERENCE for other in (*known, *proposed[:place]))
    observed = advice.fitted.observed
    near = 0
    for row, label in enumerate(observed.mixtures):
        value, at = observed.values[row], [observed.amounts[label]]
        expected = float(advice.fitted.predict_mean(at, "tiny", [str(observed.languages[row])])[0, 0])
        assert 0 <= expected <= 1
        near += abs(expected - value) <= 2 * max(expected * (1 - expected) / NUM_ITEMS, 1e-4) ** 0.5
    assert near >= 0.95 * len(observed.values)
    assert (advice.recommendation is None) == (kind in ("floor", "ceiling", "one mixture"))
    page = write_advice(graph, advice)
    assert (page is None) == (advice.recommendation is None)


@quietly
@asked_of
def test_any_options_give_a_proposal_within_the_limits_or_a_message(
    study: Callable[[str], StepGraph], kind: str, asked: dict, num_next_runs: int, explained: bool
):
    ask(study(kind), kind, asked, num_next_runs, explained=explained)


@pytest.mark.slow
@pytest.mark.long
@settings(quietly, max_examples=200, derandomize=False)
@asked_of
def test_any_options_at_length(
    study: Callable[[str], StepGraph], kind: str, asked: dict, num_next_runs: int, explained: bool
):
    ask(study(kind), kind, asked, num_next_runs, explained=explained)


def ask(graph: StepGraph, kind: str, asked: dict, num_next_runs: int, *, explained: bool) -> None:
    if kind != "two evaluations":
        asked.pop("evaluation", None)
    try:
        advice = advise_graph(graph, question_of(asked), num_next_runs=num_next_runs)
    except CrossliftError:
        return
    assert all(pilot.amounts and pilot.margin <= pilot.margin_before for pilot in advice.pilots)
    proposed = [one.amounts for one in advice.next_runs]
    if (found := advice.recommendation) is not None:
        assert all(0 <= value <= 1 for value in found.expected_by_language.values())
        assert 0 <= found.low <= found.expected_objective <= found.high <= 1
        proposed.append(found.amounts)
        if explained:
            assert advice.explanation is not None
            proposed += [one.amounts for one in advice.explanation.changes if one.amounts and one.kind == "language"]
    most = max(sum(one.values()) for one in advice.fitted.observed.amounts.values())
    for amounts in proposed:
        assert advice.budget.allows(amounts) and all(amount == round(amount) > 0 for amount in amounts.values())
        assert sum(amounts.values()) <= MOST_BEYOND * most * (1 + 1e-9)
        if advice.unit == "items" and kind != "repeated":
            assert max(amounts.values()) <= max(TRAIN_ITEMS, advice.question.translatable or 0)
