"""The page of imported results escapes what foreign files say, and loads nothing. The report's: `tests/reporting`."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from synthetic_study import HOSTILE

from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.transfer.answers import Analysis, Answer


def test_text_of_foreign_files_is_escaped_in_the_page_of_answers(tmp_path: Path):
    answer = Answer(
        question=HOSTILE, about=HOSTILE, measure=HOSTILE, value=1.0, printed=2.0, runs=(HOSTILE,), note=HOSTILE
    )
    head = PageHeader(
        eyebrow=HOSTILE, title=HOSTILE, question=HOSTILE, facts=[("1", HOSTILE)], files=[], runs_file="runs.parquet"
    )
    page = write_page(
        tmp_path, head, [Analysis(kind="items", answers=[answer], tables={"one": pl.DataFrame({"a": [1]})})]
    )
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "alert('x')" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    for address in re.findall(r'\b(?:src|href)="([^"]*)"', text):
        assert re.match(r"#|data:|tables/|figures/|answers\.csv|runs\.parquet", address), address
