"""A pilot is a study that passes all checks once its translations exist, within its budget, and says what it tells."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import crosslift
from crosslift.api.opening import open_graph
from crosslift.api.running import check_graph
from crosslift.errors import StoreError, StudyError
from crosslift.recommendation.observing.question_file import options_of
from crosslift.recommendation.question import Cost
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.plan import plan
from crosslift.translation.recipe import load_recipe

TAGS = ("en", "es", "sw", "de")


def write_data(file: Path, *, tags: tuple[str, ...] = ("en",), num_items: int = 200, first: int = 0) -> Path:
    lines = [
        {
            "item_id": f"i{number}",
            "language": tag,
            "prompt": f"{tag}: what is {number} + 1?",
            "completion": f"{tag}: {number + 1}.",
            "answer": str(number + 1),
            "cluster": f"c{number // 2}",
        }
        for number in range(first, first + num_items)
        for tag in tags
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def translate_all(folder: Path, *, without: int = 0) -> None:
    """What `crosslift translate` would write; the first items of Swahili are set aside."""
    for split in ("train", "test"):
        recipe = load_recipe(folder / f"translate-{split}.toml")
        assert recipe.source.path is not None
        lines = [json.loads(line) for line in recipe.source.path.read_text(encoding="utf-8").splitlines()]
        for tag in recipe.languages:
            kept = lines[without if tag == "sw" else 0 :]
            text = "".join(json.dumps(line | {"language": tag}) + "\n" for line in kept)
            (folder / "data" / split / f"{tag}.jsonl").write_text(text, encoding="utf-8")


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_pilot_passes_check_once_its_translations_exist(tmp_path: Path) -> None:
    data, folder = write_data(tmp_path / "english.jsonl"), tmp_path / "pilot"
    found = crosslift.pilot(folder, model="pocket:qwen3-s", data=data, languages=TAGS[1:], num_runs=9)
    study = load(folder)  # corpora are folders, so that the file is valid before they are complete
    assert (found.num_train, found.num_test, found.cost) == (150, 50, 600)
    assert found.to_translate == {"es": 200, "sw": 200, "de": 200}
    translate_all(folder, without=4)  # fewer than a twentieth
    graph = open_graph(folder)
    assert not check_graph(graph, say=lambda line: None)
    assert len([run for run in graph.runs.values() if run.mixture is not None]) == found.num_runs == 9
    assert {sum(one.amounts().values()) for one in study.mixtures.values()} <= {142, 71, 35}
    assert any(command.startswith("crosslift translate ") for command in found.commands)


def test_one_cell_has_two_seeds_and_the_larger_model_waits(tmp_path: Path) -> None:
    data, folder = write_data(tmp_path / "english.jsonl"), tmp_path / "pilot"
    crosslift.pilot(folder, model="pocket:qwen3-s", larger="pocket:qwen3-m", data=data, languages=["sw"], num_runs=5)
    study = load(folder)
    seeds = [run.seed for run in study.runs() if run.mixture is not None and run.mixture.name == "pilot-en"]
    assert seeds == [0, 1]
    assert [(arm.name, arm.enabled) for arm in study.blocks[1:]] == [("noise", True), ("larger", False)]
    assert plan(study).num_steps is not None


def test_the_budget_decides_how_many_items_are_translated(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    costs = {"sw": Cost(amount=3.0, fixed=50.0)}
    found = crosslift.pilot(
        tmp_path / "pilot", model="org/m", data=data, languages=["es", "sw"], budget=2000, costs=costs, num_runs=4
    )
    assert sum(found.to_translate.values()) == 2 * 137  # (600 - 50) / (1 + 3)
    assert found.cost == 50 + 4 * 137
    assert found.num_train + found.num_test == 137
    options = options_of(tmp_path / "pilot" / "question.toml")
    assert (options["budget"], options["evaluation"], options["model"]) == (2000, "math", "small")


def test_what_exists_is_not_translated(tmp_path: Path) -> None:
    data, folder = write_data(tmp_path / "all.jsonl", tags=TAGS), tmp_path / "pilot"
    found = crosslift.pilot(folder, model="pocket:qwen3-s", data=data, data_languages=TAGS, languages=["sw", "de"])
    assert not found.to_translate and not any("translate" in command for command in found.commands)
    assert not check_graph(open_graph(folder), say=lambda line: None)
    assert sorted(file.name for file in (folder / "data" / "train").iterdir()) == ["de.jsonl", "en.jsonl", "sw.jsonl"]


def test_training_and_test_items_share_no_cluster_and_own_test_data_are_kept_apart(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    test = write_data(tmp_path / "test.jsonl", first=1000, num_items=60)
    for name, options in (("split", {}), ("own", {"test": test})):
        crosslift.pilot(tmp_path / name, model="org/m", data=data, languages=["sw"], num_runs=4, **options)
        train, held = (
            {json.loads(line)["cluster"] for line in (tmp_path / name / "source" / file).read_text().splitlines()}
            for file in ("train.jsonl", "test.jsonl")
        )
        assert not train & held
    assert min(int(cluster[1:]) for cluster in held) >= 500


def test_a_larger_pilot_keeps_the_items_of_a_smaller_one(tmp_path: Path) -> None:
    data, test = write_data(tmp_path / "english.jsonl"), write_data(tmp_path / "t.jsonl", first=1000, num_items=60)
    items = []
    for budget in (120, 180):
        folder = tmp_path / f"pilot-{budget}"
        crosslift.pilot(
            folder,
            model="org/m",
            data=data,
            test=test,
            languages=["sw"],
            pilot_budget=budget,
            num_test_items=30,
            num_runs=4,
        )
        items.append({json.loads(line)["item_id"] for line in (folder / "source" / "train.jsonl").open()})
    assert items[0] < items[1]


def test_all_errors_are_reported_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    with pytest.raises(StudyError) as caught:
        crosslift.pilot(
            tmp_path / "pilot", model="org/m", larger="org/m", data=data, languages=["sw"], num_runs=2,
            num_test_items=3,
            costs={"sw": Cost(amount=1.0, per="token")},
        )  # fmt: skip
    assert len(str(caught.value).splitlines()) == 4
    with pytest.raises(StudyError, match=r"the budget for translations, 30, allows 30 items .* 70 would do"):
        crosslift.pilot(tmp_path / "pilot", model="org/m", data=data, languages=["sw"], pilot_budget=30)
    with pytest.raises(StudyError, match="Name the languages to consider"):
        crosslift.pilot(tmp_path / "pilot", model="org/m", data=data)
    assert not (tmp_path / "pilot").exists()


def test_a_used_folder_is_left_alone(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    before = everything(tmp_path)
    with pytest.raises(StoreError, match="not an empty folder"):
        crosslift.pilot(tmp_path, model="org/m", data=data, languages=["sw"])
    assert everything(tmp_path) == before


def test_no_path_of_this_machine_is_written(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    data, folder = write_data(tmp_path / "english.jsonl"), tmp_path / "studies" / "pilot"
    crosslift.pilot(folder, model=str(tmp_path / "model"), data=data, languages=["sw"], num_runs=4)
    assert tomllib.loads((folder / "study.toml").read_text())["models"]["small"]["path"] == "../../model"
    assert not [file for file, content in everything(folder).items() if str(tmp_path).encode() in content]


def test_the_same_pilot_is_written_again(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    found = [
        crosslift.pilot(tmp_path / place / "pilot", model="org/m", data=data, languages=["sw", "de"], num_runs=6)
        for place in ("one", "two")
    ]
    one, two = (
        {file.relative_to(each.folder): content for file, content in everything(each.folder).items()} for each in found
    )
    assert one == two


def test_the_sentences_state_power_translations_and_what_carries_over(tmp_path: Path) -> None:
    data = write_data(tmp_path / "english.jsonl")
    found = crosslift.pilot(
        tmp_path / "pilot", model="org/small", larger="org/large", data=data, languages=["sw"], num_runs=5
    )
    text = "\n".join(found.sentences)
    assert re.search(r"differ by \d+\.\d points", text) and f"{100 * found.detectable:.1f} points" in text
    assert "200 items into each of sw" in text
    assert "What does not" in text and "org/small to org/large" in text
    assert all(sentence in (tmp_path / "pilot" / "pilot.md").read_text() for sentence in found.sentences)
