"""Claims about dose-response curves: gains, maxima, plateaus and gaps, with run-to-run noise in the intervals.

    unit        factor for values in the output: 100 for shares of 1
    claims      list of tables:
        claim       text of the claim
        of          "rise" (maximum minus dose 0), "best" (maximum), "mean" (over doses), "correlation" (Spearman, seen
                    and unseen), "plateau" (dose), "plateau_ratio"
        measure     "non_english" (default), "relative" (to English), "seen", "unseen", "gap" (seen minus unseen),
                    "english"
        languages   restricts the measure to these languages, so that two mixtures are compared on the same ones
        where       columns and values that select one curve
        minus       the same for a second curve, which is subtracted
        above       the claim is that the value is above this number (default 0)
        below       the claim is that the value is below this number
        printed, decimals   the published value
        margin      of plateaus, in the unit of the output; `minus_margin` for the second curve

Runs of one model, task and setting at dose 0 are replicates, because their mixtures have no data of the dose languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer, Verdict
from crosslift.transfer.grid.plateau import (
    bias_corrected,
    gain_over_first,
    isotonic_fit,
    maximum,
    plateau,
    plateau_draws,
)
from crosslift.transfer.variance.replicate_noise import (
    NoiseVariance,
    noise_from_curves,
    noise_from_replicates,
    pool_noise,
)

OPTIONS: dict[str, type] = {"claims": list, "unit": float, "margin": float}
MEASURES = ("non_english", "relative", "seen", "unseen", "english", "gap")


class _Curve:
    """Scores of one series of runs over doses, in one measure."""

    def __init__(self, table: pl.DataFrame, where: Mapping[str, Any], measure: str) -> None:
        runs = _run_measures(table, where)
        if runs.is_empty():
            raise TransferError(f"claims: no runs with {dict(where)}.")
        if runs["dose"].is_duplicated().any():
            raise TransferError(f"claims: {dict(where)} selects several curves. Add columns.")
        self.doses = runs["dose"].to_numpy().astype(float)
        self.points = runs[measure].to_numpy()
        self.runs = runs["run"].to_list()
        self.trained = set(table.filter(pl.col("run").is_in(self.runs))["languages"].explode())
        self.noise = _noise(table, where, measure)


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """One answer per claim, a table of curves, and a table of noise standard deviations.

    Args:
        results: with doses.
        options: see the module's docstring.

    Raises:
        TransferError: a claim selects no curve, several curves or unknown columns, or the noise cannot be estimated.
    """
    table = results.table()
    unit = float(options.get("unit", 1.0))
    answers = [_evaluate_claim(_filter_languages(table, claim), claim, unit, options) for claim in options["claims"]]
    noises = [
        {"task": task, "model": model, "measure": measure,
         "sd": None if found is None else found.standard_deviation * unit,
         "df": None if found is None else found.df, "source": "" if found is None else found.source}
        for (task, model), _ in table.group_by("task", "model", maintain_order=True)
        for measure in MEASURES
        for found in [_noise(table, {"task": task, "model": model}, measure)]
    ]  # fmt: skip
    curves = _with_plateaus(_run_measures(table, {}), options["claims"], answers)
    return Analysis(kind="doses", answers=answers, tables={"curves": curves, "noise": pl.DataFrame(noises)})


def _filter_languages(table: pl.DataFrame, claim: Mapping[str, Any]) -> pl.DataFrame:
    """The cells in the languages of a claim."""
    if "languages" not in claim:
        return table
    if lacking := sorted(set(claim["languages"]) - set(table["language"])):
        raise TransferError(f"{claim['claim']}: there are no scores in {', '.join(lacking)}.")
    return table.filter(pl.col("language").is_in(claim["languages"]))


def _with_plateaus(
    curves: pl.DataFrame, claims: Sequence[Mapping[str, Any]], answers: Sequence[Answer]
) -> pl.DataFrame:
    """Add the interval of the curve's plateau to each point; null for curves without a claim about their plateau."""
    low, high = pl.lit(None, dtype=pl.Float64), pl.lit(None, dtype=pl.Float64)
    for claim, answer in zip(claims, answers, strict=True):
        if claim["of"] == "plateau":
            here = pl.all_horizontal(pl.col(column) == value for column, value in claim["where"].items())
            low, high = pl.when(here).then(answer.low).otherwise(low), pl.when(here).then(answer.high).otherwise(high)
    return curves.with_columns(plateau_low=low, plateau_high=high)


