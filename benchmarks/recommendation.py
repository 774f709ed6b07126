"""Recommendations from a part of the pocket grid, held against the whole grid.

    python benchmarks/recommendation.py [RESAMPLES]

Truth is what the full grid of `references/english-is-not-all-you-need` measured. (1) From a random quarter of the runs,
the proposed mixture per model and task: how often is it within one standard error (items and run-to-run noise) of the
best? (2) The same grid for one model and task at a time, runs added one by one from none, chosen by expected gain or at
random; the same transfer model recommends after each. Its prior variances (`PRIOR_LOG_VARIANCES`) are taken from the
other study. (3) Mixtures that differ by little: 120 of one total, true scores drawn from the model that
the whole grid fitted, each run measured once with the noise that was found.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

from crosslift.recommendation.acquisition import knowledge_gradient_batch
from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.recommend import Undecided, recommend
from crosslift.streams import stream
from crosslift.transfer.model.cross_validation import cross_validate
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.link import to_share
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import Observations
from crosslift.transfer.variance.between_seeds import between_seed_deviations

REFERENCE = Path(__file__).parents[1] / "references" / "english-is-not-all-you-need"
METRICS = {"math": "accuracy", "api_calling": "exact"}
EVALUATIONS = {"math": "math", "api_calling": "calls"}
NUM_STEPS = 14
NUM_CANDIDATES, TOTAL, MODEL = 120, 630, "qwen3-m"
NUM_ITEMS = 80
"""Items behind each measured score."""


def cells_of(task: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Mean per run and language with its runs; item-level scores."""
    runs = pl.read_parquet(REFERENCE / "runs.parquet").filter(family="coverage", setting=task)
    runs = runs.filter(pl.col("seed") == pl.col("seed").min().over("model", "mixture"))
    scores = pl.read_parquet(REFERENCE / "scores.parquet").filter(task=task, metric=METRICS[task])
    scores = scores.join(runs.select("run", "model", "mixture"), on="run")
    means = scores.group_by("run", "language").agg(pl.col("value").mean()).sort("run", "language")
    means = means.join(effective_items(scores), on=["run", "language"], maintain_order="left")
    return means.join(runs, on="run", maintain_order="left"), scores


def observed_of(cells: pl.DataFrame) -> Observations:
    facts = cells.unique("mixture")
    return Observations(
        values=cells["value"].to_numpy(),
        runs=cells["run"].to_numpy().astype(str),
        models=cells["model"].to_numpy().astype(str),
        languages=cells["language"].to_numpy().astype(str),
        mixtures=cells["mixture"].to_numpy().astype(str),
        amounts={
            row["mixture"]: dict(zip(row["languages"], row["num_items"], strict=True))
            for row in facts.iter_rows(named=True)
        },
        num_effective=cells["num_effective"].to_numpy(),
    )


def standard_errors(scores: pl.DataFrame, task: str) -> dict[tuple[str, str], float]:
    """Of a run's mean over languages: resampled items, and the noise between runs that the replicates show."""
    items = scores.group_by("model", "mixture", "cluster").agg(pl.col("value").mean())
    table = items.group_by("model", "mixture").agg(se=pl.col("value").std() / pl.len().sqrt())
    noise = between_seed_deviations(
        pl.read_parquet(REFERENCE / "scores.parquet"),
        pl.read_parquet(REFERENCE / "runs.parquet"),
        {EVALUATIONS[name]: metric for name, metric in METRICS.items()},
    )
    (between,) = noise.filter(evaluation=EVALUATIONS[task], language="all")["net"].to_list()
    return {(row["model"], row["mixture"]): float(np.hypot(row["se"], between)) for row in table.iter_rows(named=True)}


