"""How languages are written, from CLDR: script, direction, digits and the marks of numbers.

`cldr.csv` has a row per locale of CLDR (Unicode licence v3), written by `tools/cldr_facts.py`. A tag without a row is
looked up with its likely script and region, then without its region: "zh-TW" is "zh-Hant-TW", "de-BR" is "de".
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal, cast

import langcodes

RIGHT_TO_LEFT = frozenset({
    "Adlm", "Arab", "Armi", "Avst", "Chrs", "Cprt", "Elym", "Hatr", "Hebr", "Hung", "Khar", "Lydi", "Mand", "Mani",
    "Mend", "Merc", "Mero", "Narb", "Nbat", "Nkoo", "Orkh", "Ougr", "Palm", "Phli", "Phlp", "Phnx", "Prti", "Rohg",
    "Samr", "Sarb", "Sogd", "Sogo", "Syrc", "Syre", "Syrj", "Syrn", "Thaa", "Yezi",
})  # fmt: skip
"""ISO 15924 codes of scripts that are written from right to left (Unicode, DerivedBidiClass)."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How one locale is written."""

    tag: str
    """The locale's tag, which may be more general than the one that was asked for."""
    name: str
    iso639_3: str
    script: str
    direction: Literal["ltr", "rtl"]
    digits: str
    decimal_mark: str
    group_mark: str


@cache
def locales() -> dict[str, Writing]:
    """All locales of CLDR, by tag."""
    text = (resources.files("crosslift.languages") / "cldr.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {
        row["tag"]: Writing(**row | {"direction": cast(Literal["ltr", "rtl"], row["direction"])})  # type: ignore[arg-type]
        for row in rows
    }


@cache
def writing(tag: str) -> Writing | None:
    """How a language or variant is written; None if CLDR has no locale of the language.

    A script that CLDR has no locale for ("kk-Latn") keeps the marks of the language, unless its digits belong to the
    language's usual script.
    """
    asked = langcodes.get(tag)
    full = asked.maximize()
    parts = (full.language, full.script, asked.territory)
    for kept in ((0, 1, 2), (0, 2), (0, 1), (0,)):
        found = locales().get(tag) or locales().get("-".join(part for n in kept if (part := parts[n])))
        if found is not None and (found.script == full.script or kept == (0,)):
            break
    else:
        return None
    if asked.script is None or asked.script == found.script:
        return found
    ascii_digits = found.digits.isascii()
    return replace(
        found,
        script=asked.script,
        direction=direction_of(asked.script),
        digits=found.digits if ascii_digits else "0123456789",
        decimal_mark=found.decimal_mark if ascii_digits else ".",
        group_mark=found.group_mark if ascii_digits else ",",
    )


def direction_of(script: str) -> Literal["ltr", "rtl"]:
    """The direction of a script, by its ISO 15924 code."""
    return "rtl" if script in RIGHT_TO_LEFT else "ltr"