def _run_measures(table: pl.DataFrame, where: Mapping[str, Any]) -> pl.DataFrame:
    """All measures per run, in the order of the doses."""
    for column, value in where.items():
        if column not in table.columns:
            raise TransferError(f"claims: unknown column '{column}'.")
        table = table.filter(pl.col(column) == value)
    english, trained = pl.col("language") == "en", pl.col("language").is_in(pl.col("languages"))
    means = table.group_by("run", "task", "model", "setting", "mixture", "dose", maintain_order=True).agg(
        non_english=pl.col("value").filter(~english).mean(),
        english=pl.col("value").filter(english).mean(),
        seen=pl.col("value").filter(~english & trained).mean(),
        unseen=pl.col("value").filter(~english & ~trained).mean(),
    )
    return means.with_columns(
        relative=pl.col("non_english") / pl.col("english"), gap=pl.col("seen") - pl.col("unseen")
    ).sort("task", "model", "setting", "mixture", "dose")


def _noise(table: pl.DataFrame, where: Mapping[str, Any], measure: str) -> NoiseVariance | None:
    """Run-to-run variance of one point for one task and model, from replicates and from the roughness of its curves."""
    if "task" not in where or "model" not in where:
        raise TransferError("claims: 'where' must contain the task and the model, whose run-to-run noise is used.")
    runs = _run_measures(table, {"task": where["task"], "model": where["model"]})
    at_zero = runs.filter(dose=0)
    same = [part[measure].to_numpy() for _, part in at_zero.group_by("setting", maintain_order=True)]
    curves = [part[measure].to_numpy()[1:] for _, part in runs.group_by("setting", "mixture", maintain_order=True)]
    # Seen and unseen languages differ between mixtures, so only means over fixed languages have replicates at dose 0.
    replicates = noise_from_replicates(same) if measure in {"non_english", "relative", "english"} else None
    return pool_noise(replicates, noise_from_curves(curves))


def _evaluate_claim(table: pl.DataFrame, claim: Mapping[str, Any], unit: float, options: Mapping[str, Any]) -> Answer:
    of, measure = claim["of"], claim.get("measure", "non_english")
    if of not in _CLAIM_KINDS or measure not in MEASURES:
        raise TransferError(
            f"claims: of = '{of}', measure = '{measure}'. Known: {', '.join(_CLAIM_KINDS)}; {', '.join(MEASURES)}."
        )
    return _CLAIM_KINDS[of](table, claim, unit, options)


def _score_claim(table: pl.DataFrame, claim: Mapping[str, Any], unit: float, options: Mapping[str, Any]) -> Answer:
    """Claims about values in the unit of the scores."""
    measure = claim.get("measure", "non_english")
    function = {"rise": gain_over_first, "best": maximum, "mean": _mean}[claim["of"]]
    curves = [_Curve(table, claim["where"], measure)]
    if "minus" in claim:
        curves.append(_Curve(table, claim["minus"], measure))
        if measure in ("seen", "unseen", "gap") and curves[0].trained != curves[1].trained:
            raise TransferError(
                f"{claim['claim']}: '{measure}' is over different languages on the two sides, whose training "
                "languages differ. "
                'Set the languages: languages = [...], with measure = "non_english".'
            )
    noises = [curve.noise for curve in curves]
    if any(noise is None for noise in noises):
        raise TransferError(f"{claim['claim']}: the run-to-run noise cannot be estimated.")
    found = bias_corrected(
        (lambda a, b: function(a) - function(b)) if len(curves) == 2 else function,
        [curve.points for curve in curves],
        [noise for noise in noises if noise is not None],
    )
    sign = -1.0 if claim.get("below") is not None else 1.0
    bound = float(claim.get("above", claim.get("below", 0.0)) or 0.0) / unit
    verdict: Verdict = "cannot tell"
    if min(sign * (found.low - bound), sign * (found.high - bound)) > 0:
        verdict = "supported"
    elif max(sign * (found.low - bound), sign * (found.high - bound)) < 0:
        verdict = "not supported"
    source = noises[0].source if noises[0] else ""
    note = f"without the bias of a maximum: {unit * found.value:.2f}; noise from {source}"
    return _claim_answer(claim, curves, (unit * found.observed, unit * found.low, unit * found.high), verdict, note)


def _mean(curve: np.ndarray) -> np.ndarray:
    return np.asarray(curve.mean(axis=-1))


