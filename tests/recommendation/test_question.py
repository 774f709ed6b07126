"""A question is read from options or a file, with all its problems at once; answers respect what it says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from finished_study import write_finished_study
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import crosslift
from crosslift.api.questions.recommending import read_question
from crosslift.cli import app
from crosslift.errors import StudyError, TransferError
from crosslift.recommendation.observing.question_file import question_toml
from crosslift.recommendation.question import Cost, Floor, Question, question_of

FILE = """
evaluations = { math = 2, api = 1 }
model = "qwen"
budget = 3000
languages = ["en", "swh", "de"]
objective = "weighted"
weights = { sw = 100, de = 90 }
at_least = { en = 0.6, math = { de = 0.5 } }
existing = { en = "all", de = 500 }
translatable = 5000
costs = { sw = 2.5, de = { per_token = 0.002, fixed = 200 } }
"""
QUESTION = Question(
    evaluations={"math": 2.0, "api": 1.0},
    model="qwen",
    budget=3000,
    languages=("en", "sw", "de"),
    objective="weighted",
    weights={"sw": 100.0, "de": 90.0},
    floors=(Floor(language="en", minimum=0.6), Floor(language="de", minimum=0.5, evaluation="math")),
    existing={"en": math.inf, "de": 500.0},
    translatable=5000,
    costs={"sw": Cost(amount=2.5), "de": Cost(amount=0.002, per="token", fixed=200.0)},
)


def test_a_file_says_what_is_asked_and_options_replace_its_entries(tmp_path: Path):
    file = tmp_path / "question.toml"
    file.write_text(FILE)
    assert read_question(file) == QUESTION
    assert read_question(file, {"budget": 10.0, "costs": {"de": 2.0}}).costs == {"de": Cost(amount=2.0)}
    file.write_text(question_toml(QUESTION))
    assert read_question(file) == QUESTION


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path):
    file = tmp_path / "question.toml"
    file.write_text(
        'budgt = 1\nunit = "bytes"\ncosts = { en = 0, sw = { per_item = 1, per_token = 2 } }\nlanguages = "en"\n'
    )
    with pytest.raises(StudyError) as found:
        read_question(file, {"budget": -1.0}, prefix="--")
    told = "\n".join(found.value.problems)
    for part in ("--budget -1", "Did you mean 'budget'", "question.toml, unit", "question.toml, costs.en.per_unit",
                 "question.toml, languages"):  # fmt: skip
        assert part in told
    file.write_text(
        'languages = ["xx"]\nexisting = { sw = 1, swh = 2 }\nweights = { en = 0 }\n'
        "costs.sw = { per_item = 1, per_token = 2 }\n"
    )
    with pytest.raises(StudyError) as found:
        read_question(file)
    assert len(found.value.problems) == 4


values = st.floats() | st.sampled_from([0.0, -1.0, math.nan, math.inf])
codes = st.sampled_from(["en", "sw", "swh", "xx", "", "math:en", ":"])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "evaluation": st.none() | st.text(max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=2),
            "budget": st.none() | values,
            "unit": st.sampled_from(["items", "tokens", "bytes"]),
            "languages": st.lists(codes, max_size=3),
            "costs": st.dictionaries(codes, values | st.builds(Cost, amount=values, fixed=values), max_size=3),
            "existing": st.dictionaries(codes, values | st.sampled_from(["all", "some"]), max_size=3),
            "translatable": st.none() | values,
            "objective": st.sampled_from(["mean", "worst", "weighted", "best"]),
            "weights": st.dictionaries(codes, values, max_size=3),
            "at_least": st.dictionaries(codes, values, max_size=3),
            "english_at_least": st.none() | values,
        },
    )
)
def test_any_option_is_understood_or_told_to_be_wrong(options: dict):
    try:
        asked = question_of(options)
    except StudyError as error:
        assert error.problems and all(error.problems)
        return
    assert asked.budget is None or asked.budget > 0
    assert all(cost.amount > 0 and cost.fixed >= 0 for cost in asked.costs.values())
    assert all(0 <= floor.minimum <= 1 for floor in asked.floors)


def taught(run: str, tag: str, item: int) -> bool:
    number = int(run.split(".m")[1].split(".")[0])
    return (item * 7 + ord(tag[0])) % 50 < 15 + 20 * (tag == ("es", "sw")[number % 2])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("question") / "study"
    write_finished_study(folder, num_mixtures=6, num_seeds=1, tags=("en", "es", "sw"), right=taught)
    return folder


def test_what_exists_is_free_and_every_amount_has_its_price(study: Path):
    options = ["--existing", "en=all", "--cost", "es=2", "--fixed-cost", "sw=30", "--budget", "100", "--next", "0"]
    done = CliRunner().invoke(app, ["recommend", str(study), *options])
    assert done.exit_code == 0, done.output + repr(done.exception)
    advice = crosslift.open_study(study).recommend(
        existing={"en": "all"}, costs={"es": 2.0, "sw": Cost(fixed=30.0)}, budget=100, num_next_runs=0
    )
    found = advice.recommendation
    assert found is not None
    paid = advice.budget.costs_by_language(found.amounts)
    assert "en" not in paid and sum(paid.values()) <= 100
    assert paid.get("es", 0.0) == 2 * found.amounts.get("es", 0.0)
    assert paid.get("sw", 0.0) == found.amounts.get("sw", 0.0) + 30 * ("sw" in found.amounts)
    assert f"it costs {sum(paid.values()):,.0f} of 100" in done.output


def test_a_cost_per_token_is_that_of_the_tokens_of_an_item(study: Path):
    advice = crosslift.open_study(study).recommend(costs={"es": Cost(amount=0.1, per="token")}, num_next_runs=0)
    assert advice.budget.costs["es"] == pytest.approx(0.1 * 29, rel=0.05)


def test_more_than_the_corpora_hold_is_proposed_only_if_it_can_be_translated(study: Path, tmp_path: Path):
    asked = {"languages": ["es"], "budget": 400.0, "num_next_runs": 0}
    opened = crosslift.open_study(study)
    held = opened.recommend(**asked)
    assert held.recommendation is not None and held.recommendation.amounts["es"] <= 106 and not held.to_translate
    bought = opened.recommend(translatable=300, existing={"es": 50}, **asked)
    assert bought.recommendation is not None
    assert bought.to_translate == ({} if bought.recommendation.amounts["es"] <= 106 else bought.to_translate)
    unheld = opened.recommend(languages=["es", "th"], translatable=300, num_next_runs=0)
    assert unheld.untold == ("th",) and unheld.pilots[0].num_runs >= 4 and "th" in unheld.pilots[0].amounts


def test_bounds_of_any_language_are_kept_or_told_to_be_too_high(study: Path):
    opened = crosslift.open_study(study)
    advice = opened.recommend(at_least={"es": 0.4, "en": 0.1}, num_next_runs=0)
    assert advice.recommendation is not None and advice.recommendation.expected_by_language["es"] > 0.4
    with pytest.raises(
        TransferError, match=r"no candidate keeps English above 0.2 and Spanish above 0.9.*each by itself"
    ):
        opened.recommend(at_least={"es": 0.9, "en": 0.2}, num_next_runs=0)
    with pytest.raises(TransferError, match="no run is evaluated in th"):
        opened.recommend(at_least={"th": 0.1})
    with pytest.raises(StudyError, match="either a question or options"):
        opened.recommend(Question(), budget=3)


def test_a_question_file_answers_as_its_options_do(study: Path, tmp_path: Path):
    file = tmp_path / "question.toml"
    file.write_text('budget = 120\nlanguages = ["es", "sw"]\ncosts = { sw = 2 }\nat_least = { es = 0.2 }\n')
    opened = crosslift.open_study(study)
    told = opened.recommend(file, num_next_runs=0)
    same = opened.recommend(budget=120, languages=["es", "sw"], costs={"sw": 2}, at_least={"es": 0.2}, num_next_runs=0)
    assert told.recommendation.amounts == same.recommendation.amounts
    assert told.recommendation.expected_objective == pytest.approx(same.recommendation.expected_objective, abs=0.005)
    done = CliRunner().invoke(app, ["recommend", str(study), "--question", str(file), "--next", "0"])
    assert done.exit_code == 0 and "budget 120" in done.output
    page = (study / "report" / "recommendation" / "index.html").read_text()
    assert page.index("<h2>Decision</h2>") < page.index("<h2>Why</h2>") < page.index("<h2>What would change it</h2>")
    again = read_question(study / "report" / "recommendation" / "question.toml")
    assert (again.budget, again.languages, again.model) == (120.0, ("es", "sw"), "tiny")
