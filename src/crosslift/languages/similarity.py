"""Genetic, syntactic and script similarity of languages, from published data.

`tools/language_facts.py` compiles `facts.csv` from URIEL (P. Littell et al. 2017, EACL) with the lineages of Glottolog,
LinguaMeta (S. Ritchie et al. 2024, LREC-COLING) and the resource classes of P. Joshi et al. 2020 (ACL). The file is
licensed under CC BY-SA 4.0, as its sources are.
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
    """Published properties of one language."""

    tag: str
    name: str
    script: str
    resource_class: int
    """Resource class of Joshi et al. 2020, from 0 (fewest resources) to 5 (most)."""
    speakers: int | None
    """Number of speakers (LinguaMeta); None if unknown."""
    lineage: frozenset[str]
    """Glottolog's genealogical groups, from the family down."""
    syntax: np.ndarray
    """URIEL's 103 binary features of syntax with predicted values, (103,)."""


@cache
def known() -> dict[str, Facts]:
    """All languages of the table, by tag."""
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
    """The properties of one language; for a regional tag such as `pt-BR` without an entry, those of `pt`.

    Raises:
        UnknownName: the table does not contain the language.
    """
    table = known()
    found = table.get(tag) or table.get(tag.split("-", maxsplit=1)[0])
    if found is None:
        raise UnknownName(f"the table of languages has no entry for '{tag}'.{did_you_mean(tag, table)}")
    return found


def similarity(kind: str, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """Pairwise similarity of two lists of languages.

    "genetic": Jaccard similarity of the two lineages. "syntactic": agreement a of URIEL's features, corrected for the
    mean agreement m of all pairs of languages in the table: max(0, (a - m) / (1 - m)). "script": 1 if both languages
    have the same script in CLDR, 1/2 between Japanese and Chinese or between the two Chinese scripts, else 0.

    Args:
        kind: one of KINDS.
        first: language tags of the rows.
        second: language tags of the columns.

    Returns:
        Similarities in [0, 1], shape (len(first), len(second)).

    Raises:
        UnknownName: a language or the kind is unknown.
    """
    if kind not in KINDS:
        raise UnknownName(f"'{kind}' is not a kind of similarity. Known: {', '.join(KINDS)}.")
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
    """Order languages so that similar ones are adjacent, for heat maps.

    The order is the optimal leaf ordering of an average-linkage clustering on the mean of all kinds of similarity
    (Z. Bar-Joseph, D. Gifford and T. Jaakkola 2001, Bioinformatics 17).
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
