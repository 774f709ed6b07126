"""Several studies pooled: the study is a level of the model, and only equal things are pooled."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from result_sets import result_set

from crosslift.comparing.left_out import left_out_lines
from crosslift.comparing.name_map import NameMap, name_map
from crosslift.comparing.pooled.page import main_rows, summary_lines, write_pooled
from crosslift.comparing.pooled.pool import pool
from crosslift.errors import TransferError

NONE = NameMap()
MORE = {"en": {"en": 100}, "mix": {"en": 50, "sw": 50}}


def study(label, gain=0.1, **options):
    """A study with items of its own."""
    number = sum(map(ord, label))
    options = {"corpus": label, "seed": number, "first_item": 200 * (number % 40), "amounts": MORE} | options
    return result_set(label, {"en": 0.4, "mix": 0.4 + gain}, **options)


def gain(found, languages="all"):
    return found.estimates.filter(estimand="gain", languages=languages, is_primary_metric=True).row(0, named=True)


def test_two_studies_are_a_fixed_effect_and_cannot_tell_how_studies_differ():
    found = pool([study("a"), study("b")], NONE)
    row = gain(found)
    assert row["effect"] == "fixed" and row["num_studies"] == 2 and row["between_sd"] is None
    assert row["heterogeneity"].startswith("cannot tell: 2 studies")
    single = found.by_study.filter(estimand="gain", languages="all")
    assert single["low"].min() < row["low"] < row["value"] < row["high"]
    assert row["high"] - row["low"] < (single["high"] - single["low"]).min()
    assert sum(single["weight"]) == pytest.approx(1)


def test_three_studies_are_a_random_effect_without_an_interval_of_their_deviation():
    row = gain(pool([study(name) for name in "abc"], NONE))
    assert row["effect"] == "random" and row["heterogeneity"].startswith("cannot tell: 3 studies")
    assert row["between_sd"] is not None and row["between_high"] is None


def test_from_four_studies_on_their_deviation_has_an_interval():
    alike = gain(pool([study(name) for name in "abcd"], NONE))
    apart = gain(pool([study(name, effect) for name, effect in zip("abcd", (-0.3, 0.0, 0.2, 0.4), strict=True)], NONE))
    assert alike["between_low"] == 0 and apart["between_low"] > 0.05
    assert apart["between_sd"] == pytest.approx(0.3, abs=0.1)
    assert apart["high"] - apart["low"] > 3 * (alike["high"] - alike["low"])


def test_the_same_items_are_not_counted_twice():
    """A study pooled with a copy of itself knows no more than alone."""
    one = study("a")
    row = gain(pool([one, replace(one, label="copy")], NONE))
    alone = (
        pool([one, study("b")], NONE).by_study.filter(study="a", estimand="gain", languages="all").row(0, named=True)
    )
    assert (row["low"], row["high"]) == pytest.approx((alone["low"], alone["high"]), abs=0.002)
    assert row["num_items"] == 200 and "share their resamples" in row["note"]
    thrice = gain(pool([one, *(replace(one, label=name) for name in "xy")], NONE))
    assert thrice["high"] - thrice["low"] >= row["high"] - row["low"]


def contents_of(first, number):
    rows = [(tag, f"i{item}", f"{tag} {item}") for item in range(first, first + number) for tag in ("en", "sw")]
    return pl.DataFrame(rows, schema=["language", "item_id", "content"], orient="row")


@pytest.mark.parametrize("labels", ["ab", "abc"], ids=["two studies", "three studies"])
def test_common_items_widen_the_interval_as_if_their_errors_were_the_same(labels):
    """From none to all items in common, the interval grows to that of studies with the same items."""

    def pooled(shift):
        places = {label: place * shift for place, label in enumerate(labels)}
        sets = [
            study(label, first_item=first, contents=contents_of(first, 200), corpus=label)
            for label, first in places.items()
        ]
        return pool(sets, NONE)

    apart, half = pooled(200), pooled(100)
    width = {name: gain(found)["high"] - gain(found)["low"] for name, found in (("apart", apart), ("half", half))}
    assert width["half"] > 1.1 * width["apart"]
    assert gain(half)["num_items"] == 200 + 100 * (len(labels) - 1) and not apart.notes
    assert "taken as fully dependent" in gain(half)["note"] and "100 test items" in half.notes[0]


def test_equal_ids_of_other_items_are_never_mixed_up():
    one, other = study("a", first_item=0), study("b", first_item=0)  # ids i0 ... in both, other corpora
    row = gain(pool([one, other], NONE))
    assert row["num_items"] == 400 and "share" not in row["note"]


def test_mixtures_are_the_same_by_composition_and_not_by_name():
    renamed = study("b", amounts={"en": {"en": 50, "sw": 50}, "mix": {"en": 100}})  # the names are exchanged
    found = pool([study("a"), renamed], NONE)
    names = {tuple(row) for row in found.identities.filter(study="b", kind="mixture").select("name", "own_name").rows()}
    assert names == {("mix", "en"), ("en", "mix")}
    with pytest.raises(TransferError, match="no estimate in common"):
        pool([study("a"), study("b", amounts={"en": {"en": 7}, "mix": {"en": 8}})], NONE)


def test_what_is_not_pooled_is_named():
    other = result_set(
        "b",
        {"en": 0.4, "mix": 0.5, "de": 0.5},
        corpus="b",
        seed=4,
        amounts=MORE | {"de": {"de": 9}},
        tags=("en", "sw", "de"),
    )
    found = pool([study("a"), other], NONE)
    lines = left_out_lines(found.left_out)
    assert "b: language de of math (3 cells): not in every study" in lines
    assert "b: mixture tiny: de: in no other study with the same composition" in lines
    assert any("not pooled" in line for line in summary_lines(found))


def test_models_are_the_same_by_content_or_by_a_map():
    other = study("b", model="small")
    assert gain(pool([study("a"), other], NONE))["model"] == "tiny"  # the same weights
    unlike = study("b", model="small", content="m2")
    with pytest.raises(TransferError, match="no estimate in common"):
        pool([study("a"), unlike], NONE)
    first = study("a")
    assert gain(pool([first, unlike], name_map(["tiny=small"], first, [unlike])))["model"] == "tiny"


def test_ratios_are_not_told_in_points():
    table = pool([study(name) for name in "abcd"], NONE).estimates
    assert "points" not in table.filter(estimand="retention")["heterogeneity"][0]
    assert "points" in table.filter(estimand="score")["heterogeneity"][0]


def test_the_page_lists_what_is_pooled_and_is_deterministic(tmp_path):
    sets = [study(name) for name in "abc"]
    found = pool(sets, NONE)
    page = write_pooled(tmp_path / "one", found, sets)
    text = page.read_text()
    assert "What is pooled" in text and "same examples" in text and "random effect of the study" in text
    again = write_pooled(tmp_path / "two", pool(sets, NONE), sets)
    assert again.read_bytes() == page.read_bytes()
    assert pl.read_parquet(tmp_path / "one" / "tables" / "pooled.parquet").height == found.estimates.height
    assert main_rows(found)[0]["primary"]
