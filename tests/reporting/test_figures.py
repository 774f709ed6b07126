from dataclasses import replace

import polars as pl
import pytest

from crosslift.reporting.figures import registry as figures
from crosslift.reporting.figures.by_amount import score_by_dose
from crosslift.reporting.figures.transfer_matrix import transfer_heat_map
from crosslift.reporting.html.embed import render_figure


@pytest.mark.parametrize("make", figures.FIGURES, ids=lambda make: make.__name__)
def test_every_figure_is_drawn_from_the_synthetic_study(data, make):
    drawn = render_figure(make(data))
    assert drawn.svg.startswith("<svg") and drawn.spec["datasets"]
    assert "NaN" not in drawn.svg and "undefined" not in drawn.svg


@pytest.mark.parametrize("make", figures.FIGURES, ids=lambda make: make.__name__)
def test_every_figure_says_why_it_is_not_drawn_when_nothing_is_finished(data, make):
    nothing = replace(
        data, scores=data.scores.clear(), estimates=data.estimates.clear(), training=data.training.clear()
    )
    figure = make(nothing)
    assert figure.chart is None and figure.caption.startswith("Not drawn: ")


def test_dose_figure_says_that_the_study_has_no_doses(data):
    without = replace(data, runs=data.runs.with_columns(dose=pl.lit(None, pl.Int64)))
    assert "no family of kind" in score_by_dose(without).caption


def test_dose_curves_begin_at_zero_with_the_languages_that_later_doses_see(data):
    rows = score_by_dose(data).datasets["rows"]
    start = rows.filter(dose=0, group="seen")
    by_hand = data.estimates.filter(
        pl.col("languages").is_in(["es", "ja", "sw"]), mixture="dose-0", estimand="score", metric="accuracy", control=""
    )
    assert start["value"][0] == pytest.approx(100 * by_hand["value"].mean(), abs=0.01) and start["low"][0] is None


def test_heat_map_marks_cells_whose_interval_holds_zero(data):
    rows = pl.concat(transfer_heat_map(data).datasets.values())
    gains = data.estimates.filter(estimand="gain", mixture="cov-7", control="en", languages="es", metric="accuracy")
    cell = rows.filter(mixture="cov-7", control="en", languages="es").row(0, named=True)
    assert cell["clear"] == (gains["low"][0] > 0 or gains["high"][0] < 0) and cell["seen"]
    assert not rows.filter(mixture="cov-7", languages="te")["seen"].any()


def test_heat_map_keeps_cells_without_an_estimate(broken):
    rows = pl.concat(transfer_heat_map(broken).datasets.values())
    assert rows.filter(control="en", languages="sw")["value"].is_null().all()


def test_figures_name_no_colour(data):
    for make in figures.FIGURES:
        assert "#" not in str(make(data).chart.to_dict(validate=False))


@pytest.mark.parametrize("make", figures.FIGURES, ids=lambda make: make.__name__)
def test_every_chart_finds_the_data_that_it_names(data, make):
    def names(part):
        if isinstance(part, dict):
            if isinstance(part.get("data"), dict) and "name" in part["data"]:
                yield part["data"]["name"]
            for value in part.values():
                yield from names(value)
        elif isinstance(part, list):
            for value in part:
                yield from names(value)

    spec = make(data).spec()
    assert set(names(spec | {"datasets": None})) == set(spec["datasets"])
