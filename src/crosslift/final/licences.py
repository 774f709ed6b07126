"""Licences of training data for the card of a model: which of several is the strictest.

The order is by what a licence demands of somebody who uses the data: nothing or a notice, attribution, the same licence
for derived works, no commercial use, no derived works. A licence that is not recognised is stricter than all others,
because it must be read. This is no legal advice, and the card says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

UNKNOWN = "unknown"
"""Identifier of the hub for data without a stated licence."""
OTHER = "other"
"""Identifier of the hub for a licence that it does not list."""

_PERMISSIVE = {
    "cc0-1.0": r"cc0(-1\.0)?|public-domain",
    "mit": r"mit",
    "apache-2.0": r"apache(-licen[cs]e)?(-2\.0)?",
    "bsd-3-clause": r"bsd-3-clause",
    "odc-by": r"odc-by(-1\.0)?",
    "odbl": r"odbl(-1\.0)?",
}
_CREATIVE_COMMONS = re.compile(r"cc-by(?P<nc>-nc)?(?P<also>-sa|-nd)?(-(?P<version>\d\.\d))?")
_RANKS = {"odc-by": 1, "odbl": 2}


def identifier(licence: str) -> str:
    """Return the identifier that the hub uses for a licence.

    Args:
        licence: the licence as a corpus states it, such as "CC BY-SA 4.0" or "MIT (data set page)".

    Returns:
        The identifier, such as "cc-by-sa-4.0"; "unknown" if none is stated, "other" if it is not recognised.
    """
    text = re.sub(r"\(.*?\)|;.*", "", licence).strip().lower()
    text = re.sub(r"[\s_-]+", "-", text).strip("-")
    if text in ("", UNKNOWN, "none"):
        return UNKNOWN
    for name, pattern in _PERMISSIVE.items():
        if re.fullmatch(pattern, text):
            return name
    if found := _CREATIVE_COMMONS.fullmatch(text):
        return f"cc-by{found['nc'] or ''}{found['also'] or ''}-{found['version'] or '4.0'}"
    return OTHER


def strictest(licences: Iterable[str]) -> str:
    """Return the licence that demands most of a user; the first of equally strict ones.

    Args:
        licences: licences as the corpora state them; at least one.

    Returns:
        One of the texts.
    """
    return max(licences, key=lambda one: _rank(identifier(one)))


def _rank(name: str) -> int:
    """Strictness of an identifier of `identifier`."""
    if name in (UNKNOWN, OTHER):
        return 8 if name == UNKNOWN else 7
    if (found := _CREATIVE_COMMONS.fullmatch(name)) is None:
        return _RANKS.get(name, 0)
    return {"": 1, "-sa": 2, "-nc": 3, "-nc-sa": 4, "-nd": 5, "-nc-nd": 6}[f"{found['nc'] or ''}{found['also'] or ''}"]