def main() -> None:
    num_resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    within, shortfall, uniform_within, total = 0, [], 0, 0
    runs_needed: dict[str, list[int]] = {"chosen": [], "random": []}
    curves: dict[str, list[np.ndarray]] = {"chosen": [], "random": []}
    for task in METRICS:
        cells, scores = cells_of(task)
        errors = standard_errors(scores, task)
        languages = tuple(sorted(cells["language"].unique()))
        truth = {
            (row["model"], row["mixture"]): row["value"]
            for row in cells.group_by("model", "mixture").agg(pl.col("value").mean()).iter_rows(named=True)
        }
        whole = observed_of(cells)
        left_out = cross_validate(whole)
        print(f"(0) {task}, mixtures left out in turn: error {100 * left_out.rmse_model:.1f} points, without "
              f"similarity {100 * left_out.rmse_without_similarity:.1f}, mean of the others "
              f"{100 * left_out.rmse_mean:.1f}, nearest mixture {100 * left_out.rmse_nearest:.1f}")  # fmt: skip
        mixtures = sorted(set(whole.mixtures))
        amounts = [whole.amounts[name] for name in mixtures]
        trained = tuple(sorted({tag for one in amounts for tag in one}))
        budget = Budget(amount=max(sum(one.values()) for one in amounts), languages=trained)
        objective = Objective(languages=languages)
        names = sorted(set(whole.runs))
        start = None
        for number in range(num_resamples):
            generator = stream(number, "benchmark", task)
            kept = generator.choice(len(names), size=len(names) // 4, replace=False)
            rows = np.flatnonzero(np.isin(whole.runs, [names[place] for place in kept]))
            fitted = fit_transfer_model(whole.take(rows), initial_log_variances=start, max_iterations=25)
            start = fitted.log_variances
            for model in sorted(set(fitted.observed.models)):
                found = recommend(fitted, model, objective, budget, candidates=amounts, seed=number)
                if isinstance(found, Undecided):
                    raise SystemExit(found.reason)
                proposed = min(range(len(amounts)), key=lambda place: sum(
                    abs(found.amounts.get(tag, 0) - amounts[place].get(tag, 0)) for tag in trained))  # fmt: skip
                best = max(mixtures, key=lambda name: truth[model, name])
                lost = truth[model, best] - truth[model, mixtures[proposed]]
                shortfall.append(lost)
                within += lost <= errors[model, best]
                tried = {whole.mixtures[row] for row in rows if whole.models[row] == model}
                uniform_within += truth[model, best] - max(truth[model, name] for name in tried) <= errors[model, best]
                total += 1
        for model in sorted(set(whole.models)):
            here = whole.take(np.flatnonzero(whole.models == model))
            limit = errors[model, max(mixtures, key=lambda name: truth[model, name])]
            for number in range(max(2, num_resamples // 4)):
                generator = stream(number, "benchmark", task, model)
                order = [int(place) for place in generator.permutation(len(mixtures))]
                for rule in curves:
                    regrets = regrets_of(here, mixtures, amounts, truth, model, objective, order, rule)
                    curves[rule].append(regrets)
                    above = np.flatnonzero(regrets > limit)
                    runs_needed[rule].append(2 + int(above[-1]) if len(above) else 1)
    print(f"(1) from a quarter of the runs: within one standard error of the best in {within} of {total} "
          f"({100 * within / total:.0f} %), mean shortfall {100 * np.mean(shortfall):.1f} points")  # fmt: skip
    print(f"    the best mixture among the runs that were kept: {100 * uniform_within / total:.0f} %")
    print(f"(2) the grid, {len(curves['chosen'])} times: mean regret in points")
    _compare(curves)
    print(f"    runs until within one standard error, and from then on: chosen {np.mean(runs_needed['chosen']):.1f}, "
          f"random {np.mean(runs_needed['random']):.1f}")  # fmt: skip
    harder(max(24, num_resamples))


def harder(num_truths: int) -> None:
    """(3)"""
    cells, _ = cells_of("math")
    fitted = fit_transfer_model(observed_of(cells))
    trained = sorted({tag for one in fitted.observed.amounts.values() for tag in one})
    languages = tuple(sorted(set(fitted.observed.languages)))
    objective = Objective(languages=languages)
    of_run, of_language = fitted.run_variances
    curves: dict[str, list[np.ndarray]] = {"chosen": [], "random": []}
    for number in range(num_truths):
        generator = stream(number, "benchmark", "harder")
        pool = []
        for _ in range(NUM_CANDIDATES):
            chosen = generator.choice(len(trained), size=int(generator.integers(1, len(trained) + 1)), replace=False)
            shares = generator.dirichlet(np.ones(len(chosen)))
            pool.append({trained[place]: TOTAL * share for place, share in zip(chosen, shares, strict=True)})
        mean, covariance = fitted.predict_latent(pool, MODEL, languages)
        values, vectors = np.linalg.eigh(covariance)
        latent = mean + vectors @ (np.sqrt(np.clip(values, 0, None)) * generator.standard_normal(len(mean)))
        latent = latent.reshape(NUM_CANDIDATES, -1)
        truth = to_share(latent)
        shift = np.sqrt(of_run) * generator.standard_normal((NUM_CANDIDATES, 1))
        shift = shift + np.sqrt(of_language) * generator.standard_normal(latent.shape)
        measured = generator.binomial(NUM_ITEMS, to_share(latent + shift)) / NUM_ITEMS
        names = [f"m{place}" for place in range(NUM_CANDIDATES)]
        here = Observations(
            values=measured.ravel(),
            runs=np.repeat(names, len(languages)),
            models=np.repeat("one", measured.size),
            languages=np.tile(languages, NUM_CANDIDATES),
            mixtures=np.repeat(names, len(languages)),
            amounts=dict(zip(names, pool, strict=True)),
            num_effective=np.full(measured.size, float(NUM_ITEMS)),
        )
        known = {("one", name): float(row.mean()) for name, row in zip(names, truth, strict=True)}
        order = [int(place) for place in generator.permutation(NUM_CANDIDATES)]
        for rule, length in (("chosen", 12), ("random", 30)):
            curves[rule].append(regrets_of(here, names, pool, known, "one", objective, order, rule, length))
    print(f"(3) {NUM_CANDIDATES} mixtures of {TOTAL:,} items, {num_truths} truths: mean regret in points")
    _compare(curves)


def _compare(curves: dict[str, list[np.ndarray]]) -> None:
    """The mean regret after each run, and how many random runs reach what chosen ones do."""
    means = {rule: np.mean(found, axis=0) for rule, found in curves.items()}
    for step in range(len(means["random"])):
        shown = f"{100 * means['chosen'][step]:5.2f}" if step < len(means["chosen"]) else "     "
        print(f"    {1 + step:3d}  chosen {shown}  random {100 * means['random'][step]:5.2f}")
    for num_runs in (2, 3, 4, 6, 8):
        reached = means["chosen"][num_runs - 1]
        later = np.flatnonzero(means["random"] <= reached)
        found = f"{1 + int(later[0])}" if len(later) else f"more than {len(means['random'])}"
        print(f"    the regret of {num_runs} chosen runs ({100 * reached:.2f}) takes {found} random ones")


def regrets_of(
    here: Observations, mixtures: list[str], amounts: list, truth: dict, model: str, objective: Objective,
    order: list[int], rule: str, length: int = NUM_STEPS,
) -> np.ndarray:  # fmt: skip
    """Regret of the mixture with the highest expectation, after 1, 2, ... runs of this model."""
    done: list[int] = []
    best = max(truth[model, name] for name in mixtures)
    regrets, start = [], None
    while True:
        rows = np.flatnonzero(np.isin(here.mixtures, [mixtures[place] for place in done]))
        fitted = fit_transfer_model(here.take(rows), initial_log_variances=start, max_iterations=15)
        if done:
            start = fitted.log_variances
            value = objective.value(fitted.predict_mean(amounts, model, objective.languages))
            regrets.append(best - truth[model, mixtures[int(value.argmax())]])
        if len(done) == length:
            return np.array(regrets)
        rest = [place for place in order if place not in done]
        if rule == "chosen":
            ((place, _),) = knowledge_gradient_batch(
                fitted, model, objective, [amounts[p] for p in rest], batch_size=1, options=amounts
            )
        else:
            place = 0
        done = [*done, rest[place]]


if __name__ == "__main__":
    main()
