"""Optimal against random designs on the 220 runs of `references/english-is-not-all-you-need`.

    python benchmarks/designs.py [REPEATS]

Three tenths of the 110 runs of a task (5 models x 22 mixtures) are left out at random. From the others, n runs are
chosen by a criterion (`transfer/design/optimal.py`), before anything was measured, or at random; the transfer model is
fitted to them and predicts the runs that were left out. How many random runs give the error of n chosen ones?
The same for the mixtures of one model. Variances of the prior come from the other reference study. "v_optimal for them"
minimises the mean variance of the runs that are to be predicted, whose mixtures are known before anything is measured,
and not that of the runs that may be chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosslift.streams import stream
from crosslift.transfer.design.optimal import Candidates, Criterion, optimal_design
from crosslift.transfer.design.prior import candidates
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Observations, log_sizes
from recommendation import METRICS, NUM_ITEMS, cells_of, observed_of

CRITERIA: dict[str, Criterion] = {
    "d_optimal": "d_optimal", "v_optimal": "v_optimal", "v_optimal for them": "v_optimal",
}  # fmt: skip
GRID_SIZES = (6, 9, 12, 16, 20)
GRID_RANDOM = (6, 8, 10, 12, 14, 17, 20, 24, 28, 34, 40, 48)
MODEL_SIZES = (3, 4, 5, 6, 8)
MODEL_RANDOM = (3, 4, 5, 6, 7, 8, 10, 12, 14)
NUM_RANDOM = 3
"""Random designs of each size and repeat."""


class Grid:
    """Runs of one task: their measured scores and the prior of the model for them."""

    def __init__(self, task: str, model: str | None) -> None:
        cells, _ = cells_of(task)
        whole: Observations = replace(observed_of(cells), sizes=log_sizes(cells))
        rows = np.arange(len(whole.values)) if model is None else np.flatnonzero(whole.models == model)
        self.observed = replace(whole.take(rows), sizes=whole.sizes)
        self.languages = sorted(set(self.observed.languages.tolist()))
        pairs = sorted(set(zip(self.observed.models.tolist(), self.observed.mixtures.tolist(), strict=True)))
        self.runs = [(one, self.observed.amounts[mixture]) for one, mixture in pairs]
        places = {pair: place for place, pair in enumerate(pairs)}
        self.run_of_row = np.array([
            places[pair]
            for pair in zip(self.observed.models.tolist(), self.observed.mixtures.tolist(), strict=True)
        ])  # fmt: skip
        self.measured = np.zeros((len(pairs), len(self.languages)))
        columns = [self.languages.index(tag) for tag in self.observed.languages.tolist()]
        self.measured[self.run_of_row, columns] = self.observed.values
        self.prior = candidates(self.runs, self.languages, num_items=NUM_ITEMS, sizes=whole.sizes)

    def restricted(self, kept: np.ndarray, wanted: np.ndarray | None = None) -> Candidates:
        """The runs that may be chosen, and those that are to be predicted if these are not the same."""
        rows, covariance = self.prior.rows(kept.tolist()), self.prior.covariance
        towards = None if wanted is None else covariance[np.ix_(rows, self.prior.rows(wanted.tolist()))]
        return Candidates(covariance=covariance[np.ix_(rows, rows)], noise=self.prior.noise, towards=towards)

    def error(self, chosen: Sequence[int], left_out: np.ndarray) -> float:
        """Mean squared error of the predictions of the runs that were left out, in points squared."""
        fitted = fit_transfer_model(
            self.observed.take(np.flatnonzero(np.isin(self.run_of_row, chosen))), max_iterations=15
        )
        squares = []
        for model in sorted({self.runs[place][0] for place in left_out}):
            here = [place for place in left_out if self.runs[place][0] == model]
            found = fitted.predict_mean([self.runs[place][1] for place in here], model, self.languages)
            squares.append(((found - self.measured[here]) ** 2).ravel())
        return 1e4 * float(np.concatenate(squares).mean())


def compare(
    grids: Sequence[Grid], sizes: Sequence[int], random_sizes: Sequence[int], num_repeats: int
) -> dict[str, np.ndarray]:
    """Root mean squared errors over all grids and repeats, by rule: one per size, for "random" one per random size."""
    squares: dict[str, np.ndarray] = {rule: np.zeros(len(sizes)) for rule in CRITERIA}
    squares["random"] = np.zeros(len(random_sizes))
    for number, grid in enumerate(grids):
        for repeat in range(num_repeats):
            generator = stream(repeat, "benchmark", "designs", number)
            order = generator.permutation(len(grid.runs))
            kept, left_out = np.sort(order[: 7 * len(order) // 10]), order[7 * len(order) // 10 :]
            for rule, criterion in CRITERIA.items():
                part = grid.restricted(kept, left_out if rule.endswith("for them") else None)
                for place, size in enumerate(sizes):
                    chosen = [int(kept[one]) for one in optimal_design(part, size, criterion=criterion)]
                    squares[rule][place] += grid.error(chosen, left_out)
            for place, size in enumerate(random_sizes):
                for _ in range(NUM_RANDOM):
                    chosen = generator.choice(kept, size=size, replace=False).tolist()
                    squares["random"][place] += grid.error(chosen, left_out) / NUM_RANDOM
    return {rule: np.sqrt(total / (len(grids) * num_repeats)) for rule, total in squares.items()}


def runs_needed(error: float, random_sizes: Sequence[int], random_errors: np.ndarray) -> float:
    """Random runs that give an error, between the sizes that were tried by linear interpolation."""
    falling = np.minimum.accumulate(random_errors)
    return float(np.interp(-error, -falling, random_sizes))


def show(title: str, sizes: Sequence[int], random_sizes: Sequence[int], found: dict[str, np.ndarray]) -> None:
    print(title)
    print("  random runs: " + ", ".join(f"{n}: {e:.2f}" for n, e in zip(random_sizes, found["random"], strict=True)))
    for rule in CRITERIA:
        shares = []
        for size, error in zip(sizes, found[rule], strict=True):
            needed = runs_needed(error, random_sizes, found["random"])
            shares.append(size / needed)
            share = f"{size / needed:.0%}"
            print(f"  {rule}, {size:2d} runs: error {error:5.2f} points, as {needed:4.1f} random runs ({share})")
        print(f"  {rule}: {np.mean(shares):.0%} of the random runs on average over sizes")


def main() -> None:
    num_repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for task in METRICS:
        found = compare([Grid(task, None)], GRID_SIZES, GRID_RANDOM, num_repeats)
        show(f"{task}: runs of five models", GRID_SIZES, GRID_RANDOM, found)
    grids = [Grid(task, model) for task in METRICS for model in sorted(set(Grid(task, None).observed.models.tolist()))]
    found = compare(grids, MODEL_SIZES, MODEL_RANDOM, num_repeats)
    show("mixtures of one model (ten model x task grids)", MODEL_SIZES, MODEL_RANDOM, found)


if __name__ == "__main__":
    main()
