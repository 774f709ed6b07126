"""The sections of the page of a recommendation: the decision, why, what it costs, how sure, what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crosslift.errors import UnknownName
from crosslift.languages.language import language
from crosslift.recommendation.advice import Advice
from crosslift.recommendation.explaining.contributions import Contribution, Effect
from crosslift.recommendation.explaining.explanation import Explanation
from crosslift.recommendation.feasibility import floor_name
from crosslift.recommendation.objective import CONFIDENCE, cell_of
from crosslift.recommendation.recommend import POINTS, Recommendation
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.recommendation.summary import amounts_text, by_decreasing_amount, change_text, cost_lines, pilot_texts
from crosslift.transfer.model.posterior import UNEXPLAINED

TERMS = {
    "own": "own language",
    "own presence": "first items of the own language",
    "genetic": "related languages",
    "genetic presence": "first items of related languages",
    "syntactic": "similar grammar",
    "syntactic presence": "first items with similar grammar",
    "script": "same script",
    "script presence": "first items in the same script",
    "total": "total amount",
    UNEXPLAINED: "not explained by these",
}
"""Term of the transfer model -> heading."""
MAX_PAIRS = 4
"""Pairs of languages that are named."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """Cells as text; the first column is a heading."""
    numbers: Sequence[int] = ()
    """Places of the columns that hold numbers."""
    total: bool = False
    """Whether the last row is a total."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page."""

    id: str
    title: str
    headline: str = ""
    lede: str = ""
    cards: Sequence[dict[str, str]] = ()
    """Comparisons with a baseline."""
    charts: Sequence[str] = ()
    """Names of figures."""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    code: str = ""


def sections_of(advice: Advice, found: Recommendation, told: Explanation, mixture: str) -> list[Section]:
    """All sections, the decision first.

    Args:
        advice: the advice.
        found: its recommendation.
        told: its explanation.
        mixture: the mixture as text for a study file.
    """
    sections = [_decision(advice, found, mixture), _why(found, told), _cost(advice, found), _sure(advice, found)]
    if told.changes:
        sections.append(_changes(told))
    if told.front is not None and len(told.front.points) > 1:
        sections.append(_trade_off(told))
    if pilots := pilot_texts(advice):
        sections.append(
            Section(
                id="untold",
                title="Languages without data",
                lede="Languages that no run has trained on or measured are not in the mixture.",
                notes=pilots,
            )
        )
    if advice.worthwhile_runs:
        sections.append(_next_runs(advice))
    return sections


def language_name(tag: str) -> str:
    """English name of a language with its tag, or the tag alone."""
    try:
        return f"{language(tag).name} ({tag})"
    except UnknownName:
        return tag


def label_name(label: str) -> str:
    """Name of an evaluation language, with its evaluation if there are several."""
    evaluation, tag = cell_of(label)
    return language_name(tag) + (f", {evaluation}" if evaluation else "")


def _points(value: float) -> str:
    return f"{POINTS * value:.1f}"


def _signed(value: float) -> str:
    return f"{round(POINTS * value, 1) + 0.0:+.1f}"


def _effect(one: Effect) -> dict[str, str]:
    return {"text": _signed(one.value), "small": f"{_points(one.low)} to {_points(one.high)}"}


def _decision(advice: Advice, found: Recommendation, mixture: str) -> Section:
    items = by_decreasing_amount(found.amounts)
    named = [f"{amount:,.0f} {advice.unit} of {language_name(tag)}" for tag, amount in items]
    words = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    widest = [abs(value) for one in found.comparisons for value in (one.low, one.high)]
    reach = max((*widest, EQUIVALENCE_MARGIN)) * 1.05
    tones = {"better": "supports", "worse": "contradicts"}
    cards = [
        {
            "tone": tones.get(one.verdict, ""),
            "verdict": one.verdict,
            "claim": f"Compared with {one.name}",
            "finding": f"{POINTS * one.value:+.1f} points [{_points(one.low)}, {_points(one.high)}]: "
            f"{amounts_text(one.amounts)}",
            "zero": "50.00",
            "low": f"{50 + 50 * one.low / reach:.2f}",
            "width": f"{50 * (one.high - one.low) / reach:.2f}",
            "value": f"{50 + 50 * one.value / reach:.2f}",
        }
        for one in found.comparisons
    ]
    return Section(
        id="decision",
        title="Decision",
        headline=f"Train {advice.model} on {words}. Expected: {_points(found.expected_objective)} points "
        f"[{_points(found.low)}, {_points(found.high)}].",
        cards=cards,
        charts=["composition"],
        code=mixture,
    )


