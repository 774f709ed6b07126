"""Do intervals hold the truth as often as they say, and do tests reject a true null as rarely?

    python benchmarks/calibration.py [STUDIES]        # writes docs/calibration.md and docs/figures/calibration.svg

Studies of six mixtures on eleven languages x 250 items with one to three seeds are simulated with known truth
(`crosslift.transfer.design.simulation`); the gain over the control is estimated as in every report. Beside it what
notebooks do:
every answer an independent coin (two shares), and every pair of answers independent (paired, not clustered).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
from scipy import stats

from crosslift.reporting.html import theme
from crosslift.streams import stream
from crosslift.transfer.design.simulation import SimulationTruth, discordance, simulate
from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.conditions import Condition, ResampledPanel
from crosslift.transfer.estimates.number import linear_combination, resampled_statistic
from crosslift.transfer.estimates.panel import Panel

ITEMS, NUM_LANGUAGES, CONDITIONS = 250, 11, 6
LEVELS = np.linspace(-0.5, 0.5, NUM_LANGUAGES)
EFFECT = 0.12
TRUTHS = {
    "low": SimulationTruth(noise=0.28, item_run=0.12, item_mixture=0.1, item_language=0.2),
    "middle": SimulationTruth(),
    "high": SimulationTruth(noise=0.75, item_run=0.3, item_mixture=0.2),
}
DOCS = Path(__file__).parents[1] / "docs"

HEAD = """# Calibration

`python benchmarks/calibration.py {studies}`: {studies:,} simulated studies per row and column, {mixtures} mixtures,
{languages} languages x {items} items, known truth. Coverage of 95 % intervals of one gain, and how often a test at 5 %
rejects a true null. Two standard errors of these shares are {noise:.1f} points.
"""
FOOT = """
![Coverage](figures/calibration.svg)

