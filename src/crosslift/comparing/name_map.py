"""Names that mean the same in two studies: `tiny=small` pairs `tiny` of the first study with `small` of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from crosslift.comparing.result_set import ResultSet
from crosslift.errors import StudyError, did_you_mean

KINDS = ("model", "mixture", "evaluation")


@dataclass(frozen=True, kw_only=True)
class NameMap:
    """Kind of name -> name in a later study -> name in the first one."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def apply(self, table: pl.DataFrame) -> pl.DataFrame:
        """Rename models, mixtures and evaluations of a later study as in the first one.

        A name that is paired under another name cannot also stand for itself: it gets the suffix " (own)".

        Args:
            table: with columns of KINDS.
        """
        columns = []
        for kind in KINDS:
            known = dict(self.names.get(kind, {}))
            if known and kind in table.columns:
                own = {name: f"{name} (own)" for name in known.values() if name not in known}
                columns.append(pl.col(kind).replace(own | known))
        return table.with_columns(columns) if columns else table


def name_map(pairs: Sequence[str], first: ResultSet, others: Sequence[ResultSet]) -> NameMap:
    """Parse and check pairs of names.

    A pair applies to every kind of name (model, mixture, evaluation) that the first study has under the left name and
    another study under the right one.

    Args:
        pairs: such as "tiny=small".
        first: the study of the left names.
        others: the studies of the right names.

    Returns:
        The names.

    Raises:
        StudyError: a pair has no "=", names nothing, or names something twice; all problems are listed.
    """
    here = {kind: _names(first, kind) for kind in KINDS}
    there = {kind: [name for one in others for name in _names(one, kind)] for kind in KINDS}
    problems: list[str] = []
    found: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for pair in pairs:
        left, equals, right = pair.partition("=")
        if not (left and equals and right):
            problems.append(f"--map {pair}: must be two names, as tiny=small.")
            continue
        kinds = [kind for kind in KINDS if left in here[kind] and right in there[kind]]
        if not kinds:
            problems.append(f"--map {pair}: {_missing(left, right, here, there, first)}")
        for kind in kinds:
            if right in found[kind] or left in found[kind].values():
                problems.append(f"--map {pair}: the {kind} {left} or {right} is in another pair too.")
            found[kind][right] = left
    if problems:
        raise StudyError(problems)
    return NameMap(names=found)


def _names(one: ResultSet, kind: str) -> list[str]:
    if kind == "evaluation":
        return list(one.study.evaluations)
    return [name for name in one.runs[kind].unique(maintain_order=True) if name != "base"]


def _missing(
    left: str, right: str, here: Mapping[str, list[str]], there: Mapping[str, list[str]], first: ResultSet
) -> str:
    known_here = [name for names in here.values() for name in names]
    known_there = [name for names in there.values() for name in names]
    if left not in known_here:
        return f"{first.label} has no model, mixture or evaluation '{left}'.{did_you_mean(left, known_here)}"
    if right not in known_there:
        return f"no model, mixture or evaluation '{right}' to pair with.{did_you_mean(right, known_there)}"
    return f"'{left}' and '{right}' are names of different kinds."
