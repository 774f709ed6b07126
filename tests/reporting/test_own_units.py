"""Bits per byte keep their unit: intervals beyond 1, a table of their own, and no claim."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from crosslift.reporting.tables import units
from crosslift.transfer.estimates.estimate import estimate


@pytest.fixture(scope="module")
def in_bits(data):
    """Results of one model in bits per byte, between 2 and 4."""
    runs = data.runs.filter(model="pocket-m")
    values = 3 - pl.col("value") + pl.col("item_id").hash(0) % 7 / 10
    scores = data.scores.filter(metric="accuracy").join(runs.select("run"), on="run", how="semi")
    scores = scores.with_columns(metric=pl.lit("bits_per_byte"), value=values)
    found = estimate(
        scores, runs, data.study.contrasts[:1], num_resamples=20, primary_metrics={"math": "byte_probability"}
    )
    return replace(data, runs=runs, scores=scores, estimates=found)


def test_means_and_intervals_are_not_cut_at_one(in_bits):
    rows = units.own_units(in_bits)
    assert set(rows["unit"]) == {"bits per byte"} and set(rows["better"]) == {"lower"}
    assert rows["low"].min() > 1
    assert (rows["low"] <= rows["value"]).all() and (rows["value"] <= rows["high"]).all()
    assert not in_bits.estimates["primary"].any()


def test_the_page_has_one_table_per_evaluation_and_none_without_such_metrics(data, in_bits):
    assert units.grids(data) == [] and not units.own_units(data).columns
    (found,) = units.grids(in_bits)
    assert found.title == "math, bits per byte (lower is better)"
    assert len(found.rows) == in_bits.runs.select("model", "mixture").unique().height
