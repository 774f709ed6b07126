import json
from dataclasses import replace

import polars as pl
import pytest

from crosslift.corpora.corpus import Source
from crosslift.reporting.data import REVIEWS, reviews_of
from crosslift.reporting.tables import frames as tables
from crosslift.reporting.tables import grids
from crosslift.scores import STATUSES


@pytest.mark.parametrize("make", tables.TABLES, ids=lambda make: make.__name__)
def test_every_table_has_rows_and_can_be_written_as_csv(data, make):
    table = make(data)
    assert table.height > 0 and table.write_csv()


@pytest.mark.parametrize("make", tables.TABLES, ids=lambda make: make.__name__)
def test_every_table_keeps_its_columns_when_nothing_is_finished(data, make):
    nothing = replace(
        data,
        scores=data.scores.clear(),
        estimates=data.estimates.clear(),
        training=data.training.clear(),
        manifests={},
        provenance={},
        lock={},
    )
    assert make(nothing).columns == make(data).columns


def test_failures_of_a_cell_sum_to_its_samples(data):
    table = tables.failures(data)
    cells = table.group_by("run", "evaluation", "language").agg(
        pl.col("count").sum(), pl.col("num_samples").first(), pl.len()
    )
    assert (cells["count"] == cells["num_samples"]).all() and (cells["len"] == len(STATUSES)).all()


def test_metrics_of_a_sample_are_counted_once(data):
    assert tables.failures(data)["num_samples"].max() == 40


def test_contrasts_say_what_their_interval_says(data):
    for row in tables.contrasts(data).iter_rows(named=True):
        expected = "supports" if row["low"] > 0 else "contradicts" if row["high"] < 0 else "cannot tell"
        assert row["verdict"] == expected


def test_what_is_kept_of_english_is_the_ratio_of_the_scores(data):
    english = data.primary.filter(estimand="score", languages="en")
    scores = {(row["model"], row["evaluation"], row["mixture"]): row["value"] for row in english.iter_rows(named=True)}
    table = tables.retention(data).filter(languages="en")
    rows = table.filter(~pl.col("mixture").str.starts_with("mean of ")).rows(named=True)
    assert rows
    for row in rows:
        here = row["model"], row["evaluation"]
        assert row["value"] == pytest.approx(scores[*here, row["mixture"]] / scores[*here, row["control"]])
        assert row["low"] is None or row["low"] <= row["value"] <= row["high"]
    grid = grids.retention(data)
    assert grid is not None and len(grid.rows) == table.select("declared", "model", "evaluation").n_unique()
    means = table.filter(pl.col("mixture").str.starts_with("mean of "))["mixture"].unique().to_list()
    assert means and set(means) <= {cells[2].text for cells in grid.rows}


def test_held_fixed_tells_what_varies(data):
    held = dict(tables.held_fixed(data).select("factor", "held").iter_rows())
    assert held["pairing of items"] == "fixed" and held["languages trained on"] == "varies"
    assert held["learning rate"] == "fixed" and held["budget"] == "varies"


def test_fertility_is_relative_to_english(data):
    found = dict(tables.fertility(data).filter(model="pocket-m").select("language", "fertility").iter_rows())
    assert found["en"] == 1 and found["bn"] > 2


def test_score_cells_show_a_dash_and_the_reason_where_the_program_failed(broken):
    grid = grids.scores_by_language(broken)[0]
    tags = [cell.text for cell in grid.head]
    row = next(row for row in grid.rows if row[0].text == "en")
    cell = row[tags.index("sw")]
    assert cell.text == "–" and cell.title == "3 errors: run again"
    assert row[tags.index("es")].text != "–"


def test_reviews_stand_in_the_report_with_the_share_accepted_and_its_interval(data):
    assert grids.reviews(data) is None
    read = pl.DataFrame(
        [("train", "sw", 20, 15, 2, 3, 0), ("train", "de", 20, 0, 0, 20, 0)], schema=REVIEWS, orient="row"
    )
    swahili, german = grids.reviews(replace(data, reviews=read)).rows
    assert [cell.text for cell in swahili] == ["train", "Swahili", "15 of 17", "88%", "66 to 97 %"]
    assert swahili[2].note == "3 unread"
    assert [cell.text for cell in german][2:] == ["0 of 0", "–", "–"]


def test_reviews_are_read_from_beside_a_corpus_and_damaged_ones_are_left_out(tmp_path):
    def source(path):
        return Source(name="c", reader="jsonl", task="math", languages=("en", "es", "fr"), path=path)

    counts = {"drawn": 10, "accepted": 9, "rejected": 1, "unread": 0, "outdated": 0}
    review = {"es": counts, "sw": counts, "fr": "broken", "en": counts | {"accepted": -1}}
    (tmp_path / "manifest.json").write_text(json.dumps({"source": {}, "languages": ["es"], "review": review}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/manifest.json").write_text("[1")
    places = {"folder": tmp_path, "split": tmp_path / "train", "file": tmp_path / "es.jsonl",
              "damaged": tmp_path / "other", "none": None}  # fmt: skip
    found = reviews_of({name: source(path) for name, path in places.items()})
    assert found.select("corpus", "language", "accepted").rows() == [
        ("folder", "es", 9), ("split", "es", 9), ("file", "es", 9)
    ]  # fmt: skip
