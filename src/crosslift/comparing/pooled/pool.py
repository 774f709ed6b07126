"""Several studies pooled: every estimate of their reports, with the study as a level of the model.

Each study is estimated by itself, on its own items, as its report does (`transfer.estimates`); items of different
studies never share a panel. Estimates of the same quantity (equal model, composition of control and treatments,
evaluation, metric and languages) are then pooled: from three studies on with the study as a random effect, of two with
a fixed one (`transfer.variance.between_studies`). Studies with the same test items share their resamples, so that the
common items are not counted twice; where only some items are the same, their errors are taken as fully dependent. What
only one study has is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from crosslift.comparing.left_out import LEFT_OUT, leave_out
from crosslift.comparing.name_map import NameMap
from crosslift.comparing.pooled.composition import Identities, identities, item_contents, items_fingerprint
from crosslift.comparing.pooled.number import Member, pooled_number
from crosslift.comparing.pooled.scope import common_evaluations, common_languages, overlaps
from crosslift.comparing.result_set import ResultSet
from crosslift.errors import TransferError
from crosslift.scores import RUNS
from crosslift.transfer.answers import verdict
from crosslift.transfer.estimates.conditions import ResampledPanel, conditions
from crosslift.transfer.estimates.estimate import ESTIMATES, condition_statements, contrast_statements
from crosslift.transfer.estimates.multiplicity import adjust
from crosslift.transfer.estimates.panel import panels
from crosslift.transfer.estimates.statement import Statement, rows_of_statements

_POOLED: dict[str, Any] = {
    **{name: ESTIMATES[name] for name in ("estimand", "contrast", "declared", "primary", "model", "mixture")},
    **{name: ESTIMATES[name] for name in ("control", "evaluation", "task", "metric", "languages")},
    "is_primary_metric": pl.Boolean,
    "num_studies": pl.Int64,
    "studies": pl.String,
    "effect": pl.String,  # of the study: "random", or "fixed" with two studies
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "level": pl.Float64,
    "p": pl.Float64,
    "p_adjusted": pl.Float64,
    "between_sd": pl.Float64,  # standard deviation between studies; null with two
    "between_low": pl.Float64,
    "between_high": pl.Float64,
    "heterogeneity": pl.String,  # the same as text, or "cannot tell" and why
    "num_items": pl.Int64,  # different items of all studies
    "verdict": pl.String,  # on the claim that a difference is above 0; "" for scores and ratios
    "method": pl.String,
    "note": pl.String,
}
POOLED = pl.Schema(_POOLED)
_BY_STUDY: dict[str, Any] = {"study": pl.String, "weight": pl.Float64, **ESTIMATES}
BY_STUDY = pl.Schema(_BY_STUDY)
"""The estimates of single studies under the common names, with their weight in the pooled one."""
_KEY = ("estimand", "model", "mixture", "control", "evaluation", "metric", "languages")


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Several studies pooled."""

    studies: tuple[str, ...]
    estimates: pl.DataFrame
    """Columns as in POOLED; values are shares, or ratios."""
    by_study: pl.DataFrame
    """Columns as in BY_STUDY."""
    identities: pl.DataFrame
    """Models and mixtures with their names in each study, columns as in `composition.SHARES`."""
    left_out: pl.DataFrame
    """What is not pooled, columns as in `left_out.LEFT_OUT`."""
    notes: tuple[str, ...]
    level: float


def pool(
    sets: Sequence[ResultSet], names: NameMap, *, level: float = 0.95, num_resamples: int = 2000, seed: int = 0
) -> Pooled:
    """Pool the estimates of several studies.

    Args:
        sets: the studies; the first one gives the names and the primary contrasts.
        names: names of later studies that mean names of the first.
        level: coverage of each single interval.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        The pooled estimates.

    Raises:
        TransferError: the studies have no quantity in common; the message says what differs.
    """
    same = identities(sets, names)
    left_out: list[dict[str, Any]] = []
    notes: list[str] = []
    by_key: dict[tuple[Any, ...], dict[int, Member]] = {}
    for evaluation, users in common_evaluations(sets, names, left_out):
        tags = common_languages(sets, users, left_out, evaluation)
        if not tags:
            continue
        notes += overlaps(sets, users, evaluation, tags)
        for place, own in users.items():
            members = _members(
                sets[place],
                place=place,
                own=own,
                evaluation=evaluation,
                tags=tags,
                same=same,
                level=level,
                num_resamples=num_resamples,
                seed=seed,
            )
            for member in members:
                key = tuple(member.row[name] for name in _KEY)
                by_key.setdefault(key, {}).setdefault(place, member)
    rows, by_study = [], []
    for by_place in by_key.values():
        usable = [one for one in by_place.values() if one.statistic is not None and one.row.get("low") is not None]
        if len(usable) < 2:
            continue
        number = pooled_number(usable, level=level)
        first = usable[0].row
        rows.append(
            {name: first[name] for name in POOLED if name in first}
            | {"is_primary_metric": usable[0].is_primary_metric, "level": level}
            | number.columns
        )
        for one, weight in zip(usable, number.weights, strict=True):
            by_study.append(one.row | {"study": sets[one.place].label, "weight": float(weight)})
    left_out += _alone(sets, by_key)
    if not rows:
        raise TransferError(_nothing_in_common(left_out))
    table = adjust(pl.DataFrame(rows, schema=POOLED, infer_schema_length=None))
    tested = pl.col("p").is_not_null()
    verdicts = [verdict(*limits) for limits in table.select("low", "high").iter_rows()]
    return Pooled(
        studies=tuple(one.label for one in sets),
        estimates=table.with_columns(
            verdict=pl.when(tested).then(pl.Series(verdicts, dtype=pl.String)).otherwise(pl.lit(""))
        ).select(POOLED.names()),
        by_study=pl.DataFrame(by_study, schema=BY_STUDY, infer_schema_length=None),
        identities=same.table,
        left_out=pl.DataFrame(left_out, schema=LEFT_OUT, infer_schema_length=None),
        notes=tuple(notes),
        level=level,
    )


