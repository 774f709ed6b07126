"""One statement about cross-lingual transfer, with its uncertainty."""

from __future__ import annotations

import polars as pl

ESTIMATES = pl.Schema(
    {
        "estimand": pl.String,  # function in estimands.py: "score", "gain", "relative_to_english", "seen_unseen_gap" ...
        "contrast": pl.String,  # readable: "pocket-m: cov-en-sw - en"
        "model": pl.String,
        "mixture": pl.String,
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
        "num_seeds": pl.Int64,
        "p": pl.Float64,
        "p_adjusted": pl.Float64,
        "method": pl.String,
        "note": pl.String,  # why null where value is null: "unseen: no such language", "3 errors: run again"
    }
)