def _why(found: Recommendation, told: Explanation) -> Section:
    terms = [name for name in TERMS if any(name in one.by_term for one in told.contributions)]
    rows = [
        [
            language_name(one.language),
            f"{one.amount:,.0f}",
            _effect(one.objective),
            *(_signed(one.by_term.get(name, 0.0)) for name in terms),
        ]
        for one in told.contributions
    ]
    return Section(
        id="why",
        title="Why",
        lede="What the data of each language contribute, by the transfer model: the score of the mixture minus that of "
        "the same mixture without them, nothing in their place. The parts by term are to first order.",
        charts=["contributions"],
        tables=[
            Table(
                title="Contribution of each language to the objective, in points",
                columns=["Trained on", "Amount", "Contribution, 95 %", *(TERMS[name] for name in terms)],
                rows=rows,
                numbers=range(1, 3 + len(terms)),
            )
        ],
        notes=[*_pair_notes(told.contributions), *(f"{one[:1].upper()}{one[1:]}." for one in found.caveats)],
    )


def _pair_notes(found: Sequence[Contribution]) -> list[str]:
    """The strongest effects of one language on another whose interval does not contain 0."""
    pairs = [
        (one.language, label, effect)
        for one in found
        for label, effect in one.by_language.items()
        if cell_of(label)[1] != one.language and (effect.low > 0 or effect.high < 0)
    ]
    if not pairs:
        return ["The data of no language have an effect on another language whose interval excludes 0."]
    pairs.sort(key=lambda one: -abs(one[2].value))
    return [
        f"{language_name(tag)} {'raises' if effect.value > 0 else 'lowers'} {label_name(label)}: "
        f"{POINTS * effect.value:+.1f} points [{_points(effect.low)}, {_points(effect.high)}]."
        for tag, label, effect in pairs[:MAX_PAIRS]
    ]


def _cost(advice: Advice, found: Recommendation) -> Section:
    budget = advice.budget
    new, paid = budget.new(found.amounts), budget.costs_by_language(found.amounts)
    total = sum(found.amounts.values())
    rows = [
        [
            language_name(tag),
            f"{amount:,.0f}",
            f"{100 * amount / total:.0f} %",
            f"{amount - new.get(tag, 0.0):,.0f}",
            f"{new.get(tag, 0.0):,.0f}",
            f"{paid.get(tag, 0.0):,.0f}",
        ]
        for tag, amount in by_decreasing_amount(found.amounts)
    ]
    rows.append(
        ["total", f"{total:,.0f}", "100 %", f"{total - sum(new.values()):,.0f}", f"{sum(new.values()):,.0f}",
         f"{sum(paid.values()):,.0f}"]
    )  # fmt: skip
    plain = not (budget.costs or budget.existing or budget.fixed_costs)
    return Section(
        id="cost",
        title="What it costs",
        lede=f"Budget: {budget.amount:,.0f}. " + ("Each unit costs 1." if plain else "Costs as asked, 1 by default."),
        tables=[
            Table(
                title=f"Mixture, in {advice.unit}",
                columns=["Language", "Amount", "Share", "Exists", "New", "Cost"],
                rows=rows,
                numbers=range(1, 6),
                total=True,
            )
        ],
        notes=[f"{one[:1].upper()}{one[1:]}." for one in (*cost_lines(advice), *advice.limits)],
    )


