"""How alike two languages are: by descent, by syntax, by script. Facts that others measured, in one small table.

`facts.csv` is made by `tools/language_facts.py` from URIEL (P. Littell et al. 2017, EACL), Glottolog's lineages in it,
LinguaMeta (S. Ritchie et al. 2024, LREC-COLING) and the resource classes of P. Joshi et al. 2020 (ACL). It is under CC
BY-SA 4.0, as its sources are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from crosslift.errors import UnknownName, did_you_mean

KINDS = ("genetic", "syntactic", "script")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a language without looking at any model."""

    tag: str
    name: str
    script: str
    resource_class: int
    """0 (left behind) to 5 (winners), Joshi et al. 2020."""
    speakers: int | None
    lineage: frozenset[str]
    """Glottolog's groups from the family down."""
    syntax: np.ndarray
    """URIEL's 103 features of syntax as predicted, 0 or 1."""


@cache
def known() -> dict[str, Facts]:
    """All languages of the table by tag."""
    text = (resources.files("crosslift.languages") / "facts.csv").read_text(encoding="utf-8")
    return {
        row["tag"]: Facts(
            tag=row["tag"],
            name=row["name"],
            script=row["script"],
            resource_class=int(row["resource_class"]),
            speakers=int(row["speakers"]) if row["speakers"] else None,
            lineage=frozenset(row["lineage"].split("|")) - {""},
            syntax=np.array([int(bit) for bit in row["syntax"]]),
        )
        for row in csv.DictReader(io.StringIO(text))
    }


def facts(tag: str) -> Facts:
    """Of one language; of `pt-BR` those of `pt` where it has none of its own.

    Raises:
        UnknownName: the table lacks the language.
    """
    table = known()
    found = table.get(tag) or table.get(tag.split("-", maxsplit=1)[0])
    if found is None:
        raise UnknownName(f"nothing is known of the language '{tag}'.{did_you_mean(tag, table)}")
    return found


def similarity(kind: str, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """Between 0 and 1, shape (first, second).

    "genetic": share of groups of the two lineages that both have (Jaccard). "syntactic": share of URIEL's features in
    which they agree, above what any two languages of the table share on average, and 1 for the same. "script": 1 where
    CLDR writes both in one script; Chinese in both its scripts and Japanese count as one half.

    Raises:
        UnknownName: a language or a kind that is not known.
    """
    if kind not in KINDS:
        raise UnknownName(f"'{kind}' is no kind of similarity. Known: {', '.join(KINDS)}.")
    return np.array([[_alike(kind, one, other) for other in second] for one in first], dtype=float)


@cache
def _alike(kind: str, one: str, other: str) -> float:
    measure = {"genetic": _genetic, "syntactic": _syntactic, "script": _script}[kind]
    return measure(facts(one), facts(other))


def _genetic(one: Facts, other: Facts) -> float:
    either = one.lineage | other.lineage
    return len(one.lineage & other.lineage) / len(either) if either else float(one.tag == other.tag)


def _syntactic(one: Facts, other: Facts) -> float:
    usual = _usual_agreement()
    return float(max(0.0, (np.mean(one.syntax == other.syntax) - usual) / (1 - usual)))


@cache
def _usual_agreement() -> float:
    rows = np.stack([one.syntax for one in known().values()])
    agreement = (rows[:, None, :] == rows[None, :, :]).mean(axis=2)
    return float(agreement[np.triu_indices(len(rows), 1)].mean())


_RELATED_SCRIPTS = ({"Hans", "Hant", "Jpan"},)


def _script(one: Facts, other: Facts) -> float:
    if one.script == other.script:
        return 1.0
    return 0.5 if any({one.script, other.script} <= related for related in _RELATED_SCRIPTS) else 0.0


def order_by_similarity(tags: Sequence[str]) -> list[str]:
    """The languages so that neighbours are alike: leaves of an average-linkage tree, optimally turned.

    For heat maps (Z. Bar-Joseph, D. Gifford and T. Jaakkola 2001, Bioinformatics 17).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(tags) < 3:
        return list(tags)
    alike = np.mean([similarity(kind, tags, tags) for kind in KINDS], axis=0)
    distance = 1 - (alike + alike.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [tags[place] for place in leaves_list(tree)]
