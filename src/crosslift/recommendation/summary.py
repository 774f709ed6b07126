"""Lines of a recommendation for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from crosslift.recommendation.advice import MIN_EXPECTED_GAIN, Advice
from crosslift.recommendation.recommend import MIN_MIXTURES, POINTS
from crosslift.recommendation.search import EQUIVALENCE_MARGIN


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
        return [asked, f"  {reason}", *_validation_lines(advice), *_next_run_lines(advice)]
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
    lines += [f"  {reason}" for reason in (*found.caveats, *advice.limits)]
    return [*lines, *_validation_lines(advice), *_next_run_lines(advice)]


def _validation_lines(advice: Advice) -> list[str]:
    if (one := advice.validation) is None:
        return []
    return [
        f"  cross-validation over mixtures: RMSE {POINTS * one.rmse_model:.1f} points, mean of the other mixtures "
        f"{POINTS * one.rmse_mean:.1f}, nearest mixture {POINTS * one.rmse_nearest:.1f}"
    ]


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