def _sure(advice: Advice, found: Recommendation) -> Section:
    floors = dict(zip(advice.objective.languages, advice.objective.floors.tolist(), strict=True))
    bound = any(value > 0 for value in floors.values())
    rows = []
    for label, value in found.expected_by_language.items():
        low, high = found.limits_by_language[label]
        row = [label_name(label), _points(value), f"{_points(low)} to {_points(high)}"]
        rows.append([*row, _points(floors[label]) if floors[label] > 0 else ""] if bound else row)
    notes = [
        f"Within {POINTS * EQUIVALENCE_MARGIN:g} points of the best candidate with probability "
        f"{found.probability_best:.2f}."
    ]
    if bound:
        told = " and ".join(f"{floor_name(label)} {_points(value)}" for label, value in floors.items() if value > 0)
        notes.append(
            f"The minimum scores ({told}) are kept, all together, with a probability of at least {CONFIDENCE:g}."
        )
    several = len(advice.validations) > 1
    notes += [
        f"Mixtures left out{f', {name}' if several else ''}: the transfer model predicts them with an error of "
        f"{_points(one.rmse_model)} points (root mean square); the mean of the other mixtures with "
        f"{_points(one.rmse_mean)}, the nearest mixture with {_points(one.rmse_nearest)}."
        for name, one in advice.validations.items()
    ]
    return Section(
        id="sure",
        title="How sure",
        tables=[
            Table(
                title="Expected scores, in points",
                columns=["Evaluated in", "Expected", "95 % interval", *(["Minimum"] if bound else [])],
                rows=rows,
                numbers=(1, 2, 3),
            )
        ],
        notes=notes,
    )


def _changes(told: Explanation) -> Section:
    same = [change_text(one) for one in told.changes if one.amounts is not None and one.exchanged <= 0]
    rows: list[list[Any]] = []
    for one in sorted(told.changes, key=lambda one: -abs(one.effect.value if one.effect else 0.0)):
        if one.effect is None or one.amounts is None:
            rows.append([change_text(one), one.reason, "", "", ""])
        elif one.exchanged > 0:
            rows.append(
                [change_text(one), amounts_text(one.amounts), _effect(one.effect), f"{100 * one.exchanged:.0f} %",
                 f"{one.cost:,.0f}"]
            )  # fmt: skip
    return Section(
        id="changes",
        title="What would change it",
        lede="Each constraint is changed by itself, and the mixture that would then be recommended is compared with "
        "this one, in the same draws from the posterior.",
        charts=["changes"],
        tables=[
            Table(
                title="Changed constraints",
                columns=["With", "Mixture", "Objective, points", "Exchanged", "Cost"],
                rows=rows,
                numbers=(2, 3, 4),
            )
        ],
        notes=[f"The same mixture would be recommended with: {', '.join(same)}."] if same else (),
    )


def _trade_off(told: Explanation) -> Section:
    assert told.front is not None
    first, second = told.front.names
    rows = [
        [
            amounts_text(one.amounts) + (" (recommended)" if one.recommended else ""),
            _level(one.first),
            _level(one.second),
        ]
        for one in told.front.points
        if one.on_front or one.recommended
    ]
    return Section(
        id="trade-off",
        title="Trade-off",
        charts=["front"],
        tables=[
            Table(
                title="Mixtures on the front",
                columns=["Mixture", f"{first[:1].upper()}{first[1:]}, 95 %", f"{second[:1].upper()}{second[1:]}, 95 %"],
                rows=rows,
                numbers=(1, 2),
            )
        ],
    )


def _level(one: Effect) -> dict[str, str]:
    return {"text": _points(one.value), "small": f"{_points(one.low)} to {_points(one.high)}"}


def _next_runs(advice: Advice) -> Section:
    rows = [
        [str(number), amounts_text(one.amounts), f"{POINTS * one.expected_gain:.2f}", one.run or ""]
        for number, one in enumerate(advice.worthwhile_runs, start=1)
    ]
    return Section(
        id="next",
        title="Next runs",
        lede="Further runs that are expected to improve the choice most.",
        tables=[
            Table(
                title="Next runs",
                columns=["No.", "Mixture", "Expected gain, points", "Planned as"],
                rows=rows,
                numbers=(2,),
            )
        ],
    )
