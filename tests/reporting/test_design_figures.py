"""Figures of two designs are drawn from the factors of their mixtures, and not missed in other studies."""

from dataclasses import replace

import pytest

from crosslift.reporting import report
from crosslift.reporting.figures.designs import score_by_number_and_amount, score_by_origin
from crosslift.reporting.html.embed import render_figure

NUMBER = {"en": ("1", "500"), "en-sw": ("2", "250"), "cov-4": ("4", "125"), "cov-7": ("7", "500")}
ORIGIN = {"en": "0 %", "en-sw": "50 %", "cov-4": "100 %"}


def with_factors(data, factors):
    mixtures = {name: replace(one, factors=factors.get(name, {})) for name, one in data.study.mixtures.items()}
    return replace(data, study=replace(data.study, mixtures=mixtures))


@pytest.mark.parametrize(
    ("make", "factors", "series"),
    [
        (
            score_by_number_and_amount,
            {name: {"num_languages": number, "amount": amount} for name, (number, amount) in NUMBER.items()},
            {"125", "250", "500"},
        ),
        (score_by_origin, {name: {"native": share} for name, share in ORIGIN.items()}, {"English", "seen", "unseen"}),
    ],
    ids=["number and amount", "origin"],
)
def test_a_design_is_drawn_from_its_factors(data, make, factors, series):
    figure = make(with_factors(data, factors))
    rows = figure.datasets["rows"]
    assert set(rows["series"]) == series and set(rows["mixture"]) == factors.keys()
    assert render_figure(figure).svg.startswith("<svg")
    assert "#" not in str(figure.chart.to_dict(validate=False))
    assert make(data).chart is None and make(data).caption.startswith("Not drawn: ")


def test_the_page_shows_them_only_where_there_is_such_a_family(data):
    factors = {name: {"native": share} for name, share in ORIGIN.items()}

    def page(found):
        makes = (*report.FIGURES, *report.PAPER_FIGURES, *report.DESIGN_FIGURES)
        drawn = [
            render_figure(make(found))
            if make is score_by_origin
            else report.RenderedFigure(figure=replace(make(found), chart=None))
            for make in makes
        ]
        return report.render(found, drawn)

    assert 'id="origin"' in page(with_factors(data, factors))
    assert 'id="origin"' not in page(data) and "Native against translated" not in page(data)
