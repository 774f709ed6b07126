"""Conclusions of a study in sentences. "Cannot tell" is a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.wording import interval_text, p_value_text, points_text, points_word
from crosslift.scores import MODEL_FAILURES
from crosslift.transfer.answers import Side, side_of_zero
from crosslift.transfer.estimates.wilson import wilson_interval_of_share

GainVerdict = Literal["supports", "contradicts", "cannot tell", "not estimated"]
GAIN_VERDICTS: Mapping[Side, GainVerdict] = {
    "above": "supports",
    "below": "contradicts",
    "both": "cannot tell",
    "unknown": "not estimated",
}
"""Verdict on a gain, by the position of its interval relative to 0."""


def gain_verdict(low: float | None, high: float | None) -> GainVerdict:
    """Whether an interval supports a gain (above 0), contradicts it (below 0), or contains 0."""
    return GAIN_VERDICTS[side_of_zero(low, high)]


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The primary estimate of a declared contrast for one model and evaluation."""

    verdict: GainVerdict
    """Verdict on a gain."""
    claim: str
    """Name of the contrast, model and evaluation."""
    finding: str
    """The estimate in a sentence."""
    caveats: tuple[str, ...]
    """p-value, number of items and languages, and notes."""
    survives_correction: bool
    """Whether the verdict holds after correction for multiple testing; True if no correction applies."""
    row: dict[str, Any]
    """The row of the table of estimates."""


def conclusions(data: ReportData) -> list[Conclusion]:
    """Conclusions of the primary contrasts, in the order of their declaration."""
    order = {contrast.name: place for place, contrast in enumerate(data.study.contrasts)}
    rows = sorted(
        data.estimates.filter("primary").iter_rows(named=True),
        key=lambda row: (order.get(row["declared"], len(order)), data.models.index(row["model"])),
    )
    num_tested = sum(row["p"] is not None for row in rows)
    return [_answer(data, row, num_tested=num_tested) for row in rows]


def _answer(data: ReportData, row: dict[str, Any], *, num_tested: int) -> Conclusion:
    found = gain_verdict(row["low"], row["high"])
    where = row["model"] + (f", {row['evaluation']}" if row["evaluation"] else "")
    claim = f"{row['declared']} ({where})"
    if found == "not estimated":
        return Conclusion(
            verdict=found,
            claim=claim,
            finding=f"No estimate: {row['note']}.",
            caveats=(),
            survives_correction=True,
            row=row,
        )
    what = row["mixture"] if not row["mixture"].startswith("mean of ") else f"The {row['mixture']} mixtures"
    metric = row["metric"]
    numbers = (
        f"{points_text(row['value'], signed=True, metric=metric)} {points_word(metric)}, {data.level:.0%} interval "
        f"{interval_text(row, signed=True)}"
    )
    finding = {
        "supports": f"{what} scores higher than {row['control']}: {numbers}.",
        "contradicts": f"{what} scores lower than {row['control']}: {numbers}.",
        "cannot tell": f"{what} against {row['control']}: {numbers}. A loss of "
        f"{points_text(-row['low'], metric=metric)} and a gain of {points_text(row['high'], metric=metric)} "
        f"{points_word(metric)} are both compatible with the data.",
    }[found]
    caveats, survives = [], True
    if row["p_adjusted"] is not None and num_tested > 1:
        survives = found == "cannot tell" or row["p_adjusted"] <= 1 - data.level
        caveats.append(f"Holm-adjusted {p_value_text(row['p_adjusted'])}")
    elif row["p"] is not None:
        caveats.append(p_value_text(row["p"]))
    num_languages = data.scores.filter(evaluation=row["evaluation"])["language"].n_unique()
    caveats.append(f"{row['num_items']} items in {num_languages} languages")
    if row["note"]:
        caveats.append(row["note"])
    return Conclusion(
        verdict=found, claim=claim, finding=finding, caveats=tuple(caveats), survives_correction=survives, row=row
    )


def headline(found: list[Conclusion]) -> str:
    """One sentence that summarises all primary contrasts."""
    if not found:
        return (
            "The study declares no primary contrast. All results below are exploratory and need confirmation in a "
            "further "
            "study."
        )
    kinds = (
        ("supports", "show a gain", "shows a gain"),
        ("contradicts", "show a loss", "shows a loss"),
        ("cannot tell", "are undecided: the study cannot tell", "is undecided: the study cannot tell"),
        ("not estimated", "could not be estimated", "could not be estimated"),
    )
    counts = [(sum(answer.verdict == kind for answer in found), several, one) for kind, several, one in kinds]
    parts = [f"{count} {one if count == 1 else several}" for count, several, one in counts if count]
    if len(found) == 1:
        return f"The one primary statement {parts[0].removeprefix('1 ')}."
    lost = sum(not answer.survives_correction for answer in found)
    num_tested = sum(answer.row["p"] is not None for answer in found)
    more = (
        f" {lost} of them do{'es' if lost == 1 else ''} not survive correction for {num_tested} tests." if lost else ""
    )
    if len(parts) == 1:
        return (
            f"All {len(found)} primary statements (contrast × model × evaluation) {parts[0].partition(' ')[2]}.{more}"
        )
    listed = ", ".join(parts[:-1]) + f" and {parts[-1]}"
    return f"Of {len(found)} primary statements (contrast × model × evaluation), {listed}.{more}"


