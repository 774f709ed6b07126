"""Properties of languages.

A language with a file in `data/` is *curated*: it has the words by which scoring finds an answer, and prompts. Every
other language that CLDR or Glottolog knows works without a file: names, script, direction and marks of numbers come
from CLDR (`cldr`), family and resource class from the published facts (`similarity`), and what no source knows is empty
or "unknown". Variants of a curated language ("de-CH") have its words and their own marks. A file adds a language; files
outside the installation lie in the folder that the environment variable CROSSLIFT_LANGUAGES names.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import langcodes
from langcodes.tag_parser import LanguageTagError

from crosslift.errors import UnknownName, did_you_mean, visible
from crosslift.languages.cldr import direction_of, locales, writing


@dataclass(frozen=True, kw_only=True)
class Language:
    """Properties of one language that prompts, scoring and reports use."""

    tag: str
    """BCP 47 tag in its shortest form: "sw", "zh", "sr-Latn"."""
    iso639_3: str
    """ISO 639-3 code; of the individual language if the tag is a macrolanguage: sw -> swh, ar -> arb, zh -> cmn."""
    name: str
    """English name."""
    family: str
    script: str
    """ISO 15924 code: "Latn", "Beng"; "Jpan" and "Kore" are combinations of scripts. "" if no source knows it."""
    direction: Literal["ltr", "rtl"]
    resource: Literal["high", "low", "unknown"]
    """Label of arXiv 2604.13286; for other languages "high" from class 3 of Joshi et al. (2020) upwards, and "unknown"
    where they list none."""
    digits: str
    """The ten native digits in order; ASCII digits if the language uses them."""
    decimal_mark: str
    group_mark: str
    step_by_step: str = ""
    """"Let's think step by step." in the language, as the prompts of mCoT-MATH use it."""
    answer_cue: str = ""
    """"The answer is" in the language; scoring first searches for a number after it."""
    answer_words: tuple[str, ...] = ()
    """Words that precede an answer and a colon: "Answer", "Result"."""
    summarize: str = ""
    """"Summarise the text in one sentence." in the language."""
    scales: dict[str, int] = field(default_factory=dict, hash=False)
    """Words that multiply a preceding number in digits: "thousand", "lakh". Units in characters are in `han`."""
    further_cues: tuple[str, ...] = ()
    """Variants of `answer_cue`: "The final answer is"."""
    leading_scales: dict[str, int] = field(default_factory=dict, hash=False)
    """Words that multiply the number after them: Swahili "elfu 5" is five thousand."""


WORDS = ("step_by_step", "answer_cue", "further_cues", "answer_words", "summarize", "scales", "leading_scales")
"""Fields that only a file has."""
FOLDER_VARIABLE = "CROSSLIFT_LANGUAGES"
"""Environment variable: a folder with files of languages, read beside those of the installation."""


@cache
def tags() -> tuple[str, ...]:
    """Tags of all languages that have a file, sorted."""
    return tuple(sorted(_files()))


@cache
def _files() -> dict[str, Any]:
    """Tag -> file. A file of the installation cannot be replaced, so that scores do not depend on the machine.

    Raises:
        UnknownName: CROSSLIFT_LANGUAGES names no folder, a language that has a file, or no language.
    """
    installed = resources.files("crosslift.languages") / "data"
    files: dict[str, Any] = {file.name.removesuffix(".toml"): file for file in installed.iterdir()}
    files = {tag: file for tag, file in files.items() if file.name == f"{tag}.toml"}
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return files
    if not Path(folder).is_dir():
        raise UnknownName(
            f"{FOLDER_VARIABLE}: there is no folder {visible(folder, 200)}. Correct or unset the variable."
        )
    for file in sorted(Path(folder).glob("*.toml")):
        if file.stem in files:
            raise UnknownName(
                f"{FOLDER_VARIABLE}, {file.name}: '{file.stem}' has a file in the installation. Remove this one."
            )
        if uncurated(file.stem) is None:
            raise UnknownName(f"{FOLDER_VARIABLE}, {file.name}: '{file.stem}' is no language tag. Rename the file.")
        files[file.stem] = file
    return files


@cache
def language(tag: str) -> Language:
    """The properties of one language.

    Raises:
        UnknownName: the tag belongs to no language, or is not in its standard form.
    """
    if tag in tags():
        file = _files()[tag]
        curated, problems = parse_file(tag, file.read_text(encoding="utf-8"), file.name)
        if curated is None:
            raise UnknownName("\n".join(problems))
        return curated
    found = uncurated(tag)
    if found is None:
        raise UnknownName(
            f"'{visible(tag, 60)}' is not a known language tag.{did_you_mean(tag, tags())} "
            "See: crosslift list languages"
        )
    parent = _parent(found)
    if parent is None:
        return found
    values = {name: getattr(parent, name) for name in (*WORDS, "family", "resource", "iso639_3")}
    if writing(tag) is None:
        values |= {name: getattr(parent, name) for name in ("digits", "decimal_mark", "group_mark")}
    return Language(**{**vars(found), **values})


def parse_file(tag: str, text: str, name: str) -> tuple[Language | None, list[str]]:
    """Read the file of a language. What it leaves out is as CLDR and the published facts have it.

    Args:
        tag: the language.
        text: the content of the file, in TOML.
        name: the file's name, for messages.

    Returns:
        The language, None if the file is invalid; and one sentence per problem.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [f"{name}: {error}. Correct the TOML."]
    problems = []
    for key, value in given.items():
        kind = _KINDS.get(key)
        if kind is None:
            problems.append(
                f"{name}: unknown key '{visible(key, 60)}'.{did_you_mean(key, _KINDS)} Remove or rename it."
            )
        elif not kind.check(value):
            problems.append(f"{name}, {key}: must be {kind.words}. Change it.")
    base = uncurated(tag)
    values = {} if base is None else {key: getattr(base, key) for key in _KINDS if key not in WORDS}
    values |= given
    lacking = [key for key in (*REQUIRED, "answer_cue", "answer_words") if key not in values]
    if lacking:
        problems.append(f"{name}: lacks {', '.join(lacking)}. Add {'it' if len(lacking) == 1 else 'them'}.")
    if problems:
        return None, problems
    values |= {key: tuple(values.get(key, ())) for key in ("answer_words", "further_cues")}
    return Language(tag=tag, **values), []


