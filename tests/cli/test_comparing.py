"""The commands that take several studies: compare, report and recommend."""

from __future__ import annotations

import shutil
from pathlib import Path

import finished_study
import polars as pl
import pytest
from finished_study import write_finished_study
from in_process import crosslift

import crosslift as package

TAGS = ("en", "sw")


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    write_finished_study(folder / "a", num_mixtures=4, num_seeds=1, tags=TAGS)
    write_finished_study(folder / "b", num_mixtures=5, num_seeds=1, tags=TAGS, num_right=20)
    return folder


def files_of(folder: Path):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_compare_says_what_differs_what_changed_and_what_is_left_out(studies, tmp_path):
    before = files_of(studies)
    said = crosslift("compare", studies / "a", studies / "b", "--output", tmp_path / "page")
    assert said.code == 0, said.text
    assert "b minus a: 8 cells in common" in said.text
    assert "b scores higher than a: +20.0 points" in said.text
    assert "differs: mixtures.m4: not set -> " in said.text
    assert "not compared: b: mixture m4 (2 cells): not in a" in said.text
    assert "One training seed: the intervals do not contain the noise between runs." in said.text
    assert files_of(studies) == before
    table = pl.read_parquet(tmp_path / "page" / "tables" / "estimates.parquet")
    found = package.compare_studies(studies / "a", studies / "b")
    assert found.estimates.equals(table) and set(found.figures()) == {"mixtures", "cells"}


def test_the_page_of_a_comparison_is_in_the_report_folder_by_default(studies, tmp_path):
    shutil.copytree(studies / "a", tmp_path / "a")
    said = crosslift("compare", tmp_path / "a", studies / "b")
    assert (tmp_path / "a" / "report" / "comparison" / "b" / "index.html").is_file(), said.text
    assert crosslift("verify", tmp_path / "a").code == 0
    again = crosslift("compare", tmp_path / "a", studies / "b")
    assert again.text == said.text


def test_report_pools_several_studies_into_a_folder_of_their_own(studies, tmp_path):
    asked = crosslift("report", studies / "a", studies / "b")
    assert asked.code == 2 and "Add: --output" in asked.text
    said = crosslift("report", studies / "a", studies / "b", "--output", tmp_path / "pooled")
    assert said.code == 0, said.text
    assert "2 studies pooled: a, b; 4 mixtures in common" in said.text
    assert "2 studies, fixed effect of the study" in said.text
    assert "not pooled: b: mixture tiny: m4" in said.text
    found = package.pool_studies(studies / "a", studies / "b")
    assert found.estimates.equals(pl.read_parquet(tmp_path / "pooled" / "tables" / "pooled.parquet"))
    assert set(found.figures()) == {"studies", "languages"} and found.by_study.height == 2 * found.estimates.height
    assert crosslift("report", studies / "a", "--output", tmp_path / "x").code == 2


def test_a_folder_with_other_files_is_never_written_to(studies, tmp_path):
    shutil.copytree(studies / "a", tmp_path / "a")
    before = files_of(tmp_path)
    for command in (("compare", "--output"), ("report", "--output")):
        said = crosslift(command[0], studies / "a", studies / "b", command[1], tmp_path / "a")
        assert said.code == 2 and "contains other files" in said.text
    assert files_of(tmp_path) == before


def test_an_edited_study_is_not_compared_as_if_it_had_been_run(studies, tmp_path):
    shutil.copytree(studies / "a", tmp_path / "a")
    file = tmp_path / "a" / "study.toml"
    file.write_text(file.read_text().replace("1e-3", "2e-3"))
    said = crosslift("compare", tmp_path / "a", studies / "b")
    assert said.code == 2 and "has changed since the study was run" in said.text


def test_recommend_learns_from_further_studies(studies):
    alone = crosslift("recommend", studies / "a", "--budget", "150", "--next", "1")
    both = crosslift("recommend", studies / "a", studies / "b", "--budget", "150", "--next", "1")
    assert both.code == 0, both.text
    assert "5 runs of b inform the response to amounts" in both.text and "4 mixtures of tiny" in both.text
    assert "5 runs of b" not in alone.text


def test_recommend_refuses_another_evaluation(studies, tmp_path, monkeypatch):
    shorter = finished_study.STUDY.replace('corpus = "test"', 'corpus = "test"\nmax_tokens = 7')
    monkeypatch.setattr(finished_study, "STUDY", shorter)
    write_finished_study(tmp_path / "c", num_mixtures=2, num_seeds=1, tags=TAGS)
    said = crosslift("recommend", studies / "a", tmp_path / "c")
    assert said.code == 2
    assert "The evaluation 'math' of c differs from that of a" in said.text and "max_tokens: 512 -> 7" in said.text