def _members(
    one: ResultSet,
    *,
    place: int,
    own: str,
    evaluation: str,
    tags: Sequence[str],
    same: Identities,
    level: float,
    num_resamples: int,
    seed: int,
) -> Iterator[Member]:
    """Yield every estimate of one study in one evaluation, under the common names."""
    group, items = items_fingerprint(one, own, tags), item_contents(one, own, tags)
    # The label of the panel names the random stream: equal items, equal resamples; other items, other resamples.
    scores = one.scores.filter(pl.col("language").is_in(list(tags)), evaluation=own).with_columns(
        evaluation=pl.lit(f"{evaluation} {group}")
    )
    models = {name: f"{common} in {one.label}" for name, common in same.models[place].items()}
    runs = one.runs.with_columns(pl.col("model").replace_strict(models)).select(RUNS.names())
    common_models = {label: same.models[place][name] for name, label in models.items()}
    common_mixtures = same.mixtures[place]
    for panel in panels(scores, runs):
        resampled = ResampledPanel(
            panel=panel, conditions=tuple(conditions(runs).values()), num_resamples=num_resamples, seed=seed
        )
        primary = panel.metric == one.metric(own)
        statements = [*condition_statements(resampled)]
        for contrast in one.study.contrasts:
            statements += contrast_statements(resampled, contrast, is_primary=primary)
        wanted = [_renamed(one, statement, common_models, common_mixtures) for statement in statements]
        for statement, row in zip(wanted, rows_of_statements(resampled, wanted, level=level), strict=True):
            yield Member(
                place=place,
                study=one.label,
                group=group,
                items=items,
                row=row | {"evaluation": evaluation},
                statistic=statement.statistic,
                bounds=statement.bounds,
                tested=statement.tested,
                is_primary_metric=primary,
                standard_normals=resampled.standard_normals,
            )


def _renamed(one: ResultSet, statement: Statement, models: dict[str, str], mixtures: dict[str, str]) -> Statement:
    """Put the common names of model, treatments and control into a statement."""
    columns = dict(statement.columns)
    columns["model"] = models[columns["model"]]
    control = columns["control"]
    if columns["mixture"].startswith("mean of "):
        declared = next(contrast for contrast in one.study.contrasts if contrast.name == columns["declared"])
        present = set(one.runs["mixture"])
        treatments = sorted({mixtures[name] for name in declared.treatments if name != control and name in present})
        columns["mixture"] = f"mean of {', '.join(treatments)}"
    else:
        columns["mixture"] = mixtures.get(columns["mixture"], columns["mixture"])
    if control:
        columns["control"] = mixtures.get(control, control)
        columns["contrast"] = f"{columns['model']}: {columns['mixture']} - {columns['control']}"
    else:
        columns["contrast"] = f"{columns['model']}: {columns['mixture']}"
    return replace(statement, columns=columns)


def _alone(sets: Sequence[ResultSet], by_key: dict[tuple[Any, ...], dict[int, Member]]) -> Iterator[dict[str, Any]]:
    """Yield what has an estimate in fewer than two studies: each mixture or contrast once, with the reason."""
    said: set[tuple[str, str, int]] = set()
    shared = {
        (key[1], key[2], key[3])
        for key, members in by_key.items()
        if sum(one.statistic is not None for one in members.values()) > 1
    }
    for (_, model, mixture, control, *_), members in by_key.items():
        for place, member in members.items():
            what = f"{model}: {mixture}" + (f" - {control}" if control else "")
            kind = "contrast" if control else "mixture"
            if (model, mixture, control) in shared or (kind, what, place) in said:
                continue
            said.add((kind, what, place))
            reason = member.row["note"] if member.statistic is None else "in no other study with the same composition"
            yield leave_out(kind, what, sets[place].label, reason)


def _nothing_in_common(left_out: Sequence[dict[str, Any]]) -> str:
    reasons = "; ".join(f"{row['kind']} {row['name']} of {row['study']}: {row['reason']}" for row in left_out[:4])
    return (
        f"the studies have no estimate in common ({reasons}). Mixtures are the same if their examples per language "
        "are; if models or evaluations have different names, pair them: --map NAME=NAME"
    )
