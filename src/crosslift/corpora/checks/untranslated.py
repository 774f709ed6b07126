"""Check for untranslated rows, whose letters and digits equal those of the reference language.

Case, spaces and punctuation are ignored. Prompts of fewer than four words and completions of fewer than eight are
skipped, because they may be identical in both languages (names, quotations, loan words). If most completions of a
language equal those of the reference language, this is reported once instead of per row.
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora.findings import Texts, as_findings, found_in, prose

SEVERITY = "error"
TITLE = "not translated"
MIN_WORDS = {"prompt": 4, "completion": 8}
MOST = 0.5


class Check:
    def __init__(self, sample: Texts) -> None:
        own = sample.completions[sample.reference]
        worded = prose(own).str.count_matches(r"\p{L}+") >= MIN_WORDS["completion"]
        same = {
            tag: (_letters(own) == _letters(sample.completions[tag])).filter(worded).mean() for tag in sample.others
        }
        self._usual = {tag for tag, share in same.items() if isinstance(share, float) and share > MOST}

    def look(self, texts: Texts) -> pl.DataFrame:
        parts = []
        for fields, what in ((texts.prompts, "prompt"), (texts.completions, "completion")):
            letters = _letters(fields[texts.reference])
            long = prose(fields[texts.reference]).str.count_matches(r"\p{L}+") >= MIN_WORDS[what]
            for tag in texts.others:
                if what == "completion" and tag in self._usual:
                    continue
                rows = texts.frame().filter(long & (letters == _letters(fields[tag])))
                parts.append(found_in(rows, tag, f"the {what} is that of {texts.reference}"))
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return as_findings(
            [
                found_in(pl.DataFrame({"item_id": [""]}), tag, "most completions are those of the reference language")
                for tag in sorted(self._usual)
            ]
        )


def _letters(series: pl.Series) -> pl.Series:
    return series.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", "")
