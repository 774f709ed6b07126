"""Figures of a recommendation: contributions, what would change it, and trade-offs."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from crosslift.recommendation.explaining.contributions import Contribution
from crosslift.recommendation.explaining.front import Front
from crosslift.recommendation.explaining.sensitivity import Change
from crosslift.recommendation.recommend import POINTS
from crosslift.recommendation.summary import amounts_text, change_text
from crosslift.reporting.figure import Figure

WIDTH = 400
MAX_ROWS = 24
"""Changed constraints that are drawn, the ones with the largest effects."""
ROW_HEIGHT = 17
STRONG = 0.62
"""Share of the largest value above which the colour of a cell is strong."""
SAYS = ("better", "cannot tell", "worse")


def contribution_figure(found: Sequence[Contribution]) -> Figure:
    """Matrix of training languages x evaluation languages: what each contributes."""
    import altair as alt

    rows = pl.DataFrame(
        [
            {
                "trained": one.language,
                "evaluated": tag,
                "points": POINTS * effect.value,
                "low": POINTS * effect.low,
                "high": POINTS * effect.high,
                "label": f"{POINTS * effect.value:+.1f}" + ("" if effect.low <= 0 <= effect.high else "*"),
            }
            for one in found
            for tag, effect in one.by_language.items()
        ]
    )
    trained = [one.language for one in found]
    evaluated = list(dict.fromkeys(rows["evaluated"]))
    most = max(1.0, float(rows["points"].abs().max()))  # type: ignore[arg-type]
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("evaluated:N", sort=evaluated, title="evaluated in", axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("trained:N", sort=trained, title="trained on"),
    )
    chart = alt.layer(
        base.mark_rect().encode(
            color=alt.Color(
                "points:Q",
                scale=alt.Scale(domain=[-most, most], range="diverging"),
                legend=alt.Legend(title="points", orient="bottom", gradientLength=160),
            ),
            tooltip=[
                "trained:N",
                "evaluated:N",
                *(alt.Tooltip(f"{name}:Q", format=".1f") for name in ("points", "low", "high")),
            ],
        ),
        base.transform_filter(f"abs(datum.points) <= {STRONG * most}")
        .mark_text(style="on-weak")
        .encode(text="label:N"),
        base.transform_filter(f"abs(datum.points) > {STRONG * most}")
        .mark_text(style="on-strong")
        .encode(text="label:N"),
    ).properties(width=max(46 * len(evaluated), 120), height=26 * len(trained))
    return Figure(
        name="contributions",
        title="Which languages raise which scores",
        caption="Expected score of the recommended mixture minus that of the mixture without the items of the row's "
        "language, in points. * The 95 % interval does not contain 0.",
        chart=chart,
        datasets={"rows": rows},
    )


def change_figure(changes: Sequence[Change]) -> Figure | None:
    """What each changed constraint would do to the expected objective; None if there is none."""
    import altair as alt

    told = [(one, one.effect) for one in changes if one.effect is not None and one.exchanged > 0]
    told = sorted(told, key=lambda one: -abs(one[1].value))[:MAX_ROWS]
    if not told:
        return None
    rows = pl.DataFrame(
        [
            {
                "change": change_text(one),
                "points": POINTS * effect.value,
                "low": POINTS * effect.low,
                "high": POINTS * effect.high,
                "says": SAYS[0] if effect.low > 0 else SAYS[2] if effect.high < 0 else SAYS[1],
                "mixture": amounts_text(one.amounts or {}),
            }
            for one, effect in told
        ]
    )
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y(
            "change:N",
            sort=rows["change"].to_list(),
            title=None,
            axis=alt.Axis(labelLimit=240, grid=False, ticks=False),
        )
    )
    said = [word for word in SAYS if word in set(rows["says"])]
    chart = alt.layer(
        base.mark_bar(height=9, opacity=0.75).encode(
            x=alt.X("points:Q", title="change of the expected objective in points"),
            x2=alt.datum(0),
            color=alt.Color(
                "says:N",
                scale=alt.Scale(domain=["better", "worse", "cannot tell"]),  # blue, vermillion, grey
                legend=alt.Legend(title=None, orient="top", values=said),
            ),
            tooltip=[
                "change:N",
                *(alt.Tooltip(f"{name}:Q", format=".1f") for name in ("points", "low", "high")),
                "mixture:N",
            ],
        ),
        base.mark_rule(strokeWidth=1.5, style="note").encode(x="low:Q", x2="high:Q"),
    ).properties(width=WIDTH, height=ROW_HEIGHT * len(told))
    return Figure(
        name="changes",
        title="What would change the recommendation",
        caption="One constraint at a time is changed. Bars: expected objective of the mixture that would then be "
        "recommended, minus that of the recommended one; lines: 95 % intervals.",
        chart=chart,
        datasets={"rows": rows},
    )


def front_figure(front: Front) -> Figure:
    """Candidates by two objectives, with the mixtures that no other exceeds in both."""
    import altair as alt

    rows = pl.DataFrame(
        [
            {
                "first": POINTS * one.first.value,
                "second": POINTS * one.second.value,
                "first_low": POINTS * one.first.low,
                "first_high": POINTS * one.first.high,
                "second_low": POINTS * one.second.low,
                "second_high": POINTS * one.second.high,
                "kind": "recommended" if one.recommended else "on the front" if one.on_front else "other candidates",
                "mixture": amounts_text(one.amounts),
            }
            for one in front.points
            if one.on_front or one.recommended
        ]
        + [
            {
                "first": POINTS * one.first.value,
                "second": POINTS * one.second.value,
                "first_low": None,
                "first_high": None,
                "second_low": None,
                "second_high": None,
                "kind": "other candidates",
                "mixture": amounts_text(one.amounts),
            }
            for one in front.points
            if not one.on_front and not one.recommended
        ],
        infer_schema_length=None,
    )
    kinds = ["on the front", "recommended", "other candidates"]
    x = alt.X("first:Q", title=f"{front.names[0]}, points", scale=alt.Scale(zero=False))
    y = alt.Y("second:Q", title=f"{front.names[1]}, points", scale=alt.Scale(zero=False))
    base = alt.Chart(alt.NamedData("rows"))
    chosen = base.transform_filter("datum.kind == 'recommended'")
    line = base.transform_filter("isValid(datum.first_low)").mark_line(
        strokeWidth=1, style="note", interpolate="linear"
    )
    chart = alt.layer(
        line.encode(x=x, y=y, order="first:Q"),
        chosen.mark_rule(style="note").encode(x="first_low:Q", x2="first_high:Q", y=y),
        chosen.mark_rule(style="note").encode(y="second_low:Q", y2="second_high:Q", x=x),
        base.mark_point(filled=True, size=55, opacity=0.9).encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", scale=alt.Scale(domain=kinds), legend=alt.Legend(title=None, orient="top")),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds), legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                "mixture:N",
                alt.Tooltip("first:Q", format=".1f", title=front.names[0]),
                alt.Tooltip("second:Q", format=".1f", title=front.names[1]),
            ],
        ),
    ).properties(width=WIDTH, height=260)
    return Figure(
        name="front",
        title=f"{front.names[0]} against {front.names[1]}",
        caption="Expected scores of candidate mixtures within the constraints. No other candidate is expected to "
        "exceed those on the front in both. Lines through the recommended mixture: 95 % intervals.",
        chart=chart,
        datasets={"rows": rows},
    )
