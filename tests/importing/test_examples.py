"""The shipped examples say of published results what is known of them."""

from __future__ import annotations

from functools import cache

import places
import pytest

from crosslift.importing.ask import run_analyses
from crosslift.importing.mapping import load_import
from crosslift.importing.results import read_results
from crosslift.transfer.answers import Answer

EXAMPLES = places.REPOSITORY / "examples"
DATA = places.DATA / "results"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs the published results")


@cache
def answers(name: str, *kinds: str) -> list[Answer]:
    mapping = load_import(EXAMPLES / f"{name}.toml", data=DATA)
    if kinds:  # fitting the transfer model takes a minute
        from dataclasses import replace

        mapping = replace(mapping, analyses=tuple(one for one in mapping.analyses if one["kind"] in kinds))
    return [
        answer for one in run_analyses(mapping, read_results(mapping), say=lambda line: None) for answer in one.answers
    ]


def test_the_second_studys_tables_give_these_numbers_and_not_those():
    printed = {answer.question: answer for answer in answers("post-trainers-guide") if answer.printed is not None}
    reproduced = {answer.printed for answer in printed.values() if answer.reproduces}
    assert reproduced == {6.8, 8.7, 38.4, 37.4, 36.6, 8.0, 0.67, 0.83, 13}
    assert {answer.printed for answer in printed.values() if not answer.reproduces} == {22.7, 68.0}
    verdicts = {answer.question: answer.verdict for answer in answers("post-trainers-guide")}
    assert verdicts["Several tasks cost mathematics 8 % at 7B"] == "supported"
    assert verdicts["Instruction following is on its plateau at 400 per language, 7B"] == "cannot tell"
    assert verdicts["A larger model has a smaller gap, mathematics"] == "supported"
    assert all(answer.low is not None and answer.runs for answer in answers("post-trainers-guide"))


@pytest.mark.parametrize(
    ("name", "rows"), [("language-subsets", 1750), ("language-subsets-by-task", 175), ("number-of-languages", 850)]
)
def test_published_means_deviations_and_intervals_are_those_of_the_runs(name: str, rows: int):
    (first, *_) = answers(name, "replicates")
    assert (first.value, first.printed, first.reproduces) == (rows, rows, True)


def test_a_fixed_amount_over_more_languages_gains_nothing_that_can_be_told():
    rise, plateau = answers("number-of-languages", "number")
    assert rise.verdict == "cannot tell" and rise.high is not None and rise.high < 0.5
    assert (plateau.low, plateau.high) == (1.0, 2.0)


def test_a_language_gains_a_little_from_being_trained_on():
    all_tasks = answers("language-subsets", "seen")[0]
    assert all_tasks.verdict == "supported" and all_tasks.value is not None and 0.1 < all_tasks.value < 0.3


def test_impossible_cells_of_mathoctopus_are_flagged():
    impossible = next(one for one in answers("mathoctopus") if one.measure == "cells that are impossible")
    assert impossible.value == 2


def test_the_same_problems_in_eleven_languages():
    found = answers("mcot-items")
    mean, consistency = found[0], found[1]
    assert mean.value == pytest.approx(65.9, abs=0.05) and mean.low is not None and mean.high is not None
    assert mean.high - mean.low > 2 * (67.6 - 64.1)  # items are shared: wider than as if answers were independent
    assert consistency.value == pytest.approx(25.6)
    assert found[-1].value == 1  # of 55 pairs


def test_many_languages_beat_english_only_and_translated_prompts_cost_english_ones():
    verdicts = {one.question: one for one in answers("bloomz") if one.measure == "mean difference"}
    assert verdicts["Many languages beat English only"].verdict == "supported"
    assert verdicts["Translated prompts add to that"].verdict == "cannot tell"
    assert verdicts["... where prompts are English, NLI"].verdict == "not supported"


def test_every_example_is_under_a_page():
    for file in EXAMPLES.glob("*.toml"):
        assert len(file.read_text().splitlines()) <= 75, file.name


def test_mixtures_are_compared_over_the_same_languages_or_not_at_all():
    from dataclasses import replace

    from crosslift.errors import TransferError

    mapping = load_import(EXAMPLES / "post-trainers-guide.toml", data=DATA)
    claim = dict(mapping.analyses[0]["claims"][-1])
    del claim["languages"]
    wrong = replace(mapping, analyses=({"kind": "doses", "claims": [claim | {"measure": "unseen"}]},))
    with pytest.raises(TransferError, match="over different languages on the two sides"):
        run_analyses(wrong, read_results(mapping), say=lambda line: None)
