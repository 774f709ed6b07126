"""Figures of imported results and recommendations."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.figure import Figure
from crosslift.transfer.answers import Analysis, answer_table

WIDTH = 400
MAX_ROWS = 40
"""Rows of a forest plot."""
VERDICT_LABELS = {
    "supported": "supported",
    "not supported": "not supported",
    "cannot tell": "cannot tell",
    "": "no claim",
}
"""Verdict -> label, in the order of the palette: blue, vermillion, grey, green."""


def figures(analysed: list[Analysis]) -> list[Figure]:
    """All figures in the order of the analyses: forest plots of the answers, then figures of the tables."""
    found = []
    for number, one in enumerate(analysed):
        found += _forests(one, f"{one.kind}-{number}")
        for name, draw in _OWN.items():
            if name in one.tables and not one.tables[name].is_empty():
                found.append(draw(one, f"{one.kind}-{number}-{name}"))
    return found


def _forests(one: Analysis, name: str) -> list[Figure]:
    """One forest plot per measure, because measures have different units."""
    table = answer_table([one]).filter(pl.col("low").is_not_null() & pl.col("high").is_not_null())
    drawn = []
    for number, ((measure,), part) in enumerate(table.group_by("measure", maintain_order=True)):
        if part.height > 1:
            drawn.append(_forest(part.head(MAX_ROWS), str(measure), f"{name}-{number}"))
    return drawn


def _forest(part: pl.DataFrame, measure: str, name: str) -> Figure:
    import altair as alt

    rows = part.with_row_index("row").with_columns(
        label=pl.col("question") if part["question"].is_unique().all() else pl.format("{} {}", "question", "about"),
        says=pl.col("verdict").replace(VERDICT_LABELS),
    )
    order = rows["label"].to_list()
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=360, grid=False, ticks=False))
    said = [word for word in VERDICT_LABELS.values() if word in set(rows["says"])]
    colour = alt.Color(
        "says:N",
        scale=alt.Scale(domain=list(VERDICT_LABELS.values())),  # fixed colour per verdict
        legend=alt.Legend(title=None, orient="top", values=said) if said != [VERDICT_LABELS[""]] else None,
    )
    base = alt.Chart(alt.NamedData("rows"))
    chart = alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            y=y, x=alt.X("low:Q", title=measure, scale=alt.Scale(zero=False)), x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=y, x="value:Q", color=colour, shape=alt.Shape("says:N", legend=None, sort=list(VERDICT_LABELS.values())),
            tooltip=["question:N", "about:N", "value:Q", "low:Q", "high:Q", "verdict:N", "note:N"],
        ),
    ).properties(width=WIDTH)  # fmt: skip
    return Figure(
        name=name,
        title=measure[:1].upper() + measure[1:],
        caption="Points are estimates, lines 95 % intervals.",
        chart=chart,
        datasets={"rows": rows.drop("row")},
    )


def _curves(one: Analysis, name: str) -> Figure:
    import altair as alt

    table = one.tables["curves"].filter(pl.col("dose").is_not_null())
    band = (
        alt.Chart()
        .mark_rect(opacity=0.12)
        .encode(
            x=alt.X("min(plateau_low):Q", scale=alt.Scale(type="symlog", constant=100), title="examples per language"),
            x2="max(plateau_high):Q",
        )
    )
    lines = (
        alt.Chart()
        .mark_line(point=True)
        .encode(
            x=alt.X("dose:Q", title="examples per language", scale=alt.Scale(type="symlog", constant=100)),
            y=alt.Y("non_english:Q", title="mean of the non-English languages", scale=alt.Scale(zero=False)),
            color=alt.Color("setting:N", legend=alt.Legend(title=None, orient="top")),
            detail="mixture:N",
            tooltip=["run:N", "dose:Q", "non_english:Q", "english:Q", "seen:Q", "unseen:Q"],
        )
    )
    chart = (
        alt.layer(band, lines)
        .properties(width=230, height=150)
        .facet(data=alt.NamedData("rows"), facet=alt.Facet("panel:N", title=None), columns=3)
        .resolve_scale(y="independent")
    )
    rows = table.with_columns(panel=pl.format("{} · {}", "task", "model")).select(
        "run",
        "panel",
        "dose",
        "setting",
        "mixture",
        "non_english",
        "english",
        "seen",
        "unseen",
        "plateau_low",
        "plateau_high",
    )
    return Figure(
        name=name,
        title="Scores against examples per language",
        caption="One line per mixture; lines of one panel have the same configuration at dose 0. Bands: 95 % interval "
        "of the start of the plateau, for curves with a claim about it.",
        chart=chart,
        datasets={"rows": rows},
    )


def _number(one: Analysis, name: str) -> Figure:
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_line(point=True)
        .encode(
            x=alt.X("number:Q", title="training languages", scale=alt.Scale(type="log")),
            y=alt.Y("mean:Q", title="mean score", scale=alt.Scale(zero=False)),
            tooltip=["number:Q", "mean:Q", "runs:Q"],
        )
        .properties(width=WIDTH, height=220)
    )
    plateau = next(answer for answer in one.answers if answer.measure.startswith("plateau"))
    band = (
        alt.Chart(alt.NamedData("plateau"))
        .mark_rect(opacity=0.15)
        .encode(x=alt.X("low:Q"), x2="high:Q")
        .properties(width=WIDTH, height=220)
    )
    return Figure(
        name=name,
        title="Score against the number of training languages",
        caption="The band is the 95 % interval of the start of the plateau.",
        chart=alt.layer(band, chart),
        datasets={"rows": one.tables["curve"], "plateau": pl.DataFrame({"low": [plateau.low], "high": [plateau.high]})},
    )


def _languages(one: Analysis, name: str) -> Figure:
    """Matrix of pairs of languages, ordered by similarity."""
    import altair as alt

    from crosslift.languages.similarity import order_by_similarity

    table = one.tables["pairs_of_languages"]
    tags = sorted({*table["language"], *table["other"]})
    order = order_by_similarity(tags)
    difference = (pl.col("only_first") - pl.col("only_second")).alias("difference")
    half = table.select("run", "language", "other", difference, "p_adjusted")
    other = half.with_columns(language="other", other="language", difference=-pl.col("difference"))
    rows: Any = pl.concat([half, other])
    most = max(1, int(rows["difference"].abs().max() or 1))
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("other:N", sort=order, title=None), y=alt.Y("language:N", sort=order, title=None)
    )
    chart = alt.layer(
        base.mark_rect().encode(
            color=alt.Color(
                "difference:Q",
                scale=alt.Scale(domain=[-most, most], range="diverging"),
                title="difference in correct items",
            ),
            tooltip=["language:N", "other:N", "difference:Q", "p_adjusted:Q"],
        ),
        base.mark_text(style="on-weak").encode(text="difference:Q"),
    ).properties(width=30 * len(order), height=24 * len(order))
    return Figure(
        name=name,
        title="Differences between languages",
        caption="Items answered correctly only in the row's language minus items answered correctly only in the "
        "column's. Languages are ordered by similarity in genealogy, syntax and script.",
        chart=chart,
        datasets={"rows": rows},
    )


def _parts(one: Analysis, name: str) -> Figure:
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(height=14)
        .encode(
            x=alt.X("sd:Q", title="standard deviation"),
            y=alt.Y("part:N", title=None, sort=one.tables["parts"]["part"].unique(maintain_order=True).to_list()),
            tooltip=["task:N", "part:N", "sd:Q"],
        )
        .properties(width=300)
        .facet(facet=alt.Facet("task:N", title=None), columns=2)
    )
    return Figure(
        name=name,
        title="Components of the transfer model",
        caption="Standard deviation of each kernel of the transfer model: levels of models and languages, the "
        "response to "
        "amounts and its differences between them, effects of mixtures and runs on all languages, and noise.",
        chart=chart,
        datasets={"rows": one.tables["parts"]},
    )


def _shares(one: Analysis, name: str) -> Figure:
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of the variance", axis=alt.Axis(format="%"), stack="zero"),
            y=alt.Y("task:N", title=None),
            color=alt.Color("part:N", legend=alt.Legend(title=None, orient="top")),
            tooltip=["task:N", "part:N", "share:Q"],
        )
        .properties(width=WIDTH)
    )
    return Figure(
        name=name,
        title="Variance components",
        caption="Shares of the variance not explained by the fixed effects: cell (model, task and language), run, and "
        "residual.",
        chart=chart,
        datasets={"rows": one.tables["variance_shares"]},
    )


def _amounts(one: Analysis, name: str) -> Figure:
    return composition(one.tables["amounts"], name)


def composition(rows: pl.DataFrame, name: str = "composition") -> Figure:
    """Stacked bars of the amounts per language of several mixtures.

    Args:
        rows: columns mixture, language and amount.
        name: of the figure.
    """
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(height=13)
        .encode(
            x=alt.X("amount:Q", title="amount", stack="zero"),
            y=alt.Y("mixture:N", title=None, sort=rows["mixture"].unique(maintain_order=True).to_list()),
            color=alt.Color("language:N", sort=rows["language"].unique(maintain_order=True).to_list(),
                            legend=alt.Legend(title=None, orient="top", columns=8),
                            scale=alt.Scale(scheme="tableau20")),
            tooltip=["mixture:N", "language:N", alt.Tooltip("amount:Q", format=",.0f")],
        )
        .properties(width=WIDTH)
    )  # fmt: skip
    return Figure(
        name=name,
        title="Composition of the mixtures",
        caption="The recommended mixture, the baselines, and the next best candidates.",
        chart=chart,
        datasets={"rows": rows},
    )


_OWN = {
    "amounts": _amounts,
    "curves": _curves,
    "curve": _number,
    "pairs_of_languages": _languages,
    "parts": _parts,
    "variance_shares": _shares,
}