With one seed the runs are held and the truth is that of these very runs: their noise is not in the interval, and
reports say so. With more, the truth is that of the mixtures, over all items and seeds. Coins ignore that both sides
answer the same items; unclustered pairs ignore that an item asked in eleven languages is one item, and that a run is
one run.
"""


def study(truth: SimulationTruth, effect: float, seeds: int, number_of: int) -> dict[str, float]:
    """One simulated study: what was covered and rejected."""
    generator = stream(number_of, "calibration", f"{truth}", f"{seeds}", f"{effect}")
    effects = np.zeros(CONDITIONS)
    effects[1] = effect
    made = simulate(truth, effects, num_seeds=seeds, languages=LEVELS, num_items=ITEMS, generator=generator)
    names = tuple(f"m{condition}.{seed}" for condition in range(CONDITIONS) for seed in range(seeds))
    panel = Panel(
        evaluation="e", task="t", metric="m", runs=names,
        languages=tuple(f"l{place:02}" for place in range(NUM_LANGUAGES)),
        values=made.correct.reshape(len(names), NUM_LANGUAGES, ITEMS),
        num_items=np.ones((NUM_LANGUAGES, ITEMS)),
        num_errors=np.zeros((len(names), NUM_LANGUAGES), dtype=int),
        missing=np.zeros((len(names), NUM_LANGUAGES), bool),
        unequal=np.zeros((len(names), NUM_LANGUAGES), bool),
    )  # fmt: skip
    known = tuple(
        Condition(model="model", mixture=f"m{condition}", setting="t", trained=(),
                  runs=tuple(f"m{condition}.{seed}" for seed in range(seeds)))
        for condition in range(CONDITIONS)
    )  # fmt: skip
    resampled = ResampledPanel(panel=panel, conditions=known, num_resamples=1000, seed=number_of)
    sides = [
        resampled_statistic(resampled, ("model", f"m{c}"), lambda means: means.mean(axis=0), linear=True)
        for c in (1, 0)
    ]
    gain = linear_combination(zip((1.0, -1.0), sides, strict=True))
    found = gain.interval(resampled, num_clusters=ITEMS, level=0.95)
    if seeds == 1:  # the runs are held: the truth is about these runs
        wanted = truth.accuracy_of_runs(effect, LEVELS, made.runs[1]) - truth.accuracy_of_runs(
            0.0, LEVELS, made.runs[0]
        )
        flips = resample.random_signs(ITEMS, 4999, generator)
        p = float(resample.sign_flip_p_value(gain.contributions[None, :], flips)[0])
    else:
        wanted = truth.accuracy(effect, LEVELS) - truth.accuracy(0.0, LEVELS)
        p = float(resample.t_test_p_value(gain.value, found.standard_error, found.df))
    one, other = made.correct[1].ravel(), made.correct[0].ravel()
    coins = np.sqrt(one.var() / one.size + other.var() / other.size)
    pairs = (made.correct[1] - made.correct[0]).ravel()
    paired = pairs.std(ddof=1) / np.sqrt(pairs.size)
    z = stats.norm.ppf(0.975)
    return {
        "ours": float(found.low <= wanted <= found.high),
        "coins": float(abs(gain.value - wanted) <= z * coins),
        "paired": float(abs(gain.value - wanted) <= z * paired),
        "rejected": float(p < 0.05),
        "rejected_paired": float(abs(gain.value) > z * paired),
        "width": found.high - found.low,
        "discordance": discordance(made.correct),
        "null_is_true": float(abs(wanted) < 1e-12 or seeds > 1),
    }


def main() -> None:
    num_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows = []
    for truth in TRUTHS.values():
        for seeds in (1, 2, 3):
            here = replace(truth, run=0.0) if seeds == 1 else truth
            covered = [study(here, EFFECT, seeds, number_of) for number_of in range(num_studies)]
            null = [study(here, 0.0, seeds, number_of) for number_of in range(num_studies)]
            mean = {key: float(np.mean([one[key] for one in covered])) for key in covered[0]}
            rows.append(
                {
                    "discordance": mean["discordance"], "seeds": seeds, "coverage": mean["ours"],
                    "coverage_coins": mean["coins"], "coverage_paired": mean["paired"], "width": 100 * mean["width"],
                    "false_alarms": float(np.mean([one["rejected"] for one in null])),
                    "false_alarms_paired": float(np.mean([one["rejected_paired"] for one in null])),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    write(pl.DataFrame(rows), num_studies)


def write(table: pl.DataFrame, num_studies: int) -> None:
    import vl_convert

    noise = 200 * np.sqrt(0.05 * 0.95 / num_studies)
    head = ["discordance", "seeds", "ours covers", "every answer a coin", "pairs, not clustered", "width, points",
            "our test rejects", "unclustered rejects"]  # fmt: skip
    lines = [
        HEAD.format(studies=num_studies, mixtures=CONDITIONS, languages=NUM_LANGUAGES, items=ITEMS, noise=noise),
        f"| {' | '.join(head)} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.iter_rows(named=True):
        cells = [
            f"{row['discordance']:.2f}", f"{row['seeds']}", f"**{100 * row['coverage']:.1f} %**",
            f"{100 * row['coverage_coins']:.1f} %", f"{100 * row['coverage_paired']:.1f} %", f"{row['width']:.1f}",
            f"**{100 * row['false_alarms']:.1f} %**", f"{100 * row['false_alarms_paired']:.1f} %",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += [FOOT]
    (DOCS / "calibration.md").write_text("\n".join(lines), encoding="utf-8")
    long = table.unpivot(
        on=["coverage", "coverage_coins", "coverage_paired"], index=["discordance", "seeds"], variable_name="interval"
    ).with_columns(
        interval=pl.col("interval").replace(
            {"coverage": "ours", "coverage_coins": "every answer a coin", "coverage_paired": "pairs, not clustered"}
        ),
        seeds=pl.format("{} seeds", "seeds").str.replace("^1 seeds", "1 seed"),
    )
    order = ["ours", "every answer a coin", "pairs, not clustered"]
    base = alt.Chart()
    points = base.mark_line(point=True).encode(
        x=alt.X("discordance:Q", scale=alt.Scale(zero=False)),
        y=alt.Y(
            "value:Q",
            title="intervals that hold the truth",
            scale=alt.Scale(domain=[0.5, 1]),
            axis=alt.Axis(format="%"),
        ),
        color=alt.Color("interval:N", sort=order, legend=alt.Legend(title=None, orient="top")),
    )
    goal = base.mark_rule(strokeDash=[4, 3]).encode(y=alt.datum(0.95))
    chart = alt.layer(points, goal).properties(width=190, height=180)
    chart = chart.facet(column=alt.Column("seeds:N", title=None), data=alt.NamedData("rows"))
    spec = chart.to_dict(validate=False)
    spec["datasets"] = {"rows": long.to_dicts()}
    spec["config"] = theme.vega_config(theme.LIGHT) | {"background": "white"}
    (DOCS / "figures").mkdir(exist_ok=True)
    (DOCS / "figures" / "calibration.svg").write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
