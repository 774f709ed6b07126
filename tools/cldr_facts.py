"""Makes src/crosslift/languages/cldr.csv from the locale data of CLDR, as Babel carries them.

    python tools/cldr_facts.py > src/crosslift/languages/cldr.csv

One row per locale of CLDR: English name, ISO 639-3 code, script, direction, and how numbers are written: the ten digits
of the default numbering system with its decimal and group marks. Babel is needed here and in the tests, which compare
the file with it; the program reads the file only (docs/decisions.md says why).
"""

from __future__ import annotations

import csv
import sys

import langcodes
from babel import Locale
from babel.localedata import locale_identifiers
from babel.numbers import get_decimal_symbol, get_group_symbol
from language_facts import INDIVIDUAL

ZERO = {
    "latn": 0x30, "arab": 0x660, "arabext": 0x6F0, "nkoo": 0x7C0, "deva": 0x966, "beng": 0x9E6, "guru": 0xA66,
    "gujr": 0xAE6, "orya": 0xB66, "tamldec": 0xBE6, "telu": 0xC66, "knda": 0xCE6, "mlym": 0xD66, "thai": 0xE50,
    "laoo": 0xED0, "tibt": 0xF20, "mymr": 0x1040, "khmr": 0x17E0, "mong": 0x1810, "olck": 0x1C50, "java": 0xA9D0,
    "mtei": 0xABF0, "rohg": 0x10D30, "cakm": 0x11136, "adlm": 0x1E950, "hmnp": 0x1E140,
}  # fmt: skip
"""Numbering system of CLDR -> its digit zero; the others follow it (CLDR, numberingSystems.xml)."""
LEFT_OUT = ("root", "en_US_POSIX")
"""No languages of people."""
COLUMNS = ("tag", "iso639_3", "name", "script", "direction", "digits", "decimal_mark", "group_mark")


def main() -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = {}  # bs and bs_Latn are one tag; the shorter identifier names it
    for identifier in sorted(locale_identifiers(), key=len):
        if identifier not in LEFT_OUT:
            row = row_of(identifier)
            rows.setdefault(row[0], row)
    writer.writerows(row for _, row in sorted(rows.items()))


def row_of(identifier: str) -> tuple[str, ...]:
    """The row of one locale of Babel, such as "zh_Hant_TW"."""
    locale = Locale.parse(identifier)
    system = locale.default_numbering_system
    tag = langcodes.standardize_tag(identifier.replace("_", "-"))
    language = langcodes.get(tag, normalize=False)
    code = language.to_alpha3()
    return (
        tag,
        INDIVIDUAL.get(code, code),
        str(locale.get_display_name("en")),
        language.script or str(language.maximize().script),
        "rtl" if locale.character_order == "right-to-left" else "ltr",
        "".join(chr(ZERO[system] + digit) for digit in range(10)),
        get_decimal_symbol(locale, numbering_system=system),
        get_group_symbol(locale, numbering_system=system),
    )


if __name__ == "__main__":
    main()
