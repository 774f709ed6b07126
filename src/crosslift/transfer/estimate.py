"""One statement about cross-lingual transfer, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

ESTIMATES = pl.Schema(
    {
        "estimand": pl.String,  # of estimands.py: "score", "gain", "relative_to_english", "seen_unseen_gap" ...
        "contrast": pl.String,  # readable: "pocket-m: cov-en-sw - en"
        "declared": pl.String,  # name of the declared contrast; "" where the estimand has no control
        "primary": pl.Boolean,  # is this the one number that its declared contrast was declared for?
        "model": pl.String,
        "mixture": pl.String,  # or "mean of 5" for the mean over the treatments of a contrast
        "control": pl.String,  # mixture compared with; "" where the estimand has none
        "setting": pl.String,
        "evaluation": pl.String,
        "task": pl.String,
        "metric": pl.String,
        "languages": pl.String,  # a tag, or a named group: "all", "non-English", "seen", "unseen", "high", "low"
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "level": pl.Float64,
        "num_items": pl.Int64,
        "num_clusters": pl.Int64,
        "num_seeds": pl.Int64,  # the fewest of the conditions compared; untrained base models do not count
        "p": pl.Float64,
        "p_adjusted": pl.Float64,
        "method": pl.String,
        "note": pl.String,  # why null where value is null: "unseen: no such language", "3 errors: run again"
    }
)


class Contrast(Protocol):
    """A declared comparison: treatments (mixtures) against one control (a mixture, or "base").

    It makes one statement per model and evaluation: the mean over its treatments minus the control. Who wants separate
    statements declares separate contrasts.
    """

    @property
    def name(self) -> str: ...
    @property
    def control(self) -> str: ...
    @property
    def treatments(self) -> Sequence[str]: ...
    @property
    def primary(self) -> bool: ...