@dataclass(frozen=True)
class _Kind:
    """What the value of a key must be."""

    words: str
    check: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_factors(value: Any) -> bool:
    return isinstance(value, dict) and all(type(factor) is int and factor > 1 for factor in value.values())


def _one_of(*known: str) -> _Kind:
    return _Kind(" or ".join(f'"{one}"' for one in known), lambda value: value in known)


_TEXT = _Kind("a text in quotes", _is_text)
_TEXTS = _Kind("a list of texts", _are_texts)
_FACTORS = _Kind("a table of word = whole number above 1", _are_factors)
_KINDS = {
    **dict.fromkeys(("iso639_3", "name", "family", "script"), _TEXT),
    "direction": _one_of("ltr", "rtl"),
    "resource": _one_of("high", "low", "unknown"),
    "digits": _Kind(
        "ten different characters, from zero to nine", lambda value: _is_text(value) and len(set(value)) == 10
    ),
    "decimal_mark": _Kind("one character", lambda value: _is_text(value) and len(value) == 1),
    "group_mark": _Kind("one character", lambda value: _is_text(value) and len(value) == 1),
    **dict.fromkeys(("step_by_step", "answer_cue", "summarize"), _TEXT),
    **dict.fromkeys(("further_cues", "answer_words"), _TEXTS),
    **dict.fromkeys(("scales", "leading_scales"), _FACTORS),
}
REQUIRED = tuple(key for key in _KINDS if key not in WORDS)
"""Fields that a file must have for a language that no source knows."""


def is_known(tag: str) -> bool:
    """Whether `language` has the tag."""
    return tag in tags() or uncurated(tag) is not None


def _parent(found: Language) -> Language | None:
    """The curated language whose variant this is, in the same script."""
    base = found.tag.split("-")[0]
    for tag in (f"{base}-{found.script}", base):
        if tag in tags() and language(tag).script == found.script:
            return language(tag)
    return None


@cache
def uncurated(tag: str) -> Language | None:
    """What CLDR and the published facts know of a language, without any file; None if they know none of this tag.

    A tag must be in standard form ("kk", not "kaz" or "kk-Cyrl"), with no parts besides language, script, region and
    variants of CLDR.
    """
    from crosslift.languages.similarity import family, find_facts

    try:
        standard = langcodes.standardize_tag(tag, macro=True)
    except LanguageTagError:
        return None
    base = tag.split("-", maxsplit=1)[0]
    if tag != standard or not (tag in locales() or langcodes.tag_is_valid(tag)):
        return None  # the registry of langcodes is older than CLDR, which has Toki Pona
    parts = langcodes.get(tag)
    if parts.extensions or parts.private or parts.extlangs or (parts.variants and tag not in locales()):
        return None
    written, facts = writing(tag), find_facts(tag)
    if written is None and facts is None:
        return None
    script = parts.script or (written.script if written else facts.script if facts else "")
    label = facts.resource_class if facts else 0
    name = written.name if written and written.tag == tag else _name(tag, base)
    return Language(
        tag=tag,
        iso639_3=written.iso639_3 if written else langcodes.get(base).to_alpha3(),
        name=name,
        family=family(facts.lineage) if facts else "unknown",
        script=script,
        direction=written.direction if written else direction_of(script),
        resource="high" if label >= 3 else "low" if label else "unknown",
        digits=written.digits if written else "0123456789",
        decimal_mark=written.decimal_mark if written else ".",
        group_mark=written.group_mark if written else ",",
    )


def _name(tag: str, base: str) -> str:
    """The English name of a language, with the script and region of a variant: "Acehnese (Arab)"."""
    from crosslift.languages.similarity import find_facts

    written, facts = locales().get(base), find_facts(base)
    name = written.name if written else facts.name if facts else base
    return name if tag == base else f"{name} ({', '.join(tag.split('-')[1:])})"
