"""Lines of a recommendation for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from crosslift.recommendation.advice import MIN_EXPECTED_GAIN, Advice
from crosslift.recommendation.explaining.pilots import Pilot
from crosslift.recommendation.explaining.sensitivity import Change
from crosslift.recommendation.recommend import MIN_MIXTURES, POINTS
from crosslift.recommendation.search import EQUIVALENCE_MARGIN

NUM_CHANGES = 3
"""Changed constraints that are printed."""


def summary_lines(advice: Advice) -> list[str]:
    """Lines for the terminal: the recommendation, its comparisons, caveats and validation, and the next runs."""
    asked = (
        f"{advice.model}, {advice.evaluation}, {advice.objective.kind} over {len(advice.objective.languages)} "
        f"languages, budget {advice.budget.amount:,.0f}:"
    )
    if (found := advice.recommendation) is None:
        reason = (
            f"cannot tell: {advice.undecided}"
            if advice.undecided
            else f"no recommendation: fewer than {MIN_MIXTURES} mixtures are evaluated"
        )
        return [asked, f"  {reason}", *_pilot_lines(advice), *_validation_lines(advice), *_next_run_lines(advice)]
    lines = [
        asked,
        "  " + ", ".join(f"{tag} {amount:,.0f}" for tag, amount in by_decreasing_amount(found.amounts)),
        f"  expected objective {POINTS * found.expected_objective:.1f} [{POINTS * found.low:.1f}, "
        f"{POINTS * found.high:.1f}], "
        f"within {POINTS * EQUIVALENCE_MARGIN:g} points of the best with probability {found.probability_best:.2f}",
    ]
    for other in found.comparisons:
        interval = f"[{POINTS * other.low:.1f}, {POINTS * other.high:.1f}]"
        lines.append(f"  minus {other.name}: {POINTS * other.value:+.1f} {interval} -> {other.verdict}")
    lines += [f"  {reason}" for reason in (*cost_lines(advice), *found.caveats, *advice.limits)]
    return [
        *lines,
        *_change_lines(advice),
        *_pilot_lines(advice),
        *_validation_lines(advice),
        *_next_run_lines(advice),
    ]


def cost_lines(advice: Advice) -> list[str]:
    """What the recommended mixture costs, and what of it has to be translated; empty if every item costs 1."""
    budget, found = advice.budget, advice.recommendation
    lines: list[str] = []
    if found is None:
        return lines
    if budget.costs or budget.existing or budget.fixed_costs:
        paid = budget.costs_by_language(found.amounts)
        told = ", ".join(f"{tag} {cost:,.0f}" for tag, cost in sorted(paid.items(), key=lambda one: -one[1]))
        lines.append(f"it costs {sum(paid.values()):,.0f} of {budget.amount:,.0f}" + (f": {told}" if told else ""))
    if missing := advice.to_translate:
        lines.append(f"the corpora do not hold all of it: translate {amounts_text(missing)} {advice.unit} first")
    return lines


def _change_lines(advice: Advice) -> list[str]:
    """The changed constraints with the largest effects whose intervals do not contain 0."""
    if (told := advice.explanation) is None:
        return []
    clear = [(one, one.effect) for one in told.changes if one.effect is not None]
    clear = [(one, effect) for one, effect in clear if effect.low > 0 or effect.high < 0]
    clear.sort(key=lambda one: -abs(one[1].value))
    impossible = [one for one in told.changes if one.effect is None]
    lines = [
        f"  with {change_text(one)}: {POINTS * effect.value:+.1f} [{POINTS * effect.low:.1f}, "
        f"{POINTS * effect.high:.1f}], {amounts_text(one.amounts or {})}"
        for one, effect in clear[:NUM_CHANGES]
    ]
    lines += [f"  with {change_text(one)}: {one.reason}" for one in impossible[:NUM_CHANGES]]
    if not lines and told.changes:
        lines.append("  no single changed constraint has an effect on the expected objective whose interval excludes 0")
    return lines


def change_text(one: Change) -> str:
    """A changed constraint in words: "half the budget", "twice the cost of sw", "sw left out"."""
    if one.kind in ("budget", "cost"):
        return f"{one.change} the {one.constraint}"
    return f"{one.constraint} {one.change}" if one.kind == "language" else f"{one.constraint}: {one.change}"


def _pilot_lines(advice: Advice) -> list[str]:
    return [f"  {line}" for line in pilot_texts(advice)]


def pilot_texts(advice: Advice) -> list[str]:
    """For each language that no run has trained on or measured: the pilot that would tell."""
    lines = []
    for one in advice.pilots:
        after = (
            f"within {POINTS * one.margin:.1f} points" if one.tells else f"only within {POINTS * one.margin:.1f} points"
        )
        lines.append(
            f"{one.language}: cannot tell, because no run has trained on it or measured it. The cheapest pilot: "
            f"{one.num_runs} runs, {amounts_text(one.amounts)} against {amounts_text(one.reference)}, evaluated in "
            f"{one.language} too, tell the difference {after} (before: {POINTS * one.margin_before:.1f}): "
            f"{pilot_command(advice, one)}"
        )
    return lines


def pilot_command(advice: Advice, pilot: Pilot) -> str:
    """The command that writes the pilot."""
    return f"crosslift pilot NEW_STUDY {advice.pilot_data(pilot.amounts)} --runs {pilot.num_runs}"


def _validation_lines(advice: Advice) -> list[str]:
    lines = []
    for name, one in advice.validations.items():
        of = f" ({name})" if len(advice.validations) > 1 else ""
        lines.append(
            f"  cross-validation over mixtures{of}: RMSE {POINTS * one.rmse_model:.1f} points, mean of the other "
            f"mixtures {POINTS * one.rmse_mean:.1f}, nearest mixture {POINTS * one.rmse_nearest:.1f}"
        )
    return lines


def _next_run_lines(advice: Advice) -> list[str]:
    lines = []
    if advice.next_runs and advice.next_runs[0].expected_gain < MIN_EXPECTED_GAIN:
        lines.append(
            f"  no further run is expected to improve the choice by more than {POINTS * MIN_EXPECTED_GAIN:g} points"
        )
    for number, one in enumerate(advice.worthwhile_runs, start=1):
        planned = f", planned as {one.run}" if one.run else ""
        lines.append(
            f"  next run {number}: {amounts_text(one.amounts)} (expected gain {POINTS * one.expected_gain:.2f} "
            f"points{planned})"
        )
    return lines


def by_decreasing_amount(amounts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Languages with their amounts, in decreasing order; amounts that round to 0 are omitted."""
    return sorted(((tag, amount) for tag, amount in amounts.items() if round(amount) > 0), key=lambda one: -one[1])


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Amounts in decreasing order, as in `sw 1,200 en 800`."""
    return " ".join(f"{tag} {amount:,.0f}" for tag, amount in by_decreasing_amount(amounts))
