"""Two studies compared: paired item by item, on what both have; everything else is counted and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from result_sets import result_set

from crosslift.comparing.left_out import left_out_lines
from crosslift.comparing.name_map import NameMap, name_map
from crosslift.comparing.paired.compare import compare
from crosslift.comparing.paired.page import main_rows, sentence, summary_lines, write_comparison
from crosslift.errors import StudyError, TransferError
from crosslift.studies.study import Contrast
from crosslift.transfer.estimates.estimate import estimate

NONE = NameMap()


def one_row(found, **where):
    rows = found.estimates.filter(**({"languages": "all", "is_primary_metric": True} | where))
    assert rows.height == 1
    return rows.row(0, named=True)


@pytest.fixture(scope="module")
def a():
    return result_set("a", {"base": 0.1, "en": 0.4, "mix": 0.5}, seed=1)


@pytest.fixture(scope="module")
def b():
    return result_set("b", {"base": 0.1, "en": 0.55, "mix": 0.65}, seed=2)


def test_differences_are_second_minus_first(a, b):
    found = compare(a, b, NONE)
    row = one_row(found, part="summary")
    assert row["value"] == pytest.approx(row["second"] - row["first"]) and 0.05 < row["low"] < 0.15 < row["high"]
    assert row["verdict"] == "supported" and row["primary"] and row["mixture"] == "mean of 2"
    back = one_row(compare(b, a, NONE), part="summary")
    assert back["value"] == pytest.approx(-row["value"]) and back["verdict"] == "not supported"
    assert "b scores higher than a" in sentence(found, row)
    assert one_row(found, mixture="base")["verdict"] == "cannot tell"


def test_a_comparison_is_the_contrast_of_one_study_that_holds_both(a, b):
    """No second implementation: the same interval as if both studies' runs were two mixtures of one study."""
    only_a, only_b = (replace(one, runs=one.runs.filter(mixture="en")) for one in (a, b))
    only_a, only_b = (
        replace(
            one,
            scores=one.scores.filter(run="tiny.en.s0"),
            lock=one.lock | {"runs": {"tiny.en.s0": one.lock["runs"]["tiny.en.s0"]}},
        )
        for one in (only_a, only_b)
    )
    row = one_row(compare(only_a, only_b, NONE), part="mixture")
    runs = pl.concat([only_a.runs, only_b.runs.with_columns(run=pl.lit("b"), mixture=pl.lit("other"))])
    scores = pl.concat([only_a.scores, only_b.scores.with_columns(run=pl.lit("b"))])
    contrast = Contrast(name="c", control="en", treatments=("other",), primary=True)
    same = estimate(scores, runs, [contrast]).filter(estimand="gain", languages="all").row(0, named=True)
    assert [row[name] for name in ("value", "low", "high", "p")] == [
        same[name] for name in ("value", "low", "high", "p")
    ]


def test_seeds_are_paired_and_their_noise_is_in_the_interval():
    chances = {"en": 0.4, "mix": 0.5}
    one, other = (result_set(name, chances, seed=place, seeds=(0, 1, 2), run_sd=0.1) for place, name in enumerate("ab"))
    found = compare(one, other, NONE)
    assert one_row(found, part="seed", mixture="en", seed=1)["num_seeds"] == 1
    assert "one seed" in one_row(found, part="seed", mixture="en", seed=1)["note"]
    whole = one_row(found, part="mixture", mixture="en")
    assert whole["num_seeds"] == 3 and "items and seeds" in whole["method"] and whole["note"] == ""
    quiet = compare(*(replace(side, runs=side.runs.filter(seed=0)) for side in map(of_seed_0, (one, other))), NONE)
    assert "One training seed" in " ".join(summary_lines(quiet))
    assert "One training seed" not in " ".join(summary_lines(found))


def of_seed_0(one):
    runs = {run: record for run, record in one.lock["runs"].items() if run.endswith("s0")}
    return replace(one, lock=one.lock | {"runs": runs}, scores=one.scores.filter(pl.col("run").is_in(list(runs))))


def test_cells_without_a_partner_are_counted_and_named(a):
    other = result_set("b", {"en": 0.5, "new": 0.5}, seeds=(0, 1), tags=("en", "de"), seed=3)
    lines = left_out_lines(compare(a, other, NONE).left_out)
    assert "a: mixture mix (2 cells): not in b" in lines and "b: mixture new (4 cells): not in a" in lines
    assert "b: seed 1 of en (2 cells): not in a" in lines
    assert "a: language sw of math (1 cell): not in b" in lines and "b: language de of math (1 cell): not in a" in lines
    assert "a: mixture base (2 cells): not in b" in lines


def test_cells_that_are_not_evaluated_yet_are_left_out_on_both_sides(a, b):
    gap = ~((pl.col("run") == "tiny.mix.s0") & (pl.col("language") == "sw"))
    found = compare(a, replace(b, scores=b.scores.filter(gap)), NONE)
    assert "b: tiny.mix.s0 (1 cell): not evaluated yet: math in sw" in left_out_lines(found.left_out)
    assert one_row(found, part="summary")["mixture"] == "mean of 1"


def contents(one, changed=()):
    table = one.scores.select("language", "item_id").unique(maintain_order=True)
    other = pl.col("item_id").is_in(list(changed))
    return table.with_columns(content=pl.when(other).then(pl.lit("other")).otherwise("item_id"))


