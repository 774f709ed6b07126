"""The studies' own statistics give the numbers that the studies print."""

from __future__ import annotations

import places
import polars as pl
import pytest

from crosslift.transfer.estimates.wilson import wilson_interval
from crosslift.transfer.grid import as_published

TABLES = places.DATA / "results" / "post_trainers_guide" / "tables_3_to_23.csv"
LATIN, NON_LATIN, ALL = "es,fr", "ja,zh", "es,fr,ja,zh"


@pytest.mark.parametrize(
    ("num_wins", "num_cells", "printed"),
    [(30, 40, (75.0, 59.8, 85.8)), (35, 40, (87.5, 73.9, 94.5)), (119, 160, (74.4, 67.1, 80.5))],
)
def test_shares_of_wins_have_the_intervals_of_the_first_study(num_wins, num_cells, printed):
    found = as_published.win_statistics([1.0] * num_wins + [-1.0] * (num_cells - num_wins))
    assert tuple(round(100 * x, 1) for x in (found.share, found.low, found.high)) == printed


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (1, 3)])
def test_wilson_stays_within_zero_and_one_and_around_the_share(successes, trials):
    low, high = wilson_interval(successes, trials)
    assert 0 <= low + 1e-12 <= successes / trials + 1e-9
    assert successes / trials - 1e-9 <= high <= 1 + 1e-12


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (4, 3), (-1, 3)])
def test_what_is_no_share_is_refused(successes, trials):
    with pytest.raises(ValueError, match="is not a share"):
        wilson_interval(successes, trials)


def test_bilingual_gains_are_told_apart_by_where_they_are_measured():
    rows = [
        ("m", "math", ["en"], "en", 0.5),
        ("m", "math", ["en"], "sw", 0.1),
        ("m", "math", ["en"], "de", 0.2),
        ("m", "math", ["en", "sw"], "en", 0.6),
        ("m", "math", ["en", "sw"], "sw", 0.4),
        ("m", "math", ["en", "sw"], "de", 0.1),
        ("m", "math", ["en", "sw", "de"], "de", 0.9),  # not bilingual
        ("other", "math", ["en", "sw"], "en", 0.6),  # without a control
    ]
    cells = pl.DataFrame(rows, schema=["model", "task", "languages", "language", "value"], orient="row")
    found = {row["group"]: row for row in as_published.bilingual_gains(cells).to_dicts()}
    assert {group: round(row["gain"], 3) for group, row in found.items()} == {
        "English": 0.1,
        "direct": 0.3,
        "transfer": -0.1,
    }
    assert {row["partner"] for row in found.values()} == {"sw"}


@pytest.fixture(scope="module")
def second_study() -> pl.DataFrame:
    if not TABLES.is_file():
        pytest.skip("the second study's tables are not there")
    return (
        pl.read_csv(TABLES)
        .filter((pl.col("setting") == "single") & (pl.col("eval_lang") != "avg"))
        .with_columns(languages=pl.lit("en,") + pl.col("non_english_train_langs"))
        .select(
            "model",
            "task",
            pl.col("languages").str.split(","),
            "role",
            "value",
            language="eval_lang",
            dose="samples_per_non_english_lang",
        )
    )


def series(table: pl.DataFrame, task: str, model: str, languages: str = ALL) -> pl.DataFrame:
    wanted = ["en", *languages.split(",")]
    found = table.filter((pl.col("task") == task) & (pl.col("model") == model))
    return found.filter(pl.col("languages").list.join(",") == ",".join(wanted)).sort("dose")


@pytest.mark.parametrize(("task", "points"), [("IF", 6.8), ("SM", 8.7)])
def test_gains_of_relative_performance_are_those_of_the_second_study(second_study, task, points):
    found = series(as_published.relative_to_english(second_study), task, "aya23-7b")
    gain = as_published.largest_dose_gain(found["relative"].to_list(), found["dose"].to_list())
    assert round(100 * gain, 1) == points


@pytest.mark.parametrize(("languages", "peak"), [(ALL, 0.384), (LATIN, 0.374), (NON_LATIN, 0.366)])
def test_peaks_of_math_in_other_languages_are_those_of_the_second_study(second_study, languages, peak):
    found = series(as_published.relative_to_english(second_study), "MR", "aya23-7b", languages)
    assert round(found["non_english"].max(), 3) == peak


@pytest.mark.parametrize(("model", "printed"), [("aya23-7b", 0.67), ("llama3.1-8b", 0.83)])
def test_seen_and_unseen_languages_correlate_as_the_second_study_says(second_study, model, printed):
    means = second_study.group_by("model", "task", "languages", "dose", "role").agg(pl.col("value").mean())
    found = series(means, "IF", model)
    seen, unseen = (found.filter(role=role).sort("dose")["value"].to_list() for role in ("seen", "unseen"))
    assert round(as_published.seen_unseen_correlation(seen, unseen), 2) == printed


def test_a_gain_without_a_dose_of_zero_is_refused():
    with pytest.raises(ValueError, match="dose of 0"):
        as_published.largest_dose_gain([0.5, 0.6], [100, 200])
