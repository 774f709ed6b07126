"""Check for texts of atypical length, which may be truncated, doubled or misaligned.

The logarithm of the ratio of bytes to those of the reference language is summarised on the first items by its median
and median absolute deviation. Bytes are used because they grow with the number of tokens in every script. A row is
reported if it deviates by more than six deviations and by a factor of at least two.

Rows with a text of more than 50,000 characters (`findings.MAX_CHECKED`) are reported too, because all checks process
only the beginning of such texts.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from crosslift.corpora.findings import MAX_CHECKED, Texts, as_findings, found_in, no_findings

SEVERITY = "warning"
TITLE = "much longer or shorter than usual"
NUM_DEVIATIONS = 6
MIN_FACTOR = 2.0
_TO_SD = 1.4826
"""Ratio of standard deviation to median absolute deviation for a normal distribution."""


class Check:
    def __init__(self, sample: Texts) -> None:
        self._usual: dict[str, tuple[float, float]] = {}
        for tag in sample.others:
            ratios = _log_ratio(sample, tag).to_numpy()
            middle = float(np.median(ratios)) if len(ratios) else 0.0
            spread = float(np.median(np.abs(ratios - middle))) * _TO_SD if len(ratios) else 0.0
            self._usual[tag] = (middle, max(NUM_DEVIATIONS * spread, np.log(MIN_FACTOR)))

    def look(self, texts: Texts) -> pl.DataFrame:
        said = f"row of {{}} characters: checks look at the first {MAX_CHECKED:,} of each text"
        parts = [texts.long.select("item_id", "language", reason=pl.format(said, "characters"))]
        for tag, (middle, limit) in self._usual.items():
            off = _log_ratio(texts, tag) - middle
            rows = texts.frame(factor=off.exp().round(1)).filter(off.abs() > limit)
            parts.append(
                found_in(rows, tag, pl.format("{} times as long as texts in this language are for an item", "factor"))
            )
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return no_findings()


def _log_ratio(texts: Texts, tag: str) -> pl.Series:
    own, reference = (texts.sizes[name].cast(pl.Float64) for name in (tag, texts.reference))
    return ((own + 1) / (reference + 1)).log()