def failures(data: ReportData) -> str:
    """How many answers could not be scored, by status, in one or two sentences."""
    samples = data.scores.unique(["run", "evaluation", "sample_id"], maintain_order=True)
    count = dict(samples["status"].value_counts().iter_rows())
    num_failed = sum(count.get(status, 0) for status in MODEL_FAILURES)
    kinds = ", ".join(f"{count[s]:,} {s.replace('_', ' ')}" for s in MODEL_FAILURES if count.get(s))
    text = f"{num_failed:,} of {samples.height:,} answers ({num_failed / max(samples.height, 1):.1%}) "
    text += f"could not be scored and count as wrong: {kinds}." if num_failed else "could not be scored."
    if errors := count.get("error", 0):
        text += f" {errors:,} failed because of a program error; every estimate that includes them is missing."
    else:
        text += " None failed because of a program error."
    return text


def unfinished(data: ReportData) -> str:
    """The runs without scores; empty if all runs have scores."""
    done = set(data.finished["run"])
    missing = [run for run in data.runs["run"] if run not in done]
    if not missing:
        return ""
    shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    return f"{len(missing)} of {data.runs.height} runs have no scores yet: {shown}."


def unrated(data: ReportData) -> list[str]:
    """Evaluations whose primary metric has no scores yet, one sentence each with the metric in its place."""
    return [
        f"{name}: the primary metric '{evaluation.metric}' has no scores, so figures, findings and contrasts show "
        f"{data.primary_metrics[name]} in its place. Name a judge in site.toml and run crosslift run again."
        for name, evaluation in data.study.evaluations.items()
        if evaluation.metric and data.primary_metrics.get(name, evaluation.metric) != evaluation.metric
    ]


def confounds(data: ReportData) -> list[str]:
    """Differences between the two sides of a declared contrast other than the declared one, one sentence each."""
    found: list[str] = []
    more_updates = False
    sizes = {row["mixture"]: row for row in _volume(data).iter_rows(named=True)}
    for contrast in data.study.contrasts:
        control = sizes.get(contrast.control)
        treatments = [sizes[name] for name in contrast.treatments if name in sizes]
        if control is None or not treatments:
            if contrast.control == "base":
                found.append(
                    f"{contrast.name}: the control is the untrained base model, so a gain includes everything that "
                    "fine-tuning changes: the answer format as well as the task and the language."
                )
            continue
        differences = []
        for column, words in (
            ("num_items", "training examples"),
            ("num_tokens", "training tokens"),
            ("num_unique", "different items"),
            ("num_english", "English examples"),
        ):
            ratios = [
                row[column] / control[column] for row in treatments if control[column] and row[column] is not None
            ]
            if ratios and (max(ratios) > 1.05 or min(ratios) < 0.95):
                low, high = f"{min(ratios):.2g}", f"{max(ratios):.2g}"
                differences.append(f"{low if low == high else f'{low} to {high}'} times the {words}")
                more_updates |= column == "num_items" and max(ratios) > 1.05
        if differences:
            found.append(
                f"{contrast.name}: apart from languages, treatments and control differ in data volume. The treatments "
                "have " + ", ".join(differences) + "."
            )
    if data.study.training.epochs is not None and more_updates:
        found.append(f"Training lasts {data.study.training.epochs:g} epochs: more examples also mean more updates.")
    found += _truncation(data)
    if len(data.study.seeds) == 1:
        found.append("One training seed: no interval includes run-to-run noise, which can be as large as the effects.")
    return found


TRUNCATION_DIFFERS = 0.02
"""Difference between languages in the share of answers that are cut off, from which on it is a confound if the
intervals of both shares do not overlap either."""


def _truncation(data: ReportData) -> list[str]:
    """Evaluations in which answers are cut off more often in some languages, which lowers the scores there."""
    found = []
    trained = data.runs.filter(pl.col("mixture") != "base")["run"]
    for name, metric in data.primary_metrics.items():
        rows = data.scores.filter(pl.col("run").is_in(trained.implode()), evaluation=name, metric=metric)
        shares = dict(rows.group_by("language").agg((pl.col("status") == "truncated").mean()).iter_rows())
        ordered = sorted(shares, key=lambda tag: (-shares[tag], tag))
        if not ordered or shares[ordered[0]] - shares[ordered[-1]] < TRUNCATION_DIFFERS:
            continue
        num_items = rows["item_id"].n_unique()  # runs share the items, so more runs are hardly more evidence
        most, least = (
            wilson_interval_of_share(shares[tag], num_items, level=data.level) for tag in (ordered[0], ordered[-1])
        )
        if most[0] <= least[1]:
            continue
        shown = [*ordered[:3], *(ordered[-1:] if len(ordered) > 3 else [])]
        limit = data.study.evaluations[name].max_tokens if name in data.study.evaluations else None
        found.append(
            f"{name}: answers are cut off {f'at {limit:,} tokens ' if limit else ''}more often in some languages than "
            f"in others ({', '.join(f'{tag} {shares[tag]:.0%}' for tag in shown)}), and those count as wrong. "
            "Differences between languages reflect the limit as well; raise max_tokens."
        )
    return found


def _volume(data: ReportData) -> pl.DataFrame:
    """One row per trained mixture: examples, tokens (first model), different items, English examples."""
    rows = []
    for row in data.runs.unique("mixture", keep="first", maintain_order=True).iter_rows(named=True):
        if row["mixture"] == "base":
            continue
        items = dict(zip(row["languages"], row["num_items"] or [], strict=False))
        manifest = data.manifests.get(row["mixture"], {})
        rows.append(
            {
                "mixture": row["mixture"],
                "num_items": sum(items.values()),
                "num_tokens": sum(row["num_tokens"] or []) or None,
                "num_unique": manifest.get("num_items"),
                "num_english": items.get("en", 0),
            }
        )
    return pl.DataFrame(
        rows, schema=dict.fromkeys(_VOLUME, pl.Int64) | {"mixture": pl.String}, infer_schema_length=None
    )


_VOLUME = ("mixture", "num_items", "num_tokens", "num_unique", "num_english")
