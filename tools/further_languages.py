"""Makes src/crosslift/languages/further_languages.csv.xz, the facts of the languages that facts.csv does not hold.

    python tools/further_languages.py ../shared/data/language_metadata src/crosslift/languages/further_languages.csv.xz

Sources and licence are those of `language_facts.py`. The table holds every language of LinguaMeta, which follows
Glottolog, and every language that CLDR has a name or a locale for. facts.csv stays as it is: the usual agreement of
syntax, against which similarity is measured, is the mean over its languages.
"""

from __future__ import annotations

import csv
import io
import lzma
import sys
from collections.abc import Mapping
from pathlib import Path

import langcodes
import numpy as np
from babel import Locale
from babel.localedata import locale_identifiers
from language_facts import INDIVIDUAL, lineage_of, table

from crosslift.languages.similarity import known

COLUMNS = ("tag", "iso639_3", "name", "script", "resource_class", "speakers", "lineage", "syntax")
MACRO = {individual: general for general, individual in INDIVIDUAL.items()}
NO_LANGUAGES = ("mis", "mul", "und", "zxx", "root")


def main() -> None:
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    features = np.load(folder / "lang2vec" / "feature_predictions.npz")
    families = np.load(folder / "lang2vec" / "family_features.npz")
    row_of = {code: row for row, code in enumerate(features["langs"])}
    family_row = {code: row for row, code in enumerate(families["langs"])}
    lineages = families["data"][:, :, 0] > 0
    groups = np.array([name[2:] for name in families["feats"]])
    syntax = np.round(features["data"][:, [name.startswith("S_") for name in features["feats"]], 0]).astype(int)
    joshi = {
        row["iso639_3"]: row["class"]
        for row in table(folder / "resource_classes" / "joshi2020_classes.tsv", "iso639_3")
    }
    meta = {
        langcodes.standardize_tag(row["bcp_47_code"]): row
        for row in table(folder / "linguameta" / "linguameta.tsv", "bcp_47_code")
    }
    names = names_of_cldr()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for tag in sorted({*meta, *names} - known().keys()):
        language = langcodes.get(tag)
        general = language.to_alpha3()
        code = INDIVIDUAL.get(general, general)
        facts = meta.get(tag, {})
        bits = "".join(map(str, syntax[row_of[code]])) if code in row_of else ""
        writer.writerow([
            tag, code, facts.get("english_name") or names[tag], script_of(tag, facts),
            joshi.get(general) or joshi.get(code) or "", facts.get("estimated_number_of_speakers", ""),
            "|".join(lineage_of(groups, lineages, family_row, code, MACRO.get(code, general))),
            f"{int(bits, 2):026x}" if bits else "",
        ])  # fmt: skip
    target.write_bytes(lzma.compress(text.getvalue().encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{text.getvalue().count(chr(10)) - 1} languages, {target.stat().st_size} bytes")


def names_of_cldr() -> dict[str, str]:
    """Tag -> English name of every language that CLDR names or has a locale for, scripts and regions left out."""
    english = Locale.parse("en").languages
    codes = {code.split("_")[0] for code in (*english, *locale_identifiers())} - set(NO_LANGUAGES)
    found = {}
    for code in codes:
        tag = langcodes.standardize_tag(code)
        if "-" not in tag:
            found[tag] = str(english.get(code) or english.get(tag) or Locale.parse(code).get_display_name("en"))
    return found


def script_of(tag: str, facts: Mapping[str, str]) -> str:
    """CLDR's likely script if LinguaMeta agrees or is silent, else LinguaMeta's first; "" if neither knows one."""
    written = [script for script in facts.get("writing_systems", "").replace(" ", "").split(",") if script]
    likely = langcodes.get(tag).maximize()
    guessed = likely.territory in ("US", None, "ZZ") and likely.script == "Latn"  # langcodes' answer for unknown ones
    script = "" if guessed else str(likely.script or "")
    if script and (script in written or not written):
        return script
    return written[0] if written else script


if __name__ == "__main__":
    main()
