"""A judge's verdicts are read, kept, paid once, and stand beside the scores of the study."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from endpoints import FaultyServer, serving
from finished_study import write_finished_study
from typer.testing import CliRunner

from crosslift.api.running import judge_of, rate_answers
from crosslift.cli import app
from crosslift.errors import StudyError
from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import read_table, write_table
from crosslift.judging import forms
from crosslift.judging.judge import load_judge
from crosslift.judging.study import judge_study
from crosslift.remote import endpoint
from crosslift.reporting.data import collect
from crosslift.studies.parsing.load import load

pytest.importorskip("openai")
ENGLISH = "This is an answer of some length, and it is number {number} of them all, written by the model {run}."


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mixtures and the base model; m1's answers are longer, one is truncated, one empty, one Russian; all answers
    in Spanish are English."""
    study = tmp_path_factory.mktemp("answered") / "study"
    write_finished_study(study, num_mixtures=2, num_seeds=1, tags=("en", "es"))
    graph = StepGraph(load(study), Store(study))
    for name, state in graph.states().items():
        for one in state.steps.evaluations:
            file = one.step.folder / "predictions.parquet"
            more = " It is a good one." if name.startswith("tiny.m1") else ""
            texts = [ENGLISH.format(number=number, run=name) + more for number in range(50)]
            finishes = ["stop"] * 50
            if name.startswith("tiny.m1"):
                finishes[0], texts[1], texts[2] = "length", " ", "Это ответ на русском языке, довольно длинный."
            table = read_table(file).with_columns(text=pl.Series(texts), finish=pl.Series(finishes))
            with one.step.rewriting("predictions.parquet"):
                write_table(file, table)
    return study


@pytest.fixture
def graph(answered: Path, tmp_path: Path) -> StepGraph:
    study = Path(shutil.copytree(answered, tmp_path / "study"))
    return StepGraph(load(study), Store(study))


def likes_good_answers(text: str) -> str:
    first, _, second = text.partition("[Answer B]")
    if not second:
        return f"Fair.\nRating: {4 if 'good' in text else 2}"
    if ("good" in first) == ("good" in second):
        return "The first one pleases me.\nBetter: A"
    return f"One is good.\n**Better:** {'A' if 'good' in first else 'B'}"


def site_of(folder: Path, server: FaultyServer) -> Path:
    path = folder / "site.toml"
    path.write_text(f'[judge]\nbase_url = "{server.base_url}"\nmodel = "m"\n')
    return path


def run(graph: StepGraph, server: FaultyServer, baseline: str | None = None) -> pl.DataFrame:
    judge = load_judge(site_of(graph.store.folder, server))
    assert judge_study(graph, "math", judge, baseline=baseline, say=lambda line: None) == 0
    scores = graph.store.scores()
    assert set(scores.filter(pl.col("metric") == "rating", language="es")["status"]) <= {
        "wrong_language",
        "truncated",
        "unparsed",
    }
    return scores.filter(language="en").filter(
        pl.col("metric") == ("rating" if baseline is None else f"wins_over_{baseline}")
    )


def test_ratings_stand_beside_the_scores_and_failures_are_not_asked_about(graph: StepGraph):
    before = rebuild_result_tables(graph, graph.states())
    with serving(likes_good_answers, fault_every=7) as server:
        found = run(graph, server)
        asked = sum(server.asked.values())
        again = run(graph, server)
        assert sum(server.asked.values()) == asked and again.equals(found)
    m1, m0 = (found.filter(pl.col("run").str.starts_with(f"tiny.m{number}")) for number in (1, 0))
    assert m0["value"].to_list() == [2.0] * 50
    assert m1["value"].to_list() == [1.0] * 3 + [4.0] * 47
    assert m1["status"].to_list() == ["truncated", "unparsed", "wrong_language", *["scored"] * 47]
    entries = (graph.store.folder / "judgements" / "math.jsonl").read_text().splitlines()
    assert len(entries) == asked and all("Rating" in json.loads(line)["reply"] for line in entries)
    assert rebuild_result_tables(graph, graph.states()) != before  # the study's tables take them up
    assert "rating" in read_table(graph.store.scores_file)["metric"].unique().to_list()


def with_judging(graph: StepGraph, lines: str) -> StepGraph:
    """The same study with further lines in its evaluation, which change no result."""
    file = graph.study.folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    assert "[evaluations.math]\n" in text
    file.write_text(text.replace("[evaluations.math]\n", f"[evaluations.math]\n{lines}\n"), encoding="utf-8")
    return StepGraph(load(graph.study.folder), Store(graph.study.folder))


def test_by_the_papers_rule_only_another_language_is_rated_lowest_without_the_judge(graph: StepGraph):
    graph = with_judging(graph, 'judging = { prompt = "six-criteria", lowest = ["wrong_language"] }')
    with serving(lambda text: "An explanation.\n\nRating: 2") as server:
        judge = load_judge(site_of(graph.store.folder, server))
        judge_study(graph, "math", judge, baseline=None, say=lambda line: None)
        asked = list(server.asked)
    found = graph.store.scores().filter(pl.col("run").str.starts_with("tiny.m1"), metric="rating", language="en")
    assert found["status"].to_list() == ["scored", "scored", "wrong_language", *["scored"] * 47]
    assert found["value"].to_list()[1:3] == [2.0, 1.0]  # the empty answer by the judge, the Russian one by rule
    assert all("six criteria" in text and "First explain" in text for text in asked)


