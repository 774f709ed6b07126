"""Schemas of the tables that evaluation writes and statistics read.

`SCORES` is in long format, one row per run x sample x metric. Evaluation and statistics share nothing else, so results
of other programs can be analysed by writing this table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import polars as pl

Status = Literal["scored", "unparsed", "truncated", "wrong_language", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)

MODEL_FAILURES: tuple[Status, ...] = ("unparsed", "truncated", "wrong_language")
"""Failures of the model. They count as the lowest value of the metric, and their share is reported beside it."""
# "error" is a failure of this program: the value is null, and no estimate is made until the sample is evaluated again.

SCORES = pl.Schema(
    {
        "run": pl.String,
        "evaluation": pl.String,
        "task": pl.String,
        "language": pl.String,
        "sample_id": pl.String,  # <item_id>.<language>
        "item_id": pl.String,  # equal in all languages; intervals are clustered by it unless `cluster` is coarser
        "cluster": pl.String,  # dialogue, document ...; equal to item_id where items are independent
        "metric": pl.String,  # the primary metric of an evaluation: see `studies.evaluation.primary_metric`
        "value": pl.Float64,  # within the metric's `scale`; null if and only if status is "error"
        "status": pl.String,
    }
)

RATING = "rating"
"""Metric of a judge's ratings. They keep their own unit, because a ratio of two ratings depends on it."""
RANGES = {RATING: (1.0, 5.0)}
"""Metrics that are no shares, grow with quality and have an end: their lowest and highest value."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Range and direction of a metric."""

    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    unit: str = ""
    """Unit of values that are not shares; empty for shares, which reports show in points of 100."""

    @property
    def is_share(self) -> bool:
        """Whether values are between 0 and 1 and higher is better."""
        return self == Scale()

    @property
    def can_be_primary(self) -> bool:
        """Whether higher is better and values have an end, as claims and the transfer model need."""
        return self.higher_is_better and math.isfinite(self.high - self.low)


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "bits_per_byte": Scale(high=math.inf, higher_is_better=False, unit="bits per byte"),
        **{metric: Scale(low=low, high=high, unit="rating") for metric, (low, high) in RANGES.items()},
    }
)
"""Metric -> scale; all other metrics are shares."""


def scale(metric: str) -> Scale:
    """Range and direction of a metric."""
    return SCALES.get(metric, Scale())


def metric_range(metric: str) -> tuple[float, float]:
    """The lowest and the highest value of a metric."""
    found = scale(metric)
    return found.low, found.high


PREDICTIONS = pl.Schema(
    {
        "sample_id": pl.String,
        "item_id": pl.String,
        "cluster": pl.String,
        "language": pl.String,
        "prompt": pl.String,  # as text with special tokens, for display
        "text": pl.String,
        "finish": pl.String,  # "stop" | "length" | "error"
        "num_prompt_tokens": pl.Int32,
        "num_completion_tokens": pl.Int32,
        "answer": pl.String,  # the gold answer, so that predictions can be scored again without the corpus
    }
)

CONTINUATION = pl.Struct(
    {
        "text": pl.String(),  # without the delimiter behind the context; empty for a whole text, which is the prompt
        "log_probability": pl.Float64(),  # natural logarithm, delimiter included; null if it does not fit
        "unconditional": pl.Float64(),  # the same without the context; null for a whole text
        "is_greedy": pl.Boolean(),  # would greedy decoding have written it?
        "num_tokens": pl.Int32(),
        "num_bytes": pl.Int32(),  # of the text in UTF-8
    }
)
"""One continuation whose likelihood a task asked for."""
LIKELIHOODS = pl.Schema({**PREDICTIONS, "continuations": pl.List(CONTINUATION)})
"""Predictions of tasks by likelihood; `text` is the most probable continuation."""
PREDICTION_TABLES = (PREDICTIONS, LIKELIHOODS)
"""What a table of predictions may look like."""

RUNS = pl.Schema(
    {
        "run": pl.String(),
        "model": pl.String(),
        "mixture": pl.String(),  # "base" for the base model without fine-tuning
        "family": pl.String(),  # mixture family, or "" for explicit mixtures
        "setting": pl.String(),  # tasks trained on, joined by "+": "math", "api_calling+math"; "" for the base model
        "seed": pl.Int64(),
        "num_parameters": pl.Int64(),  # null if unknown before the model is loaded
        "languages": pl.List(
            pl.String()
        ),  # languages trained on, in the order of the mixture; empty for the base model
        "num_items": pl.List(pl.Int64()),  # per language, summed over tasks, aligned with `languages`
        "num_tokens": pl.List(pl.Int64()),  # the same in tokens of the run's own tokenizer, for one epoch
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
        "value": pl.Float64,  # mean over items, in the unit of the source
        "num_items": pl.Int64,  # items that the mean covers; null if not reported
        "standard_error": pl.Float64,  # of the mean over items, as published; null if not reported
    }
)
"""Imported results without item-level scores: one row per run x evaluation x metric x language."""
