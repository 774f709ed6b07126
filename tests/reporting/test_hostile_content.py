"""What models and files of others hold is text in the page and in the tables: no markup, no script, no formula."""

from __future__ import annotations

import csv
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.reporting.html.embed import render_figure, script_json
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.reporting.report import publish, render
from crosslift.transfer.answers import Analysis, Answer
from crosslift.untrusted.csv_file import harmless, write_csv

HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & \u202egnp"
FORMULAS = ("=cmd|' /C calc'!A0", "+1+cmd", "-2+3+cmd", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1", '=HYPERLINK("x")')


class Elements(HTMLParser):
    """Counts elements, and attributes that run scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = self.found.get(tag, 0) + 1
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def elements(page: str) -> Elements:
    parsed = Elements()
    parsed.feed(page)
    return parsed


def hostile(entry):
    return replace(entry, asked=HOSTILE, mixture=HOSTILE, stop=HOSTILE)


def places(data):
    """Place -> a report that is hostile there."""
    study, first = data.study, data.samples.row(0, named=True)
    samples = {
        column: data.samples.with_columns(pl.lit(HOSTILE).alias(column)) for column in ("prompt", "text", "answer")
    }
    finding = {"corpus": HOSTILE, "check": HOSTILE, "severity": "error", "language": "en", "item_id": HOSTILE}
    findings = pl.DataFrame([finding | {"reason": HOSTILE}]).select(data.findings.columns).cast(data.findings.schema)
    corpora = {name: {"revision": HOSTILE, "licence": HOSTILE, "fingerprint": HOSTILE} for name in study.corpora}
    models = {name: {"commit": HOSTILE, "content": HOSTILE, "num_parameters": 1} for name in study.models}
    provenance = {
        run: {"train": {"seconds": 1.0, "num_tokens": 1, "precision": HOSTILE}, "environment": {"processor": HOSTILE}}
        for run in data.runs["run"]
    }
    assert first
    return {
        "study name": replace(data, study=replace(study, name=HOSTILE)),
        "question": replace(data, study=replace(study, question=HOSTILE)),
        "hypothesis": replace(data, study=replace(study, hypothesis=HOSTILE)),
        "model path": replace(
            data, study=replace(study, models={k: replace(m, path=HOSTILE) for k, m in study.models.items()})
        ),
        "template": replace(
            data, study=replace(study, models={k: replace(m, template=HOSTILE) for k, m in study.models.items()})
        ),
        "findings": replace(data, findings=findings),
        "lock": replace(data, lock={"corpora": corpora, "models": models}),
        "provenance": replace(data, provenance=provenance),
        "exploration": replace(
            data,
            exploration=tuple(replace(one, asked=HOSTILE, mixture=HOSTILE, stop=HOSTILE) for one in data.exploration),
        ),
        **{f"sampled {column}": replace(data, samples=table) for column, table in samples.items()},
    }


PLACES = ("study name", "question", "hypothesis", "model path", "template", "findings", "lock", "provenance",
          "exploration", "sampled prompt", "sampled text", "sampled answer")  # fmt: skip


@pytest.fixture(scope="module")
def undrawn(data):
    """The figures of the report without their pictures, which take most of the time."""
    return [draw_nothing(one) for one in _figures(data)]


@pytest.fixture(scope="module")
def plain(data, undrawn):
    return elements(render(data, undrawn))


def _figures(data):
    from crosslift.reporting.figures.registry import FIGURES
    from crosslift.reporting.papers.registry import PAPER_FIGURES

    return [make(data) for make in (*FIGURES, *PAPER_FIGURES)]


def draw_nothing(figure):
    return render_figure(replace(figure, chart=None))


@pytest.mark.parametrize("place", PLACES)
def test_the_page_escapes_every_place(data, plain, undrawn, place):
    page = render(places(data)[place], undrawn)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "alert(1)" in page, "the text is not shown at all"
    found = elements(page)
    assert not found.handlers
    for tag in ("script", "img"):
        assert found.found[tag] == plain.found[tag] if tag in plain.found else tag not in found.found
    lines = [line for line in page.splitlines() if "\u202e" in line and "<title>" not in line]
    isolated = ('dir="auto"', "<bdi>", 'id="payload"', "title=", "<b>", "<span>", "<h1>")
    assert all(any(mark in line for mark in isolated) for line in lines)


def test_a_page_of_answers_escapes_its_texts(tmp_path):
    answer = Answer(question=HOSTILE, about=HOSTILE, measure=HOSTILE, value=1.0, note=HOSTILE, runs=(HOSTILE,))
    head = PageHeader(
        eyebrow=HOSTILE, title=HOSTILE, question=HOSTILE, facts=[(HOSTILE, HOSTILE)], files=[("a", HOSTILE)],
        runs_file="runs.parquet",
    )  # fmt: skip
    table = pl.DataFrame({"mixture": [*FORMULAS], "amount": [-1.5] * len(FORMULAS)})
    page = write_page(tmp_path, head, [Analysis(kind="x", answers=[answer], tables={"numbers": table})]).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not elements(page).handlers
    (file,) = (tmp_path / "tables").glob("*.csv")
    with file.open(newline="", encoding="utf-8") as lines:
        assert [row[0] for row in csv.reader(lines)][1:] == [f"'{text}" for text in FORMULAS]


@given(st.text(max_size=40))
def test_json_in_a_page_cannot_end_its_element(text):
    assert "<" not in script_json({"x": text + "</script>"})


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_compute_gets_an_apostrophe(tmp_path, text):
    table = pl.DataFrame({"run": [text, "en+sw", None], "value": [-0.5, 1.0, None]})
    assert harmless(table)["run"].to_list() == [f"'{text}", "en+sw", None]
    assert harmless(table)["value"].to_list() == [-0.5, 1.0, None]
    write_csv(tmp_path / "x.csv", table)
    assert pl.read_csv(tmp_path / "x.csv")["run"].to_list() == [f"'{text}", "en+sw", None]


def test_names_of_columns_are_texts_too():
    assert harmless(pl.DataFrame({"=1": [1], "value": [2]})).columns == ["'=1", "value"]


@pytest.mark.parametrize("text", ["-3.5", "+2", "-1,234.5", "-5 %", "1e-3", "–", "en+sw", "a=b", ""])
def test_numbers_and_names_of_mixtures_stay_as_they_are(text):
    assert harmless(pl.DataFrame({"x": [text]}))["x"].to_list() == [text]


def test_the_tables_of_a_report_are_the_same_bytes_as_before(data, tmp_path):
    from crosslift.reporting.papers.tables import PAPER_TABLES
    from crosslift.reporting.tables.frames import TABLES

    publish(data, tmp_path)
    for make in (*TABLES, *PAPER_TABLES):
        table = make(data)
        if table.columns:
            assert (tmp_path / "tables" / f"{make.__name__}.csv").read_text() == table.write_csv()
