"""Language codes of every flavour, as one tag: sw, swa, swh_Latn and swh are all "sw" here.

Data sets write BCP 47 tags, ISO 639 codes of two and three letters, locales and names of their own. `langcodes` knows
the standards; what no standard knows stands below.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from crosslift.errors import UnknownName, did_you_mean
from crosslift.languages.language import tags

_IN_USE = {
    "jp": "ja",
    "zhs": "zh",
    "zht": "zh-Hant",
    "cn": "zh",
    "gr": "el",
    "cz": "cs",
    "dk": "da",
    "kr": "ko",
    "vn": "vi",
}
"""Codes that are no language's, or another's, and that data sets use for these."""
MAX_DISTANCE = 9
"""By CLDR's measure: Brazilian for Portuguese, the individual for the macrolanguage; not Norwegian for Danish."""


def resolve(code: str) -> str:
    """The known tag that a code stands for.

    Raises:
        UnknownName: no known language is meant.
    """
    found = _match(code, tags())
    if found is None:
        near = _match(code, tags(), max_distance=60)
        hint = f" Near: '{near}'." if near else did_you_mean(code, (*tags(), *_IN_USE))
        raise UnknownName(f"'{code}' is not a language that crosslift knows.{hint} See: crosslift list languages")
    return found


def standard(code: str) -> str:
    """The BCP 47 tag of any language that there is, known to crosslift or not: results made elsewhere hold many.

    Raises:
        UnknownName: the code is no language's.
    """
    try:
        tag = langcodes.standardize_tag(_IN_USE.get(code.lower(), code), macro=True)
    except LanguageTagError:
        tag = ""
    if tag.split("-")[0] in {known.split("-")[0] for known in tags()}:
        return _match(code, tags()) or tag
    if not tag or not langcodes.tag_is_valid(tag):
        raise UnknownName(f"'{code}' is not a language's code. Say what it stands for: [recode.language] {code} = ...")
    return tag


def resolve_all(codes: Iterable[str]) -> dict[str, str]:
    """Code -> tag.

    Raises:
        UnknownName: all that stand for no known language.
    """
    found, problems = {}, []
    for code in codes:
        try:
            found[code] = resolve(code)
        except UnknownName as error:
            problems.append(str(error))
    if problems:
        raise UnknownName("\n".join(problems))
    return found


@cache
def _match(code: str, known: tuple[str, ...], max_distance: int = MAX_DISTANCE) -> str | None:
    if code in known:
        return code
    code = _IN_USE.get(code.lower(), code)
    try:
        tag = langcodes.standardize_tag(code, macro=True)
    except LanguageTagError:
        return None
    if tag.split("-")[0] not in {name.split("-")[0] for name in known} and not langcodes.tag_is_valid(tag):
        return None
    best, distance = langcodes.closest_match(tag, list(known), max_distance=max_distance)
    return None if best == "und" or distance > max_distance else best
