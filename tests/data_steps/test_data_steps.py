"""Steps of data: their file, their state, their price, and what an interruption or an edit leaves to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import places
import pytest
from endpoints import serving
from stand_in import StandIn, answer

import crosslift
from crosslift.data_steps.load import load_steps
from crosslift.data_steps.state import state_of
from crosslift.errors import StudyError
from crosslift.remote import endpoint
from crosslift.studies.presets import preset_data_text, preset_names, preset_text, scales_of
from crosslift.translation.recipe import load_recipe

pytest.importorskip("openai")

NUM_ITEMS = 20
STUDY = """
name = "small"
data_seed = 3
[models.m]
path = "pocket:qwen3-s"
[corpora.train]
reader = "jsonl"
task = "math"
path = "data/train"
languages = ["en", "es", "sw"]
incomplete = "drop"
[corpora.test]
reader = "jsonl"
task = "math"
split = "test"
path = "data/validation"
languages = ["en", "es", "sw"]
[mixtures.all]
components = [{ corpus = "train", shares = { en = 0.5, es = 0.5 } }]
budget = { amount = 1000, if_fewer = "all" }
pairing = "shared"
[training]
epochs = 1.0
learning_rate = 1e-4
batch_examples = 4
[evaluations.math]
corpus = "test"
"""
DATA = """
[steps.translated]
kind = "translate"
recipe = "recipe.toml"
output = "data/translated"

