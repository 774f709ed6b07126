import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from synthetic_study import HOSTILE

from crosslift.errors import StoreError
from crosslift.reporting import report
from crosslift.reporting.data import MAX_SAMPLED_CELLS, SAMPLES, collect
from crosslift.scores import PREDICTIONS


@pytest.fixture(scope="module")
def page(data, tmp_path_factory):
    return report.publish(data, tmp_path_factory.mktemp("report"))


class Tags(HTMLParser):
    """Opened minus closed, and every address."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "img", "br", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_and_needs_no_network(page):
    parser = Tags()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.open == []
    for address in parser.addresses:
        assert re.match(r"#|data:image/svg\+xml|figures/|tables/|estimates\.parquet", address), address
        if not address.startswith(("#", "data:")):
            assert (page.parent / address).is_file(), address


def test_text_of_models_is_escaped_everywhere(page):
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text and "alert('x')" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text


def test_answers_carry_their_language_and_direction(page):
    text = page.read_text(encoding="utf-8")
    assert '<pre class="text" dir="auto" lang="ar">' in text


def test_libraries_are_in_the_page_once(page):
    assert page.read_text(encoding="utf-8").count("window.vegaEmbed=") == 1


def test_all_files_are_there_and_the_page_is_small(page):
    assert page.stat().st_size < 3_000_000
    assert pl.read_parquet(page.parent / "estimates.parquet").height > 100
    figures = {path.name for path in (page.parent / "figures").iterdir()}
    assert {f"transfer.{kind}" for kind in ("svg", "png")} <= figures and len(figures) == 26
    assert len(list((page.parent / "tables").glob("*.csv"))) == 19


def test_the_papers_readings_stand_beside_ours_where_the_study_has_their_form(page):
    text = page.read_text(encoding="utf-8")
    assert "Statistics of the papers" in text
    for words in ("Bilingual against English-only (P1, Table 2)", "The papers&#39; findings, tested on this study"):
        assert words in text
    assert "Replicates: standard deviation between training seeds" not in text  # one seed


def test_report_made_twice_has_the_same_bytes(data, page, tmp_path):
    again = report.publish(data, tmp_path)
    for path in sorted(page.parent.rglob("*.*")):
        assert path.read_bytes() == (again.parent / path.relative_to(page.parent)).read_bytes(), path.name


def test_study_name_cannot_break_out_of_the_page(data):
    named = replace(data, study=replace(data.study, name="</script><script>alert(1)</script>"))
    undrawn = [report.RenderedFigure(figure=replace(make(named), chart=None)) for make in report.FIGURES]
    assert "<script>alert(1)" not in report.render(named, undrawn)


def test_page_of_a_study_in_which_nothing_is_finished_says_so(data, tmp_path):
    nothing = replace(
        data,
        scores=data.scores.clear(),
        estimates=data.estimates.clear(),
        training=data.training.clear(),
        samples=pl.DataFrame(schema=SAMPLES),
        provenance={},
    )
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "transfer.svg").write_text("drawn by an earlier report")
    text = report.publish(nothing, tmp_path).read_text(encoding="utf-8")
    assert not list((tmp_path / "figures").iterdir())
    assert "8 of 8 runs have no scores yet" in text and "Not drawn" in text


class FakeStore:
    """What `collect` asks a store for, from the synthetic study."""

    def __init__(self, data, untrained=()):
        self.data, self.untrained = data, untrained
        self.folder = Path("a folder without a journal")

    def runs(self):
        return self.data.runs

    def scores(self):
        return self.data.scores

    def manifests(self):
        return self.data.manifests

    def lock(self):
        return self.data.lock

    def findings(self, corpus):
        return self.data.findings.filter(corpus=corpus).drop("corpus")

    def provenance(self, run):
        return self.data.provenance[run]

    def training_metrics(self, run):
        if run in self.untrained:
            raise StoreError("not yet")
        return self.data.training.filter(run=run).drop("run")

    def predictions(self, run, evaluation, language):
        part = self.data.scores.filter(run=run, evaluation=evaluation, language=language, metric="accuracy")
        text = {"prompt": pl.lit("?"), "text": pl.lit("7"), "answer": pl.lit("7"), "finish": pl.lit("stop")}
        numbers = {"num_prompt_tokens": pl.lit(1, pl.Int32), "num_completion_tokens": pl.lit(1, pl.Int32)}
        return part.with_columns(**text, **numbers).select(PREDICTIONS.names())


def test_collect_reads_what_is_there_and_samples_each_kind_of_answer_once(data):
    store = FakeStore(data, untrained=("pocket-m.en.s0",))
    collected = collect(store, data.study)
    assert "pocket-m.en.s0" not in collected.training["run"] and "pocket-m.cov-7.s0" in collected.training["run"]
    kinds = collected.samples.group_by("run", "language", "kind").len()
    assert kinds["len"].max() == 1 and set(kinds["kind"]) == {"correct", "wrong", "unparsed", "truncated"}
    assert collected.samples.select("run", "language").unique().height <= MAX_SAMPLED_CELLS
    assert collected.primary_metrics == {"math": "accuracy"}
