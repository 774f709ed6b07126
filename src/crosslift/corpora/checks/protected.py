"""Check that translation preserved code, placeholders, addresses, LaTeX commands and names of tools.

The content of placeholders `{{...}}` may be translated, but their number must be unchanged. Everything else must be
identical.
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora.findings import Texts, as_findings, found_in, no_findings

SEVERITY = "error"
TITLE = "code, placeholders or addresses were changed"

EXACT = {
    "code": r"`[^`\n]+`",
    "address": r"https?://[^\s<>\"')\]]+|[\w.+-]+@[\w-]+\.[\w.]+",
    "LaTeX": r"\\[a-zA-Z]+",
    "calculation": r"<<[^<>]*>>",
    "field": r"%[sd]\b|(?:^|[^{])\{[a-z_]+\}(?:[^}]|$)",
    "function": r'"name":\s*"[\w.]+"',
}
_PLACEHOLDER = r"\{\{.*?\}\}"


class Check:
    def __init__(self, sample: Texts) -> None:
        pass

    def look(self, texts: Texts) -> pl.DataFrame:
        first = texts.prompts[texts.reference]
        parts = []
        for what, pattern in EXACT.items():
            has = first.str.contains(pattern)
            if not has.any():
                continue
            rows = texts.frame(first=first).filter(has)
            for tag in texts.others:
                both = rows.with_columns(other=texts.prompts[tag].filter(has)).with_columns(
                    lacking=pl.col("first")
                    .str.extract_all(pattern)
                    .list.set_difference(pl.col("other").str.extract_all(pattern))
                )
                lost = both.filter(pl.col("lacking").list.len() > 0)
                said = pl.col("lacking").list.head(3).list.join(" ").str.slice(0, 80)
                parts.append(found_in(lost, tag, pl.format(f"{what} is lost or changed: {{}}", said)))
        counted = first.str.count_matches(_PLACEHOLDER)
        if counted.sum():
            for tag in texts.others:
                both = texts.frame(before=counted, after=texts.prompts[tag].str.count_matches(_PLACEHOLDER))
                wrong = both.filter(pl.col("before") != pl.col("after"))
                parts.append(
                    found_in(wrong, tag, pl.format("{} placeholders, and {} before translation", "after", "before"))
                )
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return no_findings()
