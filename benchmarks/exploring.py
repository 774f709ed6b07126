"""The loop of `crosslift explore`, simulated where the answer is known.

    python benchmarks/exploring.py FOLDER [--orders 10] [--worlds 40] [--designs 5] [--data ../shared/data/results]

(1) The 220 runs of `references/english-is-not-all-you-need`: for each task, the five models in a random order, each
    with a tenth of its 22 runs; what was learned of one model is known when the next is explored, as in one study.
    Every second order measures on half of the items and is held against the other half.
(2) Simulated worlds with interactions of pairs of languages: 60 mixtures of one total, of which a tenth is run.
(3) Both published designs with effects of the published size: GPU hours until the choice is as sure as was asked, over
    several draws of each decision, with 95 % intervals over decisions.

A decision is good if its true score is less than one standard error (of one run) below the best, and as good as the
full grid's if it is less than one below that of the mixture which the full grid measured as best. FOLDER keeps a file
per case, so that the command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from explored.pools import Pool, published_pools, reference_pools, world_pool

from crosslift.recommendation.acquisition import knowledge_gradient_batch
from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.recommend import MIN_MIXTURES, Undecided, recommend
from crosslift.streams import stream
from crosslift.transfer.model.gaussian_process import fit_transfer_model

Step = dict[str, Any]
SHARE = 0.1
"""Share of the runs in (1)."""
POINTS, PROBABILITIES = 2.0, (0.5, 0.6, 0.7, 0.8, 0.9)
"""Certainties that are asked for in (3): within so many points with these probabilities."""
NUM_RESAMPLES = 2000
"""Resamples of the decisions of (3) for the intervals."""


def explored(
    pool: Pool, model: str, *, rule: str, most: int, width: int, order: np.random.Generator,
    known: Sequence[str] = (), margin: float,
) -> tuple[list[Step], list[str]]:  # fmt: skip
    """Explore the mixtures of one model.

    Args:
        pool: the candidates.
        model: the model.
        rule: "chosen" (by expected gain), "per hour" (by expected gain per hour) or "random".
        most: runs.
        width: runs of a batch.
        order: shuffles the candidates.
        known: runs of other models that are finished.
        margin: see `recommend`.

    Returns:
        What was decided after each batch, and the runs.
    """
    whole = pool.observed
    names = [str(one) for one in order.permutation(pool.mixtures(model))]
    amounts = [whole.amounts[name] for name in names]
    tags = tuple(dict.fromkeys(tag for one in amounts for tag in one))
    budget = Budget(amount=max(sum(one.values()) for one in amounts), languages=tags)
    objective = Objective(languages=tuple(sorted(set(whole.languages.tolist()))))
    run_of = {name: str(whole.runs[(whole.models == model) & (whole.mixtures == name)][0]) for name in names}
    best = max(pool.truth[model, name] for name in names)
    done: list[str] = []
    steps, start = [], None
    while True:
        rows = np.flatnonzero(np.isin(whole.runs, [*known, *(run_of[name] for name in done)]))
        fitted = fit_transfer_model(whole.take(rows), initial_log_variances=start, max_iterations=15)
        if done:
            start = fitted.log_variances
            step = {"runs": len(done), "hours": sum(pool.hours[model, name] for name in done), "probability": 0.0}
            # The choice is among the mixtures whose truth is known; `recommend` has equal amounts as a further one.
            place = int(objective.value(fitted.predict_mean(amounts, model, objective.languages)).argmax())
            if len(set(fitted.observed.mixtures)) >= MIN_MIXTURES:
                found = recommend(fitted, model, objective, budget, candidates=amounts, margin=margin)
                step["probability"] = 0.0 if isinstance(found, Undecided) else found.probability_best
            steps.append(step | {"regret": best - pool.truth[model, names[place]]})
        if len(done) >= most or len(done) == len(names):
            return steps, [run_of[name] for name in done]
        rest = [place for place, name in enumerate(names) if name not in done]
        size = min(width, most - len(done), len(rest))
        if rule != "random":
            hours = [pool.hours[model, names[place]] for place in rest] if rule == "per hour" else None
            chosen = knowledge_gradient_batch(
                fitted, model, objective, [amounts[place] for place in rest], batch_size=size, options=amounts,
                hours=hours,
            )  # fmt: skip
            done += [names[rest[place]] for place, _ in chosen]
        else:
            done += [names[place] for place in rest[:size]]


def grid_case(number: int) -> Iterator[Step]:
    """(1), one order of the models."""
    for pool in reference_pools(number % 2 * number):
        order = stream(number, "exploring", "grid", pool.name)
        models = [str(one) for one in order.permutation(pool.models)]
        for rule in ("chosen", "random"):
            known: list[str] = []
            for place, model in enumerate(models):
                most = max(1, round(SHARE * len(pool.mixtures(model))))
                limit = pool.errors[model]
                same: dict[str, Any] = {"rule": rule, "most": most, "width": 1, "order": order, "margin": limit}
                steps, runs = explored(pool, model, known=known, **same)
                alone, _ = explored(pool, model, **same)
                known += runs
                about = {"part": 1, "rule": rule, "half": number % 2 == 1, "limit": limit, "full": _full(pool, model)}
                for kind, end in ((f"model {place + 1}", steps[-1]), ("alone", alone[-1])):
                    yield about | {"kind": kind, "probability": end["probability"], "regret": end["regret"]}


def world_case(number: int) -> Iterator[Step]:
    """(2), one world."""
    pool = world_pool(number)
    (model,) = pool.models
    limit = pool.errors[model]
    for rule in ("chosen", "random"):
        for width in (1, 3) if rule == "chosen" else (1,):
            order = stream(number, "exploring", "order")
            steps, _ = explored(pool, model, rule=rule, most=12, width=width, order=order, margin=limit)
            about = {"part": 2, "rule": rule, "width": width, "limit": limit, "full": _full(pool, model)}
            yield from (step | about for step in steps)


def design_case(number: int, data: Path) -> Iterator[Step]:
    """(3), one draw of all decisions of both designs."""
    for pool in published_pools(number, data):
        (model,) = pool.models
        everything = sum(pool.hours.values())
        for rule in ("per hour", "random"):
            order = stream(number, "exploring", "design", pool.name)
            every = len(pool.mixtures(model))
            steps, _ = explored(pool, model, rule=rule, most=every, width=2, order=order, margin=POINTS / 100)
            for wanted in PROBABILITIES:
                sure = next((step for step in steps if step["probability"] >= wanted), None)
                end = sure or steps[-1]
                yield {
                    "part": 3, "rule": rule, "design": pool.name[:2], "of": pool.name.rpartition(" ")[0],
                    "wanted": wanted, "decided": sure is not None,
                    "hours": end["hours"], "all_hours": everything, "runs": end["runs"], "all_runs": every,
                    "regret": end["regret"], "full": _full(pool, model),
                }  # fmt: skip


def _full(pool: Pool, model: str) -> float:
    """Regret of the mixture that the full grid measured as best."""
    measured = pool.measured(model)
    chosen = max(measured, key=lambda name: measured[name])
    return max(pool.truth[model, name] for name in measured) - pool.truth[model, chosen]


def print_tables(rows: list[Step]) -> None:
    """The tables of docs/recommending.md."""
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        good=pl.col("regret") <= pl.col("limit"),
        as_good=pl.col("regret") - pl.col("full") <= pl.col("limit"),
        full_good=pl.col("full") <= pl.col("limit"),
    )
    sure, likely = pl.col("probability") >= 0.8, pl.col("probability") >= 0.5
    shown = {
        "good, %": pl.col("good").mean(),
        "as good as full, %": pl.col("as_good").mean(),
        "full grid good, %": pl.col("full_good").mean(),
        "regret": pl.col("regret").mean(),
        "full grid's regret": pl.col("full").mean(),
        "stated .5 or more, %": likely.mean(),
        "of these good, %": pl.col("good").filter(likely).mean(),
        "stated .8 or more, %": sure.mean(),
        "of those good, %": pl.col("good").filter(sure).mean(),
    }
    measures = [pl.len().alias("decisions"), *((100 * one).round(1).alias(name) for name, one in shown.items())]
    with pl.Config(tbl_rows=200, tbl_cols=20, tbl_width_chars=300, tbl_hide_dataframe_shape=True):
        first = table.filter(part=1)
        if first.height:
            kind = pl.when(pl.col("kind") == "alone").then(pl.lit("alone")).otherwise(pl.lit("in one study"))
            found = first.with_columns(kind=kind).group_by("half", "rule", "kind", maintain_order=True).agg(measures)
            print("(1) a tenth of the runs of the grid", found, sep="\n")
        second = table.filter(part=2)
        if second.height:
            found = second.group_by("rule", "width", "runs").agg(measures).sort("rule", "width", "runs")
            print("(2) worlds with interactions", found, sep="\n")
        third = table.filter(part=3)
        if third.height:
            within = pl.col("regret") <= POINTS / 100
            intervals = pl.DataFrame([
                {"design": design, "wanted": wanted, "rule": rule, "GPU hours, 95 %": _interval(part)}
                for (design, wanted, rule), part in third.group_by("design", "wanted", "rule", maintain_order=True)
            ])  # fmt: skip
            costs = third.group_by("design", "wanted", "rule").agg(
                pl.len().alias("decisions"),
                (100 * pl.col("decided").mean()).round(1).alias("sure, %"),
                (100 * within.filter(pl.col("decided")).mean()).round(1).alias("of these within, %"),
                (100 * (pl.col("full") <= POINTS / 100).mean()).round(1).alias("full within, %"),
                (100 * pl.col("runs").sum() / pl.col("all_runs").sum()).round(1).alias("runs, %"),
                (100 * pl.col("hours").sum() / pl.col("all_hours").sum()).round(1).alias("GPU hours, %"),
                (pl.col("all_hours") - pl.col("hours")).mean().round(1).alias("hours saved per grid"),
                (100 * pl.col("regret").mean()).round(2).alias("regret"),
                (100 * pl.col("full").mean()).round(2).alias("full grid's regret"),
            )  # fmt: skip
            print(
                f"(3) designs, until within {POINTS:g} points",
                costs.join(intervals, on=["design", "wanted", "rule"]).sort("design", "rule", "wanted"),
                sep="\n",
            )


def _interval(part: pl.DataFrame) -> str:
    """95 % interval of the share of GPU hours, in percent: decisions are resampled with all their draws."""
    sums = part.group_by("of", maintain_order=True).agg(pl.col("hours").sum(), pl.col("all_hours").sum())
    hours, everything = sums["hours"].to_numpy(), sums["all_hours"].to_numpy()
    chosen = stream(0, "exploring", "interval").integers(0, len(hours), (NUM_RESAMPLES, len(hours)))
    low, high = np.quantile(hours[chosen].sum(axis=1) / everything[chosen].sum(axis=1), [0.025, 0.975])
    return f"{100 * low:.0f} to {100 * high:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--designs", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "results")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    cases: list[tuple[str, Callable[[], Iterator[Step]]]] = [
        *((f"grid-{n}", lambda n=n: grid_case(n)) for n in range(asked.orders)),
        *((f"world-{n}", lambda n=n: world_case(n)) for n in range(asked.worlds)),
        *((f"design-{n}", lambda n=n: design_case(n, asked.data)) for n in range(asked.designs)),
    ]
    rows: list[Step] = []
    for name, make in cases:
        file = asked.folder / f"{name}.json"
        if not file.is_file():
            found = list(make())
            part = file.with_suffix(".part")
            part.write_text(json.dumps(found))
            part.replace(file)
        rows += json.loads(file.read_text())
    print_tables(rows)


if __name__ == "__main__":
    main()
