"""Mixed models with crossed random effects: ours and statsmodels' on three data sets.

    python benchmarks/mixed.py DATA        # DATA: the folder of the published results; needs statsmodels

Coefficients and standard deviations must agree to three digits. Standard errors are those of generalised least squares
at the estimates, which the benchmark computes once more with whole matrices; statsmodels inverts a Hessian that holds
the variances too, and is printed beside them.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import statsmodels.formula.api as smf

from crosslift.importing.mapping import load_import
from crosslift.importing.results import read_results
from crosslift.streams import stream
from crosslift.transfer.variance.mixed_model import MixedModelFit, fit_mixed_model, level_codes

EXAMPLES = Path(__file__).parents[1] / "examples"


def simulated() -> pl.DataFrame:
    """40 items x 12 runs x 5 languages; half of the runs are treated."""
    generator = stream(0, "benchmark", "mixed")
    item, run, language = (axis.ravel() for axis in np.meshgrid(range(40), range(12), range(5), indexing="ij"))
    y = 0.5 + 0.1 * (run % 2) + 0.2 * generator.standard_normal(40)[item] + 0.1 * generator.standard_normal(12)[run]
    y = y + 0.08 * generator.standard_normal(5)[language] + 0.3 * generator.standard_normal(len(y))
    return pl.DataFrame({"y": y, "x": (run % 2).astype(float), "first": item, "second": run})


def items_of_languages(data: Path) -> pl.DataFrame:
    """mCoT: right or wrong by item and language; English or not."""
    scores = read_results(load_import(EXAMPLES / "mcot-items.toml", data=data)).scores
    english = (scores["language"] == "en").cast(pl.Float64)
    return pl.DataFrame({"y": scores["value"], "x": english, "first": scores["item_id"], "second": scores["language"]})


def languages_of_runs(data: Path) -> pl.DataFrame:
    """51 runs on 1 to 52 languages: accuracy by run and language, seen or not; in units near 1, where statsmodels
    converges."""
    table = read_results(load_import(EXAMPLES / "number-of-languages.toml", data=data)).table().filter(task="xcopa")
    seen = table.select(pl.col("language").is_in(pl.col("languages")).cast(pl.Float64)).to_series()
    return pl.DataFrame(
        {"y": (table["value"] - 0.55) / 0.05, "x": seen, "first": table["language"], "second": table["run"]}
    )


def _least_squares(x: np.ndarray, first: np.ndarray, second: np.ndarray, fit: MixedModelFit) -> np.ndarray:
    """Standard errors sqrt(diag((X' V^-1 X)^-1)) with V as a whole matrix."""
    design = np.column_stack([np.ones(len(x)), x])
    covariance = fit.residual_sd**2 * np.eye(len(x))
    for name, codes in (("first", first), ("second", second)):
        covariance += fit.standard_deviations[name] ** 2 * (codes[:, None] == codes[None, :])
    return np.sqrt(np.diag(np.linalg.inv(design.T @ np.linalg.solve(covariance, design))))


def main() -> None:
    data = Path(sys.argv[1])
    for name, table in (
        ("simulated", simulated()),
        ("mCoT items", items_of_languages(data)),
        ("51 runs", languages_of_runs(data)),
    ):
        first, second = level_codes(table["first"].to_numpy()), level_codes(table["second"].to_numpy())
        x = table["x"].to_numpy()
        begun = time.perf_counter()
        ours = fit_mixed_model(
            table["y"].to_numpy(), np.column_stack([np.ones(len(x)), x]), {"first": first, "second": second}
        )
        our_seconds = time.perf_counter() - begun
        frame = pl.DataFrame({"y": table["y"], "x": x, "first": first, "second": second}).to_pandas()
        frame["all"] = 1
        begun = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = smf.mixedlm(
                "y ~ x",
                frame,
                groups="all",
                re_formula="0",
                vc_formula={"first": "0 + C(first)", "second": "0 + C(second)"},
            ).fit(reml=True, method=["powell", "nm"], xtol=1e-10, ftol=1e-12, maxiter=20_000)
        seconds = time.perf_counter() - begun
        mine = [
            *ours.coefficients,
            *ours.standard_errors,
            ours.standard_deviations["first"],
            ours.standard_deviations["second"],
            ours.residual_sd,
        ]
        other = [*theirs.fe_params, *theirs.bse_fe, *np.sqrt(theirs.vcomp), np.sqrt(theirs.scale)]
        print(
            f"{name}: {table.height:,} rows; ours {our_seconds:.2f} s, statsmodels {seconds:.1f} s "
            f"(ratio {seconds / our_seconds:.0f})"
        )
        print(f"  restricted log-likelihood: {ours.log_likelihood:.4f} {theirs.llf:.4f}")
        labels = ("intercept", "effect", "se intercept", "se effect", "sd first", "sd second", "residual")
        for label, a, b in zip(labels, mine, other, strict=True):
            print(f"  {label}: {a:.5g} {b:.5g}")
        places = [0, 1, 4, 5, 6]
        close = np.allclose(np.take(mine, places), np.take(other, places), rtol=5e-4, atol=1e-5)
        assert close, "they differ in the third digit"
        assert np.allclose(ours.standard_errors, _least_squares(x, first, second, ours), rtol=1e-6)


if __name__ == "__main__":
    main()
