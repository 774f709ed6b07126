"""A report on made-up results of both full designs has every figure, table and finding of both papers."""

from __future__ import annotations

from pathlib import Path

import pytest
from full_design import full_study, made_up

from crosslift.reporting import sentences
from crosslift.reporting.data import ReportData
from crosslift.reporting.figures.by_amount import relative_by_dose, score_by_dose, score_by_num_languages
from crosslift.reporting.papers.registry import PAPER_FIGURES
from crosslift.reporting.papers.tables import PAPER_TABLES, findings, grids
from crosslift.reporting.tables.grids import scores_by_language

P1, P2 = "english-is-not-all-you-need", "post-trainers-guide"
BY_AMOUNT = (score_by_num_languages, score_by_dose, relative_by_dose)
FIGURES_OF = {
    # Figure 2 (twice: points per mixture, and both intervals), Figure 3, Figures 4 and 9, Figure 7, Figure 8
    P1: ("score-by-num-languages", "mean-by-number", "bilingual-gains", "zero-shot", "gain-over-base", "by-language"),
    # Scores and relative scores by dose, the gap of seen and unseen, one task against several, scripts
    P2: ("score-by-dose", "relative-by-dose", "gap-by-dose", "by-setting", "by-script"),
}
TABLES_OF = {
    P1: ("findings", "bilingual_wins", "by_number", "zero_shot", "zero_shot_shares", "regression"),  # Tables 2, 3; 4.3
    P2: ("findings", "dose_statistics"),  # Table 2, gains and plateaus
}
GRIDS_OF = {P1: {"findings", "wins", "not_worse", "regression"}, P2: {"findings", "doses"}}
FINDINGS_OF = {
    P1: {
        (claim, about)
        for claim in (
            "More languages help",
            "Low-resource languages gain most",
            "Two languages beat English alone",
            "One more language helps English",
            "At high diversity, zero-shot reaches direct training (high-resource)",
            "At high diversity, zero-shot reaches direct training (low-resource)",
            "The smallest model loses again with the most languages",
        )
        for about in ("math", "calls")
    },
    P2: {
        *(
            ("Math gains for longer than the other tasks", model)
            for model in ("aya-23-7b", "aya-23-35b", "llama-3.1-8b")
        ),
        *(
            ("A larger model has a smaller seen-unseen gap", evaluation)
            for evaluation in ("math", "summaries", "instructions")
        ),
        *(
            ("The seen-unseen gap does not close with data", f"{evaluation}, {model}")
            for evaluation in ("math", "summaries", "instructions")
            for model in ("aya-23-7b", "aya-23-35b", "llama-3.1-8b")
        ),
        *(("Training on several tasks hurts math", f"math, {model}") for model in ("aya-23-7b", "aya-23-35b")),
        *(
            ("Languages in other scripts need training data in other scripts", f"{evaluation}, aya-23-7b")
            for evaluation in ("math", "summaries", "instructions")
        ),
    },
}


@pytest.fixture(scope="module", params=[P1, P2])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ReportData]:
    study = full_study(request.param, tmp_path_factory.mktemp("full") / "study")
    return request.param, made_up(study, num_items=12, num_resamples=20)


def test_every_figure_of_the_papers_is_drawn(full: tuple[str, ReportData]) -> None:
    name, data = full
    drawn = {one.name: one for one in (make(data) for make in (*BY_AMOUNT, *PAPER_FIGURES))}
    assert not {figure: drawn[figure].caption for figure in FIGURES_OF[name] if drawn[figure].chart is None}
    for figure in FIGURES_OF[name]:  # each of them shows every evaluation
        rows = [row for table in drawn[figure].datasets.values() for row in table.iter_rows(named=True)]
        shown = " ".join({*drawn[figure].datasets, *(str(row.get("panel", "")) for row in rows)})
        assert [evaluation for evaluation in data.evaluations if evaluation not in shown] == []


def test_every_table_and_finding_of_the_papers_is_there(full: tuple[str, ReportData]) -> None:
    name, data = full
    tables = {make.__name__: make(data) for make in PAPER_TABLES}
    assert [table for table in TABLES_OF[name] if tables[table].is_empty()] == []
    assert grids(data).keys() >= GRIDS_OF[name]
    found = set(findings(data).select("claim", "about").iter_rows())
    assert FINDINGS_OF[name] - found == set()


def test_the_math_gap_has_seen_and_unseen_languages_in_one_evaluation(tmp_path: Path) -> None:
    study = full_study(P2, tmp_path / "study")
    math = study.evaluations["math"]
    assert math.languages == ("en", "es", "fr", "ja", "zh", "ar", "ko", "pt")
    assert {tag: math.corpus_in(tag) for tag in ("zh", "ar")} == {"zh": "math-test", "ar": "math-test-translated"}
    assert math.shots is not None and math.shots.corpus_in("ar") == "math-examples-translated"


def test_ratings_are_shown_in_their_own_unit(full: tuple[str, ReportData]) -> None:
    name, data = full
    if name == P1:
        pytest.skip("no judge")
    assert data.metric("instructions") == "rating"
    scores = data.primary.filter(evaluation="instructions", estimand="score")["value"].drop_nulls()
    assert 1 <= scores.min() < scores.max() <= 5 and scores.max() > 1.5  # type: ignore[operator]
    rows = data.primary.filter(evaluation="instructions", estimand="relative_to_english", languages="unseen")
    assert rows["value"].drop_nulls().min() > 0.4  # type: ignore[operator]  # a ratio of ratings, not of (r - 1) / 4
    (matrix,) = (grid for grid in scores_by_language(data) if grid.title.startswith("instructions"))
    assert matrix.title == "instructions: rating from 1 to 5"
    assert {float(cell.text) <= 5 for row in matrix.rows for cell in row[1:] if cell.text != "–"} == {True}
    told = [one.finding for one in sentences.conclusions(data) if one.row["evaluation"] == "instructions"]
    assert told and all("rating points" in text for text in told)


def test_without_a_judge_the_report_says_what_stands_in_its_place(tmp_path: Path) -> None:
    study = full_study(P2, tmp_path / "study")
    few = [run.name for run in study.runs() if run.mixture is None or run.mixture.name == "dose-instructions-0"]
    data = made_up(study, num_items=4, judged=False, num_resamples=10, only=few)
    assert data.metric("instructions") == "chrf"
    (told,) = sentences.unrated(data)
    assert told.startswith("instructions: the primary metric 'rating' has no scores") and "chrf in its place" in told
