"""The table that evaluation writes and statistics read: tidy, one row per run x sample x metric.

It is the only thing the two sides share, so results made elsewhere become usable by writing this table.
"""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

Status = Literal["scored", "unparsed", "truncated", "wrong_language", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)

MODEL_FAILURES: tuple[Status, ...] = ("unparsed", "truncated", "wrong_language")
"""What the model did. Counts as 0 in the primary number; its share stands beside it."""
# "error" is what our program did: the value is null, it never counts, and it blocks the estimate until it is run again.

SCORES = pl.Schema(
    {
        "run": pl.String,
        "evaluation": pl.String,
        "task": pl.String,
        "language": pl.String,
        "sample_id": pl.String,  # <item_id>.<language>
        "item_id": pl.String,  # equal in all languages: what intervals are clustered by, unless `cluster` is coarser
        "cluster": pl.String,  # dialogue, document ...; equal to item_id where items are independent
        "metric": pl.String,  # the primary metric of a task is the first that the task names
        "value": pl.Float64,  # in [0, 1], higher is better; null if and only if status is "error"
        "status": pl.String,
    }
)

PREDICTIONS = pl.Schema(
    {
        "sample_id": pl.String,
        "item_id": pl.String,
        "cluster": pl.String,
        "language": pl.String,
        "prompt": pl.String,  # as text, with special tokens, for people to read
        "text": pl.String,
        "finish": pl.String,  # "stop" | "length" | "error"
        "num_prompt_tokens": pl.Int32,
        "num_completion_tokens": pl.Int32,
        "answer": pl.String,  # the gold answer, so that a better parser re-scores without the corpus
    }
)

RUNS = pl.Schema(
    {
        "run": pl.String(),
        "model": pl.String(),
        "mixture": pl.String(),  # "base" for the untouched base model
        "family": pl.String(),  # mixture family, or "" for explicit ones
        "setting": pl.String(),  # the tasks trained on, joined by "+": "math", "api_calling+math"; "" for base
        "seed": pl.Int64(),
        "num_parameters": pl.Int64(),  # null when unknown before loading
        "languages": pl.List(pl.String()),  # trained on, in the mixture's order; empty for base
        "num_items": pl.List(pl.Int64()),  # per language, all tasks together, aligned with `languages`
        "num_tokens": pl.List(pl.Int64()),  # likewise, under the run's own tokenizer; one epoch
        "dose": pl.Int64(),  # items per language other than the fixed one, for dose families; else null
    }
)

CELLS = pl.Schema(
    {
        "run": pl.String,
        "evaluation": pl.String,
        "task": pl.String,
        "metric": pl.String,
        "language": pl.String,
        "value": pl.Float64,  # a mean over items, in the unit of the source
        "num_items": pl.Int64,  # behind the mean; null where nobody says
        "standard_error": pl.Float64,  # of the mean over items, as published; null where nobody says
    }
)
"""What is known of results that were made elsewhere when their items are not: one row per run x evaluation x metric x
language."""
