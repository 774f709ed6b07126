"""Genetic, syntactic and script similarity of languages, from published data.

`tools/language_facts.py` compiles `facts.csv` from URIEL (P. Littell et al. 2017, EACL) with the lineages of Glottolog,
LinguaMeta (S. Ritchie et al. 2024, LREC-COLING) and the resource classes of P. Joshi et al. 2020 (ACL);
`tools/further_languages.py` adds the other languages of these sources and of CLDR in `further_languages.csv.xz`. Both
files are licensed under CC BY-SA 4.0, as their sources are. The usual agreement of syntax is that of the languages in
`facts.csv`, so that a language more changes no similarity.
"""

from __future__ import annotations

import csv
import io
import lzma
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np

from crosslift.errors import UnknownName, did_you_mean

KINDS = ("genetic", "syntactic", "script")
NUM_FEATURES = 103
"""URIEL's features of syntax."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Published properties of one language."""

    tag: str
    name: str
    script: str
    resource_class: int
    """Resource class of Joshi et al. 2020, from 0 (fewest resources) to 5 (most). The source lists class 1 in part and
    class 0 not at all, so that 0 also stands for a language that it does not list."""
    speakers: int | None
    """Number of speakers (LinguaMeta); None if unknown."""
    lineage: frozenset[str]
    """Glottolog's genealogical groups, from the family down."""
    syntax: np.ndarray
    """URIEL's 103 binary features of syntax with predicted values, (103,)."""


@cache
def known() -> dict[str, Facts]:
    """The languages of `facts.csv`, by tag."""
    text = (resources.files("crosslift.languages") / "facts.csv").read_text(encoding="utf-8")
    return {row["tag"]: _facts(row, [int(bit) for bit in row["syntax"]]) for row in csv.DictReader(io.StringIO(text))}


@cache
def further() -> dict[str, dict[str, str]]:
    """The rows of all other languages, by tag. Fields that no source has are empty; `syntax` is in hexadecimal."""
    packed = (resources.files("crosslift.languages") / "further_languages.csv.xz").read_bytes()
    return {row["tag"]: row for row in csv.DictReader(io.StringIO(lzma.decompress(packed).decode("utf-8")))}


def _facts(row: Mapping[str, str], syntax: list[int]) -> Facts:
    return Facts(
        tag=row["tag"],
        name=row["name"],
        script=row["script"],
        resource_class=int(row["resource_class"] or 0),
        speakers=int(row["speakers"]) if row["speakers"] else None,
        lineage=frozenset(row["lineage"].split("|")) - {""},
        syntax=np.array(syntax),
    )


@cache
def facts(tag: str) -> Facts:
    """The properties of one language; for a variant such as `pt-BR` without an entry, those of `pt`, in its own script.

    Raises:
        UnknownName: the sources do not describe the language.
    """
    found = find_facts(tag)
    if found is None or not found.syntax.size:
        near = did_you_mean(tag, known())
        raise UnknownName(f"the table of languages has no entry for '{tag}' with features of syntax.{near}")
    return found


@cache
def find_facts(tag: str) -> Facts | None:
    """What the sources know of a language, which may lack features of syntax, shape (0,); None if it is in none."""
    base, *rest = tag.split("-")
    for name in (tag, base):
        found = known().get(name)
        if found is None and name in further():
            row = further()[name]
            digits = f"{int(row['syntax'], 16):0{NUM_FEATURES}b}" if row["syntax"] else ""
            found = _facts(row, [int(bit) for bit in digits])
        if found is not None:
            script = next((part for part in rest if len(part) == 4 and part.isalpha()), found.script)
            return found if script == found.script else replace(found, script=script)
    return None


def family(lineage: frozenset[str]) -> str:
    """The two most general groups of a lineage, "Turkic, Common Turkic"; "unknown" without a lineage."""
    sizes = _group_sizes()
    return ", ".join(sorted(lineage, key=lambda group: (-sizes[group], group))[:2]) or "unknown"


@cache
def _group_sizes() -> Counter[str]:
    """Genealogical group -> number of languages in it. A group has at least as many as each of its parts."""
    sizes = Counter(group for row in further().values() for group in row["lineage"].split("|"))
    sizes.update(group for one in known().values() for group in one.lineage)
    return sizes


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
    (Z. Bar-Joseph, D. Gifford and T. Jaakkola 2001, Bioinformatics 17). Languages that the sources do not describe
    come last, in the given order.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    described = [tag for tag in tags if (found := find_facts(tag)) is not None and found.syntax.size]
    if len(described) < len(tags):
        return order_by_similarity(described) + [tag for tag in tags if tag not in described]
    if len(tags) < 3:
        return list(tags)
    alike = np.mean([similarity(kind, tags, tags) for kind in KINDS], axis=0)
    distance = 1 - (alike + alike.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [tags[place] for place in leaves_list(tree)]