[steps.parts]
kind = "split"
input = "data/translated"
languages = ["en", "es", "sw"]
number = 4
output = "data/train"
validation = "data/validation"
"""
RECIPE = """
[source]
reader = "jsonl"
task = "math"
path = "english.jsonl"
languages = ["en"]
[translation]
languages = ["es", "sw"]
max_attempts = 2
"""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "data.toml").write_text(DATA)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    rows = [
        {
            "item_id": f"i{number}",
            "language": "en",
            "prompt": f"Please tell me the price of {number} tickets and of the meeting room.",
            "completion": f"It is {number + 1}.",
            "answer": f"{number + 1}",
            "cluster": f"c{number // 2}",
        }
        for number in range(NUM_ITEMS)
    ]
    (tmp_path / "english.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def site(folder: Path, base_url: str, prices: str = "prices = [1.0, 2.0]") -> None:
    (folder / "site.toml").write_text(f'[translation]\nbase_url = "{base_url}"\nmodel = "m"\n{prices}\n')


def ids(folder: Path) -> set[str]:
    return {json.loads(line)["item_id"] for line in (folder / "es.jsonl").read_text().splitlines()}


def test_steps_are_made_in_turn_and_a_change_makes_again_what_depends_on_it(study: Path):
    with serving(answer, server=StandIn) as server:
        site(study, server.base_url)
        assert all(one.is_done for one in crosslift.make_data(study).steps)
        asked = server.asked.total()
        whole = {file: file.read_bytes() for file in (study / "data").rglob("*.jsonl") if "steps" not in file.parts}
        crosslift.make_data(study)
        assert server.asked.total() == asked
        held = ids(study / "data" / "validation")
        assert len(held) == 4 and len({int(one[1:]) // 2 for one in held}) == 2  # dependent items stay together
        assert ids(study / "data" / "train") | held == {f"i{number}" for number in range(NUM_ITEMS)}

        (study / "data" / "train" / "es.jsonl").unlink()
        (study / "data" / "translated" / "sw.jsonl").write_text("damaged")
        states = [state_of(step, data_seed=3).what for step in load_steps(study)]
        assert states == ["to make again", "to make again"]
        crosslift.make_data(study)
        assert server.asked.total() == asked  # from the journal
        assert {file: file.read_bytes() for file in whole} == whole

        (study / "study.toml").write_text(STUDY.replace("data_seed = 3", "data_seed = 4"))
        crosslift.make_data(study)
        assert server.asked.total() == asked and ids(study / "data" / "validation") != held


def test_what_cannot_be_translated_is_left_out_in_all_languages_and_the_mixture_has_what_is_left(study: Path):
    def stubborn(asked: str) -> str:
        return "1" if "Swahili" in asked and "price of 7 tickets" in asked else answer(asked)

    with serving(stubborn, server=StandIn) as server:
        site(study, server.base_url)
        said: list[str] = []
        crosslift.make_data(study, progress=said.append)
    assert any("19 of 20 items in all of en, es, sw; 1 rows set aside" in line for line in said)
    assert "i7" not in ids(study / "data" / "train") | ids(study / "data" / "validation")
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.execution.phases.prepare import prepare
    from crosslift.studies.parsing.load import load

    graph = StepGraph(load(study), Store(study))
    prepare(graph, say=lambda line: None)
    manifest = json.loads((study / "mixtures" / "all" / "manifest.json").read_text())
    num_train = len(ids(study / "data" / "train"))
    assert manifest["num_examples"] == num_train == 15
    assert manifest["budget"]["if_fewer"] == "all"


def test_the_first_items_are_completed_later_and_only_the_others_are_paid(study: Path):
    with serving(answer, server=StandIn) as server:
        site(study, server.base_url)
        crosslift.make_data(study, max_items=6)
        assert len(ids(study / "data" / "translated")) == 6
        states = [state_of(step, data_seed=3) for step in load_steps(study)]
        assert {state.reason for state in states} == {"it holds the first 6 items only"}
        left = crosslift.plan_data(study)
        assert "replies are here and are not paid again" in left.steps[0].sentence()
        crosslift.make_data(study)
        assert set(server.asked.values()) == {1}
    assert len(ids(study / "data" / "translated")) == NUM_ITEMS


def test_price_and_time_are_said_before_or_why_they_are_not_known(study: Path):
    plan = crosslift.plan_data(study)
    assert "there is no site.toml" in plan.steps[0].sentence() and plan.cost is None
    site(study, "http://127.0.0.1:1/v1", prices="")
    plan = crosslift.plan_data(study)
    assert "price unknown: [translation] of site.toml has no prices" in plan.steps[0].sentence()
    assert "price unknown of translated" in plan.lines()[-1]
    site(study, "http://127.0.0.1:1/v1")
    plan = crosslift.plan_data(study)
    first, second = plan.steps
    expected = first.expected
    assert expected.num_requests == 2 * 2 * NUM_ITEMS
    assert first.cost == pytest.approx((expected.num_prompt_tokens + 2 * expected.num_completion_tokens) / 1e6)
    assert "price about" in first.sentence() and "8 requests at once, 50 tokens a second each" in first.sentence()
    assert "nothing is sent" in second.sentence() and "16 items for training, 4 for validation" in second.sentence()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('kind = "split"', 'kind = "splits"', "there is no kind of step 'splits'. Did you mean 'split'"),
        ("number = 4", "numbers = 4", "unknown key 'numbers'"),
        ('"recipe.toml"', '"none.toml"', "steps.translated.recipe: .*none.toml does not exist"),
        ('output = "data/train"', 'output = "data/translated"', "must be three folders"),
        ("[steps.parts]", "[other]", "other: is not known"),
        ('languages = ["en", "es", "sw"]', 'languages = ["en", "xx-no"]', "is not a language tag"),
    ],
)
def test_a_wrong_file_of_steps_is_named_with_the_place(study: Path, old: str, new: str, complaint: str):
    (study / "data.toml").write_text(DATA.replace(old, new))
    with pytest.raises(StudyError, match=complaint):
        load_steps(study)


def test_a_study_without_steps_says_so(tmp_path: Path):
    (tmp_path / "study.toml").write_text(STUDY)
    assert crosslift.plan_data(tmp_path).steps == ()
    with pytest.raises(StudyError, match="its data are not made"):
        crosslift.make_data(tmp_path)


def test_every_path_of_a_full_preset_that_is_not_published_is_made_by_a_step(tmp_path: Path):
    from crosslift.studies.parsing.load import load

    for name in preset_names():
        for scale in scales_of(name):
            folder = tmp_path / f"{name}-{scale}"
            folder.mkdir()
            (folder / "study.toml").write_text(preset_text(name, scale))
            text = preset_data_text(name, scale)
            made = set()
            if text is not None:
                (folder / "data.toml").write_text(text)
                made = {path for step in load_steps(folder) for path in outputs(step)}
            read = {source.path for source in load(folder, data="optional").corpora.values() if source.path is not None}
            assert read <= made, (name, scale)


def outputs(step):
    from crosslift.data_steps.load import kind_of

    return kind_of(step).outputs(step)


def test_recipes_translate_into_exactly_the_languages_of_the_preset(tmp_path: Path):
    from full_design import full_study

    first = full_study("english-is-not-all-you-need", tmp_path / "p1").corpora
    second = full_study("post-trainers-guide", tmp_path / "p2").corpora
    for recipe, corpus in (
        ("api-bank-train", first["calls"]),
        ("api-bank-train", first["calls-dev"]),
        ("api-bank-test", first["calls-test"]),
        ("sharegpt-prompts", second["instructions"]),
    ):
        loaded = load_recipe(Path(recipe))
        assert {*loaded.source.languages, *loaded.languages} == set(corpus.languages)
        assert corpus.incomplete == "drop" or recipe == "sharegpt-prompts"
    for recipe, name in (("mgsm-test", "math-test-translated"), ("mgsm-examples", "math-examples-translated")):
        assert set(load_recipe(Path(recipe)).languages) == set(second[name].languages)


def test_the_page_of_the_presets_says_what_their_steps_cost(tmp_path: Path):
    page = (places.REPOSITORY / "docs" / "presets.md").read_text(encoding="utf-8")
    stated = re.search(r"```toml\n(\[translation\].*?)```", page, re.DOTALL)[1]
    table = [line for line in page.splitlines() if line.startswith("| `")]
    for name in ("english-is-not-all-you-need", "post-trainers-guide"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "study.toml").write_text(preset_text(name, "full"))
        (folder / "data.toml").write_text(preset_data_text(name, "full"))
        (folder / "site.toml").write_text(stated.split("[judge]")[0])
        for one in crosslift.plan_data(folder).steps:
            row = next(line for line in table if f"`{one.step.name}`" in line.split("|")[1])
            if one.asks and one.step.name not in ("math-test", "math-examples"):
                assert f"{one.expected.num_requests:,} " in row and f" {one.cost:,.2f} " in row, one.sentence()