def test_items_are_paired_by_what_they_ask_and_not_by_their_id(a):
    wider = result_set("b", {"base": 0.1, "en": 0.5, "mix": 0.5}, num_items=250, seed=5, corpus="c2")
    with pytest.raises(TransferError, match="no cell in common"):  # without corpora, ids prove nothing
        compare(a, wider, NONE)
    here, there = replace(a, contents=contents(a)), replace(wider, contents=contents(wider, changed=["i3", "i4"]))
    found = compare(here, there, NONE)
    assert one_row(found, part="summary")["num_items"] == 198
    lines = left_out_lines(found.left_out)
    assert "b: 50 items of math in en, sw: other items: not in a" in lines
    assert "a: 2 items of math in en, sw: prompt or gold answer differs from b" in lines


def test_other_tasks_and_metrics_are_not_compared(a):
    for changed, reason in (
        (result_set("b", {"en": 0.5}, task="summarization"), "other task: math and summarization"),
        (
            replace(a, label="b", scores=a.scores.with_columns(metric=pl.lit("exact"))),
            "other metric: b has no accuracy",
        ),
    ):
        with pytest.raises(TransferError, match=reason):
            compare(a, changed, NONE)


def test_names_that_differ_are_paired_by_a_map(a):
    other = result_set("b", {"english": 0.5, "mix": 0.5}, model="small", evaluation="gsm", seed=4)
    with pytest.raises(TransferError, match="--map NAME=NAME"):
        compare(a, other, NONE)
    found = compare(a, other, name_map(["tiny=small", "en=english", "math=gsm"], a, [other]))
    assert one_row(found, part="summary")["mixture"] == "mean of 2"
    assert one_row(found, part="mixture", mixture="en")["evaluation"] == "math"


def test_all_mistakes_in_a_map_are_listed(a, b):
    with pytest.raises(StudyError) as caught:
        name_map(["tiny", "tinny=tiny", "en=mixx", "en=tiny", "en=mix", "mix=mix"], a, [b])
    assert len(caught.value.problems) == 5
    assert "Did you mean 'tiny'" in caught.value.problems[1] and "different kinds" in caught.value.problems[3]


def test_one_run_of_both_definitions_of_a_study_is_no_difference(a, b):
    runs = b.lock["runs"] | {"tiny.en.s0": a.lock["runs"]["tiny.en.s0"]}
    later = replace(b, lock=b.lock | {"runs": runs})
    later.store.folder = a.store.folder
    try:
        found = compare(a, later, NONE)
    finally:
        later.store.folder = Path("b")
    row = one_row(found, mixture="en")
    assert row["same_result"] and row["low"] is None and row["note"] == "one result of both definitions"
    assert one_row(found, part="summary")["mixture"] == "mean of 1" and found.num_same == 1


def test_settings_contents_and_environment_that_differ_are_named(a, b):
    one = result_set("a", {"en": 0.5}, settings={"name": "a", "training": {"learning_rate": 1e-3}})
    other = result_set(
        "b", {"en": 0.5}, settings={"training": {"learning_rate": 2e-3}}, content="m2", amounts={"en": {"en": 5}}
    )
    one.store.environments, other.store.environments = {"packages": {"torch": "1"}}, {"packages": {"torch": "2"}}
    lines = [line for line in summary_lines(compare(one, other, NONE)) if line.startswith("differs")]
    assert lines == [
        "differs: training.learning_rate: 0.001 -> 0.002",
        "differs: models.tiny: m1 -> m2",
        "differs: mixtures.en: 100 examples, {'en': 1 -> 5 examples, {'en': 5",
        "differs: packages.torch: 1 -> 2",
    ]


def test_folders_of_a_machine_are_in_no_output():
    settings = {"models": {"x": {"path": "/home/ann/secret/qwen"}}, "corpora": {"c": {"path": "/data/ann/train.jsonl"}}}
    one, other = result_set("a", {"en": 0.5}, settings={}), result_set("b", {"en": 0.5}, settings=settings)
    text = "\n".join(summary_lines(compare(one, other, NONE)))
    assert "ann" not in text and "path = qwen" in text and "path = train.jsonl" in text


def test_the_page_has_tables_of_both_kinds_and_escapes_names(a, b, tmp_path):
    hostile = replace(b, label="<script>alert(1)</script>")
    page = write_comparison(tmp_path / "page", compare(a, hostile, NONE))
    text = page.read_text()
    assert "<script>alert(1)</script>" not in text and "scores higher than" in text
    table = pl.read_parquet(tmp_path / "page" / "tables" / "estimates.parquet")
    assert table.height == pl.read_csv(tmp_path / "page" / "tables" / "estimates.csv").height
    assert {file.name for file in (tmp_path / "page" / "figures").iterdir()} == {"cells.svg", "mixtures.svg"}
    again = write_comparison(tmp_path / "again", compare(a, hostile, NONE))
    assert again.read_bytes() == page.read_bytes()


def test_the_summary_comes_first_and_base_models_are_not_in_it(a, b):
    rows = main_rows(compare(a, b, NONE))
    assert [row["mixture"] for row in rows] == ["mean of 2", "base", "en", "mix"]
