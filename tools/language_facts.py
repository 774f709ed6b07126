"""Makes src/crosslift/languages/facts.csv from public descriptions of languages.

    python tools/language_facts.py ../shared/data/language_metadata > src/crosslift/languages/facts.csv

URIEL (P. Littell et al. 2017, CC BY-SA 4.0): syntax features as predicted there, rounded to yes and no, one bit each in
the order of the release; Glottolog lineage. LinguaMeta (S. Ritchie et al. 2024, CC BY-SA 4.0): script, speakers.
Resource classes of P. Joshi et al. 2020. Languages: all that crosslift knows and those of the published results.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import langcodes
import numpy as np

from crosslift.languages.language import tags

INDIVIDUAL = {
    "swa": "swh", "ara": "arb", "zho": "cmn", "msa": "zsm", "fas": "pes", "est": "ekk", "lav": "lvs", "nep": "npi",
    "aze": "azj", "uzb": "uzn", "yid": "ydd", "mon": "khk", "mlg": "plt", "pus": "pbt", "kur": "kmr", "sqi": "als",
    "orm": "gaz", "nor": "nob", "que": "quz", "ori": "ory", "grn": "gug", "iku": "ike", "hbs": "hrv",
}  # fmt: skip
"""URIEL describes languages, not macrolanguages."""
FURTHER = (
    "af am as az be ca ceb cy eo et eu fil fy ga gd gl gu hr ht hy ig is jv kk km kn ku ky la lb ln lo lv mg mk ml mn "
    "mt my no ny or pa ps qu rn rw sd si sk sl sm sn so sq sr st su tg tk tl tn ts tt ug uz wo xh yi zu"
)


VARIANTS = ("zh-Hant",)
"""Scripts of a language with a file of their own: their facts are those of the language."""


def main() -> None:
    folder = Path(sys.argv[1])
    features = np.load(folder / "lang2vec" / "feature_predictions.npz")
    families = np.load(folder / "lang2vec" / "family_features.npz")
    row_of = {code: row for row, code in enumerate(features["langs"])}
    family_row = {code: row for row, code in enumerate(families["langs"])}
    syntax = np.array([name.startswith("S_") for name in features["feats"]])
    groups, member = np.array([name[2:] for name in families["feats"]]), families["data"][:, :, 0] > 0
    joshi = {row["iso639_3"]: row for row in table(folder / "resource_classes" / "joshi2020_classes.tsv", "iso639_3")}
    meta = {row["bcp_47_code"]: row for row in table(folder / "linguameta" / "linguameta.tsv", "bcp_47_code")}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["tag", "iso639_3", "name", "script", "resource_class", "speakers", "lineage", "syntax"])
    for tag in sorted(({*tags()} - {*VARIANTS}) | {*FURTHER.split()}):
        language = langcodes.get(tag)
        general = language.to_alpha3()
        code = INDIVIDUAL.get(general, general)
        if code not in row_of:
            sys.exit(f"{tag}: URIEL does not know {code}. Add the individual language to INDIVIDUAL.")
        bits = np.round(features["data"][row_of[code]][syntax, 0]).astype(int)
        lineage = lineage_of(groups, member, family_row, code, general)
        facts = meta.get(tag, {})
        resource = (joshi.get(general) or joshi.get(code) or {}).get("class", "0")
        writer.writerow([
            tag, code, facts.get("english_name", tag), language.maximize().script, resource,
            facts.get("estimated_number_of_speakers", ""), "|".join(lineage), "".join(map(str, bits)),
        ])  # fmt: skip


def lineage_of(groups: np.ndarray, member: np.ndarray, row_of: Mapping[str, int], code: str, general: str) -> list[str]:
    """The genealogical groups of a language, sorted; those of its macrolanguage if it has none.

    Args:
        groups: names of all groups, (groups,).
        member: whether each language belongs to each group, (languages, groups).
        row_of: ISO 639-3 code -> row of `member`.
        code: the individual language.
        general: its macrolanguage, or the same code.
    """
    for one in (code, general):
        if one in row_of and member[row_of[one]].any():
            return sorted(groups[member[row_of[one]]].tolist())
    return []


def table(path: Path, key: str) -> list[dict[str, str]]:
    """The rows of a table with tabs whose header has the column `key`; lines before the header are notes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if key in line.split("\t"))
    return list(csv.DictReader(lines[start:], delimiter="\t"))


if __name__ == "__main__":
    main()
