"""What the languages show: agreement with CLDR, codes of data sets, number words, false friends.

    python benchmarks/languages.py cldr              every locale of CLDR, against Babel and against ICU
    python benchmarks/languages.py codes             every code of five data sets (languages.json) resolves
    python benchmarks/languages.py words [NTREX]     0 to 10,000 and 200 larger numbers, read back by value; with a
                                                     folder of NTREX, 10,000 sentences read in languages they are not in
    python benchmarks/languages.py num2words         spellings of num2words, an independent library, read by value

Needs babel and num2words (extra `test`) and icu4py (extra `train`). `--only` takes some languages. With all languages,
`words` takes three to five minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from crosslift.errors import CrossliftError
from crosslift.languages.cldr import locales
from crosslift.languages.identify import in_language, is_likely
from crosslift.languages.language import Language, is_known, language, tags
from crosslift.languages.numbers import number_words
from crosslift.languages.numbers.notation import SPACES, fold
from crosslift.languages.numbers.number_words import has_number_words, parse_number_words, spellings
from crosslift.languages.numbers.spelled import numeral_at_end, numeral_at_start
from crosslift.languages.tags import resolve

VARIANTS = ("CH", "BE", "AF", "PT", "Latn", "Cyrl", "Hant", "Hans", "Adlm")
"""Regions and scripts that ICU spells differently from their language."""
NUM_LARGE = 200
LARGEST = 10**12
"""Khmer, Sundanese and Kurdish rules of ICU end there, and write digits."""
NUM_SENTENCES = 10_000


def cldr(options: argparse.Namespace) -> None:
    """Compare names, scripts, directions, digits and marks of all locales with Babel, and digits and marks with ICU."""
    from babel import Locale
    from babel.localedata import locale_identifiers
    from babel.numbers import get_decimal_symbol, get_group_symbol
    from icu4py.messageformat import MessageFormat

    counts = dict.fromkeys(
        ("locales", "languages", "name", "direction", "decimal mark", "group mark", "ICU agrees", "ICU has no data"), 0
    )
    bases, differing, icu = set(), [], []
    for identifier in locale_identifiers():
        if identifier in ("root", "en_US_POSIX"):
            continue
        locale = Locale.parse(identifier)
        system = locale.default_numbering_system
        tag = resolve_locale(identifier)
        found = locales()[tag]
        bases.add(identifier.split("_")[0])
        counts["locales"] += 1
        rtl = locale.character_order == "right-to-left"
        same = {
            "name": found.name == str(locale.get_display_name("en")) or len(tag) != len(identifier),
            "direction": (found.direction == "rtl") == rtl,
            "decimal mark": found.decimal_mark == get_decimal_symbol(locale, numbering_system=system),
            "group mark": found.group_mark == get_group_symbol(locale, numbering_system=system),
        }
        for name, equal in same.items():
            counts[name] += equal
            if not equal:
                differing.append(f"{tag} ({name})")
        written = MessageFormat("{n, number}", tag).format({"n": 12345678.5})
        counts["ICU has no data"] += written == "12345678.5"
        expected = {
            f"12{g}345{g}678{found.decimal_mark}5" for g in (found.group_mark, found.group_mark.replace("’", "'"))
        }
        expected |= {f"1{g}23{g}45{g}678{found.decimal_mark}5" for g in (found.group_mark,)}
        digits = str.maketrans("0123456789", found.digits)
        spaces = str.maketrans(dict.fromkeys(SPACES, " "))
        if written.translate(spaces) in {one.translate(digits).translate(spaces) for one in expected}:
            counts["ICU agrees"] += 1
        elif written != "12345678.5":
            icu.append(f"{tag}: {written}")
    counts["languages"] = len(bases)
    print("| of CLDR | number |\n|---|---:|")
    for name, count in counts.items():
        print(f"| {name} | {count:,} |")
    print("different:", ", ".join(differing) or "none")
    print(f"ICU writes otherwise ({len(icu)}):", "; ".join(icu[:40]))
    curated = [
        f"{tag} ({name})"
        for tag in tags()
        if tag in locales()
        for name in ("script", "direction", "digits", "decimal_mark", "group_mark")
        if plain(getattr(language(tag), name)) != plain(getattr(locales()[tag], name))
    ]
    print("files that differ from CLDR:", ", ".join(curated) or "none")


def resolve_locale(identifier: str) -> str:
    import langcodes

    return langcodes.standardize_tag(identifier.replace("_", "-"))


def plain(value: str) -> str:
    return " " if value in SPACES else value


def codes(options: argparse.Namespace) -> None:
    """Resolve every code of the data sets."""
    sets = json.loads((Path(__file__).parent / "languages.json").read_text(encoding="utf-8"))
    print("| data set | codes | resolved | languages | with a file | marks of CLDR | codes of one language |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, given in sets.items():
        found: dict[str, list[str]] = {}
        for code in given.split():
            try:
                found.setdefault(language(resolve(code)).tag, []).append(code)
            except CrossliftError as error:
                print(f"{name}: {error}")
        together = [f"{tag}: {' '.join(many)}" for tag, many in found.items() if len(many) > 1]
        marks = sum(tag.split("-")[0] in {known.split("-")[0] for known in locales()} for tag in found)
        print(
            f"| {name} | {len(given.split())} | {sum(map(len, found.values()))} | {len(found)} "
            f"| {sum(bool(language(tag).answer_cue) for tag in found)} | {marks} | {'; '.join(together)} |"
        )


def languages_with_words(only: str | None) -> list[str]:
    """One tag for each set of spellings that ICU has."""
    probes = (1, 2, 7, 12, 21, 80, 100, 1000, 1234)
    distinct: dict[tuple[str, ...], str] = {}
    for tag in sorted({*locales(), *tags()}, key=lambda one: (one.count("-"), one)):
        variant = tag.count("-") > 1 or tag.partition("-")[2] not in ("", *VARIANTS)
        if (tag in only.split(",") if only else not variant) and has_number_words(language(tag)):
            distinct.setdefault(tuple(spellings(value, tag)[0] for value in probes), tag)
    return sorted(distinct.values())


def words(options: argparse.Namespace) -> None:
    """Spell numbers in a language and read them back, each number as usual and every tenth in all styles; then, with a
    folder, read real sentences as answers in every language with number words."""
    draw = random.Random(15)
    large = [draw.randrange(10**4, 10 ** (5 + place % 8)) for place in range(NUM_LARGE)]
    sentences = real_sentences(Path(options.folder)) if options.folder else []
    bare = [(own, text) for own, text in sentences if not any(map(str.isdigit, text))]
    numbers, styles, readings = 0, 0, 0
    notes: dict[str, list[str]] = {"not read back": [], "another number": [], "false": [], "own": []}
    asked = languages_with_words(options.only)
    for tag in asked:
        missed = []
        for value in (*range(10_001), *large):
            usual, *further = spellings(value, tag)
            read = [parse_number_words(one, tag) for one in (usual, *(further if value % 10 == 0 else ()))]
            numbers, styles = numbers + 1, styles + len(read)
            if read[0] != value:
                missed.append(f"{value:,} ({usual})")
            notes["another number"] += [f"{tag}: {value} as {one}" for one in read if one not in (None, value)]
        if missed:
            notes["not read back"].append(f"{tag}: {len(missed)}, such as {missed[0]}")
        tongue = language(tag)
        for own, text in bare:
            readings += 1
            for read_here in (at_end, at_start):
                value = read_here(text, tongue)
                if value is None:
                    continue
                if own == tag:
                    notes["own"].append(f"{tag} {value}: ...{text[-40:]}")
                elif read_here(text, language(own)) != value and (is_likely if read_here is at_end else in_language)(
                    text, tongue
                ):
                    notes["false"].append(f"{tag} {value} in {own}: {text[:30]}...{text[-30:]}")
        print(f"{tag} {10_001 + NUM_LARGE - len(missed)}", end="  ", flush=True)
        number_words.forget()
    print(f"\n{len(asked)} languages, {numbers:,} numbers in {styles:,} spellings")
    print("read as another number:", notes["another number"] or "none")
    print("not read back:", "; ".join(notes["not read back"]) or "none")
    if sentences:
        print(f"{len(sentences):,} sentences, {len(bare):,} without digits; {readings:,} readings at start and end")
        print(f"false friends: {len(notes['false'])}", *notes["false"], sep="\n  ")
        print(f"numbers of the sentence's own language: {len(notes['own'])}", *notes["own"][:60], sep="\n  ")


def at_end(text: str, tongue: Language) -> Fraction | None:
    return numeral_at_end(text, tongue)


def at_start(text: str, tongue: Language) -> Fraction | None:
    found = numeral_at_start(text, tongue)
    return None if found is None else found[0]


def num2words(options: argparse.Namespace) -> None:
    """Read the spellings of num2words."""
    from num2words import CONVERTER_CLASSES
    from num2words import num2words as spell

    print("| language | read by value | not read | read as another number | example of one not read |")
    print("|---|---:|---:|---:|---|")
    for code in sorted(CONVERTER_CLASSES):
        tag = {"no": "nb", "kz": "kk"}.get(code, code).replace("_", "-")
        if (
            "-" in tag
            or not is_known(tag)
            or (options.only and tag not in options.only.split(","))
            or not has_number_words(language(tag))
        ):
            continue
        right, unread, wrong = 0, [], 0
        for value in (*range(1000), *range(1000, 10_001, 37)):
            try:
                spelled = spell(value, lang=code)
            except Exception:  # Amharic has no rules for some numbers, and fails in several ways
                continue
            read = parse_number_words(spelled, tag)
            right, wrong = right + (read == value), wrong + (read not in (None, value))
            unread += [f"{value} ({spelled})"] if read is None else []
        print(f"| {tag} | {right:,} | {len(unread):,} | {wrong} | {unread[0] if unread else ''} |", flush=True)


def real_sentences(folder: Path) -> list[tuple[str, str]]:
    """NUM_SENTENCES sentences of NTREX, as many from each language."""
    files = sorted(folder.glob("newstest2019-*.txt"))
    each = NUM_SENTENCES // len(files)
    return [
        (resolve(file.name.split(".")[1]), fold(line.strip()))
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()[:each]
    ]


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "cldr": cldr, "codes": codes, "words": words, "num2words": num2words,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("folder", nargs="?", help="folder of NTREX, for words")
    parser.add_argument("--only", help="tags of some languages, with commas")
    options = parser.parse_args()
    COMMANDS[options.what](options)


if __name__ == "__main__":
    main()
