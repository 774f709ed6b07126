"""What is known of a language, and what a file for it must hold: `crosslift list languages --coverage`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from crosslift.errors import UnknownName
from crosslift.languages.cldr import locales, writing
from crosslift.languages.identify import can_be_classified, in_language
from crosslift.languages.language import WORDS, Language, is_known, language, parse_file, tags
from crosslift.languages.numbers.notation import SPACES
from crosslift.languages.numbers.number_words import has_number_words
from crosslift.languages.numbers.numerals import numbers
from crosslift.languages.similarity import find_facts, further, known

SCRIPTS_WITH_NUMERALS = ("Hans", "Hant", "Jpan", "Kore")


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What the program knows of one language."""

    language: Language
    words: str
    """Where cues, prompts and scale words are from: "file", "file of de", or "" without any."""
    marks: str
    """Where the digits and marks of numbers are from: "file", "CLDR", or "ASCII" where CLDR has no locale."""
    number_words: str
    """How spelled numbers are read: "ICU", "characters and ICU", "characters", or "" if they are not."""
    identified: str
    """How an answer in another language is noticed: "classifier", "script", "script and English", or "English"."""
    similarity: str
    """What similarity to other languages is known: "genetic, syntactic", one of them, or ""."""


def coverage(tag: str) -> Coverage:
    """What the program knows of one language.

    Raises:
        UnknownName: the tag belongs to no language.
        CrossliftError: icu4py or py3langid is not installed.
    """
    found = language(tag)
    facts = find_facts(tag)
    base = tag.split("-", maxsplit=1)[0]
    source = next((one for one in (tag, f"{base}-{found.script}", base) if one in tags()), "")
    has_words = any(getattr(found, name) for name in WORDS)
    kinds = [] if facts is None else [*["genetic"] * bool(facts.lineage), *["syntactic"] * bool(facts.syntax.size)]
    return Coverage(
        language=found,
        words="" if not has_words else "file" if source == tag else f"file of {source}",
        marks="file" if tag in tags() else "CLDR" if writing(tag) else "ASCII",
        number_words=_number_words(found),
        identified=_identified(found),
        similarity=", ".join(kinds),
    )


def _identified(found: Language) -> str:
    if found.script in SCRIPTS_WITH_NUMERALS:
        return "script"
    if can_be_classified(found):
        return "classifier"
    return "script and English" if found.script else "English"


def _number_words(found: Language) -> str:
    ways = ["characters"] * (found.script in SCRIPTS_WITH_NUMERALS) + ["ICU"] * has_number_words(found)
    return " and ".join(ways)


@cache
def written_tags() -> tuple[str, ...]:
    """The languages with a file or a locale in CLDR, and their scripts; regions are left out."""
    scripts = {tag for tag in locales() if len(parts := tag.split("-")) == 2 and len(parts[1]) == 4}
    plain = {tag for tag in locales() if "-" not in tag}
    return tuple(sorted({*tags(), *filter(is_known, plain | scripts)}))


@cache
def further_tags() -> tuple[str, ...]:
    """The languages that the published facts or CLDR name, and that CLDR has no locale for."""
    plain = {tag for tag in (*known(), *further()) if "-" not in tag}
    return tuple(sorted(tag for tag in plain - {*written_tags()} if is_known(tag)))


def problems_of_file(file: Path) -> list[str]:
    """Check a file of a language: its keys, its notation against CLDR, and whether answers in its words are read.

    Args:
        file: `<tag>.toml`.

    Returns:
        One sentence per problem; empty if the language can be scored.

    Raises:
        UnknownName: the name of the file is no language tag, or the file cannot be read.
        CrossliftError: py3langid or icu4py is not installed.
    """
    tag = file.stem
    if not is_known(tag):
        raise UnknownName(f"{file.name}: '{tag}' is not a language tag. Name the file <tag>.toml, as in kk.toml.")
    found, problems = parse_file(tag, file.read_text(encoding="utf-8"), file.name)
    if found is None:
        return problems
    return [*problems, *(f"{file.name}: {problem}" for problem in (*_against_cldr(found), *_answers(found)))]


def _against_cldr(found: Language) -> list[str]:
    written = writing(found.tag)
    if written is None:
        return []
    compared = {
        "script": (found.script, written.script),
        "direction": (found.direction, written.direction),
        "decimal_mark": (found.decimal_mark, written.decimal_mark),
        "group_mark": (_mark(found.group_mark), _mark(written.group_mark)),
    }
    if found.digits != written.digits:  # native digits come with marks of their own
        compared = {name: pair for name, pair in compared.items() if not name.endswith("mark")}
    return [
        f'{name} is "{ours}" and in CLDR "{theirs}". Correct it, or say in the file why it differs.'
        for name, (ours, theirs) in compared.items()
        if ours != theirs
    ]


def _mark(mark: str) -> str:
    return " " if mark in SPACES else mark


def _answers(found: Language) -> list[str]:
    """Problems of answers in the words of the language."""
    problems = []
    number = f"12{found.group_mark}345{found.decimal_mark}5".translate(str.maketrans("0123456789", found.digits))
    if [one.value for one in numbers(number, found)] != [Fraction(24691, 2)]:
        problems.append(f'the number {number} is not read as 12345.5. Check "digits", "decimal_mark", "group_mark".')
    for name in ("step_by_step", "answer_cue", "summarize"):
        text = getattr(found, name)
        if text and not in_language(text, found):
            problems.append(f'"{name}" is not in {found.name}, by its script or its words. Check it.')
    for word, factor in found.scales.items():
        glued = len(word) == 1 and word.isascii()  # 5k
        if [one.value for one in numbers(f"3{'' if glued else ' '}{word}", found)] != [3 * factor]:
            problems.append(f'3 {word} is not read as {3 * factor}. Check "scales".')
    return problems


def describe(one: Coverage) -> dict[str, Any]:
    """The coverage of a language as columns of a table."""
    own = one.language
    return {
        "tag": own.tag,
        "name": own.name,
        "script": own.script or "unknown",
        "direction": own.direction,
        "words": one.words or "none",
        "marks": f"{one.marks} {own.decimal_mark} {own.group_mark}",
        "number words": one.number_words or "none",
        "identified": one.identified,
        "resource": own.resource,
        "similarity": one.similarity or "unknown",
    }


__all__ = ["Coverage", "coverage", "describe", "further_tags", "problems_of_file", "written_tags"]