def _correlation_claim(
    table: pl.DataFrame, claim: Mapping[str, Any], unit: float, options: Mapping[str, Any]
) -> Answer:
    curves = [_Curve(table, claim["where"], side) for side in ("seen", "unseen")]

    def spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        ranks = [rankdata(side, axis=-1) for side in (one, other)]
        centred = [side - side.mean(axis=-1, keepdims=True) for side in ranks]
        below = np.sqrt((centred[0] ** 2).sum(axis=-1) * (centred[1] ** 2).sum(axis=-1))
        return np.asarray((centred[0] * centred[1]).sum(axis=-1) / below)

    observed = float(spearman(curves[0].points, curves[1].points))
    # Permutation test: without an association, all orders of one side are equally likely.
    generator = np.random.default_rng(0)
    shuffled = np.stack([generator.permutation(curves[1].points) for _ in range(9999)])
    p = (1 + int((spearman(curves[0].points, shuffled) >= observed - 1e-12).sum())) / 10_000
    half = 1.06 * 1.96 / np.sqrt(max(len(curves[0].points) - 3, 1))
    low, high = np.tanh(np.arctanh(np.clip(observed, -0.999, 0.999)) + np.array([-half, half]))
    verdict: Verdict = "supported" if p < 0.025 else "cannot tell"
    note = f"one-sided permutation p = {p:.3f}; Fisher's interval, wide for {len(curves[0].points)} doses"
    return _claim_answer(claim, curves, (observed, float(low), float(high)), verdict, note)


def _plateau_claim(table: pl.DataFrame, claim: Mapping[str, Any], unit: float, options: Mapping[str, Any]) -> Answer:
    margin = float(claim.get("margin", options.get("margin", 1.0))) / unit
    margins = [margin, float(claim.get("minus_margin", margin * unit)) / unit]
    curves = [_Curve(table, claim["where"], claim.get("measure", "non_english"))]
    if claim["of"] == "plateau_ratio":
        curves.append(_Curve(table, claim["minus"], claim.get("measure", "non_english")))
    if any(curve.noise is None for curve in curves):
        raise TransferError(f"{claim['claim']}: the run-to-run noise cannot be estimated.")
    found = [
        plateau(curve.points, curve.doses, curve.noise, margin=within)
        for curve, within in zip(curves, margins, strict=False)
        if curve.noise is not None
    ]
    if claim["of"] == "plateau":
        value, low, high = found[0].dose, found[0].low, found[0].high
        note = "" if found[0].identified else "the interval holds all doses"
    else:
        draws = [
            np.maximum(
                plateau_draws(isotonic_fit(curve.points), curve.doses, curve.noise, margin=margins[seed], seed=seed),
                curve.doses[1],
            )
            for seed, curve in enumerate(curves)
            if curve.noise is not None
        ]
        ratio = draws[0] / draws[1]
        value = max(found[0].dose, curves[0].doses[1]) / max(found[1].dose, curves[1].doses[1])
        low, high = (float(side) for side in np.quantile(ratio, [0.025, 0.975]))
        note = "plateaus at " + " and ".join(f"{one.dose:g} [{one.low:g}, {one.high:g}]" for one in found)
    verdict: Verdict = "cannot tell"
    if "above" in claim:
        verdict = "supported" if low > claim["above"] else "not supported" if high <= claim["above"] else verdict
    elif "below" in claim:
        verdict = "supported" if high <= claim["below"] else "not supported" if low > claim["below"] else verdict
    margin_words = f"margin {unit * margin:g}"
    note = f"{margin_words}; {note}" if note else margin_words
    return _claim_answer(claim, curves, (value, low, high), verdict, note)


_CLAIM_KINDS = {
    "rise": _score_claim,
    "best": _score_claim,
    "mean": _score_claim,
    "correlation": _correlation_claim,
    "plateau": _plateau_claim,
    "plateau_ratio": _plateau_claim,
}


def _claim_answer(
    claim: Mapping[str, Any], curves: list[_Curve], numbers: tuple[float, float, float], verdict: Verdict, note: str
) -> Answer:
    where = ", ".join(str(part) for part in claim["where"].values())
    if "minus" in claim:
        where += " against " + ", ".join(
            str(part) for key, part in claim["minus"].items() if part != claim["where"].get(key)
        )
    return Answer(
        question=claim["claim"],
        about=where,
        measure=f"{claim['of']} of {_measure(claim)}",
        value=numbers[0],
        low=numbers[1],
        high=numbers[2],
        printed=claim.get("printed"),
        decimals=int(claim.get("decimals", 1)),
        verdict=verdict if claim.get("judged", True) else "",
        runs=[run for curve in curves for run in curve.runs],
        note=note,
    )


def _measure(claim: Mapping[str, Any]) -> str:
    return "seen and unseen" if claim["of"] == "correlation" else str(claim.get("measure", "non_english"))
