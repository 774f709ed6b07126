"""Normalization of language codes to one tag: sw, swa, swh_Latn and swh all become "sw".

Data sets use BCP 47 tags, ISO 639 codes of two and three letters, locales and codes of their own. `langcodes`
implements the standards; this module adds common codes that belong to no standard. A region is kept only where CLDR
writes numbers differently there (es_MX is "es-MX", pt_BR is "pt"), and a script only if it is not the usual one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from crosslift.errors import UnknownName, did_you_mean
from crosslift.languages.language import Language, is_known, language, tags
from crosslift.languages.numbers.notation import SPACES

_NONSTANDARD_CODES = {
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
"""Nonstandard codes of data sets -> the language that they mean; some are standard codes of other languages."""
MAX_DISTANCE = 9
"""Maximum distance of CLDR's language matching. It accepts Brazilian for Portuguese and an individual language for its
macrolanguage, but not Norwegian for Danish."""


def resolve(code: str) -> str:
    """Resolve a language code to the tag of a known language, as general as the writing of numbers permits.

    Raises:
        UnknownName: the code matches no known language.
    """
    if code in tags():
        return code
    near = _match(code, tags())
    found = _general(code)
    if near is not None and (found is None or ("-" not in found and _same_writing(found, near))):
        return near
    if found is not None:
        return found
    near = _match(code, tags(), max_distance=60)
    hint = f" Near: '{near}'." if near else did_you_mean(code, (*tags(), *_NONSTANDARD_CODES))
    raise UnknownName(f"'{code}' is not a language that crosslift knows.{hint} See: crosslift list languages")


def _general(code: str) -> str | None:
    """The most general known tag for a code that is valid; None if there is none."""
    written = _NONSTANDARD_CODES.get(code.lower(), code).replace("_", "-").replace("-Hang", "-Kore")
    try:
        tag = langcodes.standardize_tag(written, macro=True)
    except LanguageTagError:
        return None
    if not is_known(tag):
        return None
    parts = langcodes.get(tag)
    if parts.territory and langcodes.get(written, normalize=False).territory is None:
        return tag  # a language of its own in ISO 639-3: prs is fa-AF
    usual = langcodes.get(parts.language or "und").maximize()
    asked = parts.maximize()
    for kept in ((), ("script",), ("territory",), ("script", "territory")):
        script = asked.script if "script" in kept else None
        territory = parts.territory if "territory" in kept else None
        if script == usual.script and "script" in kept:
            continue
        shorter = "-".join(part for part in (parts.language, script, territory) if part)
        if is_known(shorter) and _same_writing(tag, shorter):
            return shorter
    return tag


def _same_writing(one: str, other: str) -> bool:
    """Whether two tags of one language have the same script and the same notation of numbers."""
    first, second = language(one), language(other)
    return (
        one.split("-", maxsplit=1)[0] == other.split("-", maxsplit=1)[0]
        and first.script == second.script
        and _notation(first) == _notation(second)
    )


def _notation(one: Language) -> tuple[str, str]:
    return one.decimal_mark, " " if one.group_mark in SPACES else one.group_mark


def standardize(code: str) -> str:
    """Convert a language code to a BCP 47 tag, also for languages without a data file, as imported results need.

    Raises:
        UnknownName: the code belongs to no language.
    """
    try:
        tag = langcodes.standardize_tag(_NONSTANDARD_CODES.get(code.lower(), code), macro=True)
    except LanguageTagError:
        tag = ""
    if tag.split("-")[0] in {known.split("-")[0] for known in tags()}:
        return _match(code, tags()) or tag
    if not tag or not langcodes.tag_is_valid(tag):
        raise UnknownName(f"'{code}' is not a language code. Define it: [recode.language] {code} = ...")
    return tag


def resolve_all(codes: Iterable[str]) -> dict[str, str]:
    """Resolve several codes; returns code -> tag.

    Raises:
        UnknownName: some codes match no known language; the message has one line for each.
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
    code = _NONSTANDARD_CODES.get(code.lower(), code)
    try:
        tag = langcodes.standardize_tag(code, macro=True)
    except LanguageTagError:
        return None
    if tag.split("-")[0] not in {name.split("-")[0] for name in known} and not langcodes.tag_is_valid(tag):
        return None
    best, distance = langcodes.closest_match(tag, list(known), max_distance=max_distance)
    return None if best == "und" or distance > max_distance else best