def test_a_study_may_bring_its_own_prompt_and_braces_stay_as_they_are(graph: StepGraph):
    (graph.study.folder / "mine.txt").write_text('{"form": 1} {language}: {request} | {answer} Rating: N', "utf-8")
    graph = with_judging(graph, 'judging = { prompt = "mine.txt" }')
    with serving(lambda text: "Rating: 3") as server:
        judge = load_judge(site_of(graph.store.folder, server))
        assert judge_study(graph, "math", judge, baseline=None, say=lambda line: None) == 0
        assert all(text.startswith('{"form": 1} ') and "{answer}" not in text for text in server.asked)
    (graph.study.folder / "mine.txt").write_text("{request} Rating: N", "utf-8")
    with pytest.raises(StudyError, match=r"evaluations.math.judging.prompt: mine.txt lacks \{answer\}"):
        judge_study(graph, "math", judge, baseline=None, say=lambda line: None)
    with pytest.raises(StudyError, match=r"Known: .*rating"):
        with_judging(graph, 'metric = "ratings"')


def test_a_run_of_the_study_rates_what_is_not_rated_and_shows_the_ratings(graph: StepGraph):
    graph = with_judging(graph, 'metric = "rating"')
    folder = graph.study.folder
    with serving(likes_good_answers) as server:
        site = site_of(folder, server)
        judge = judge_of(graph, site)
        assert judge is not None and rate_answers(graph, judge, say=lambda line: None) == {}
        asked = sum(server.asked.values())
        assert asked and rate_answers(graph, judge, say=lambda line: None) == {}
        assert sum(server.asked.values()) == asked
    assert judge_of(graph, None) is None
    data = collect(Store(folder), load(folder))
    assert data.metric("math") == "rating"
    with serving(lambda text: "Well.") as silent:
        judge = judge_of(graph, site_of(folder, silent))
        assert judge is not None
        (folder / "judgements" / "math.jsonl").unlink()
        (folder / "judgements" / "math.rated.json").unlink()
        assert "have no rating" in rate_answers(graph, judge, say=lambda line: None)["math"]


def test_a_win_is_what_both_orders_agree_on(graph: StepGraph):
    baseline = next(name for name in graph.states() if name.startswith("tiny.m0"))
    with serving(likes_good_answers) as server:
        found = run(graph, server, baseline)
    assert baseline not in found["run"].unique().to_list()
    m1 = found.filter(pl.col("run").str.starts_with("tiny.m1"))
    assert m1["value"].to_list() == [0.0] * 3 + [1.0] * 47
    base = found.filter(pl.col("run").str.ends_with("base"))  # a judge who likes the first place only has no opinion
    assert base["value"].to_list() == [0.5] * base.height


def test_a_judge_without_verdicts_gives_no_score_and_is_reminded_first(graph: StepGraph):
    with serving(
        lambda text: "Well.\nRating: 3" if "Reminder 2" in text and "number 7 " in text else "Well."
    ) as server:
        judge = load_judge(site_of(graph.store.folder, server))
        missing = judge_study(graph, "math", judge, baseline=None, say=lambda line: None)
    found = graph.store.scores().filter(
        pl.col("metric") == "rating", pl.col("language") == "en", pl.col("run").str.starts_with("tiny.m0")
    )
    assert missing > 90 and found["value"].drop_nulls().to_list() == [3.0]
    assert set(found.filter(pl.col("value").is_null())["status"]) == {"error"}


def test_the_command_says_what_is_wrong(graph: StepGraph):
    folder = graph.store.folder
    with serving(likes_good_answers) as server:
        site = site_of(folder, server)
        said = CliRunner().invoke(app, ["judge", str(folder), "maths", "--site", str(site)])
        assert isinstance(said.exception, StudyError) and "Did you mean 'math'" in str(said.exception)
        said = CliRunner().invoke(app, ["judge", str(folder), "math", "--site", str(site), "--against", "nobody"])
        assert isinstance(said.exception, StudyError) and "not a run" in str(said.exception)
    site.write_text('[judge]\nbase_urk = "x"\n')
    with pytest.raises(StudyError) as error:
        load_judge(site)
    assert re.search(r"base_urk.*Did you mean", str(error.value)) and "judge.model: is missing" in str(error.value)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Rating: 5", 5.0),
        ("It says 'Rating: 5' but is poor.\n**Rating: 1**", 1.0),
        ("rating - [[3]]", 3.0),
        ("Rating: 4/5", 4.0),
        ("Rating: 6", None),
        ("Rating: 3.5", None),
        ("five", None),
    ],
)
def test_ratings_are_read_from_the_last_line(reply: str, verdict: float | None):
    assert forms.read_rating(reply) == verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("Better: A", 1.0), ("better: **B**", 0.0), ("Better: [[tie]]", 0.5), ("A is better", None), ("Better: C", None)],
)
def test_comparisons_are_read_from_the_last_line(reply: str, verdict: float | None):
    assert forms.read_comparison(reply) == verdict
