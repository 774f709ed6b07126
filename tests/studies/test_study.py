"""A study file becomes runs; what decides a run's result is its identity, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path

import pytest

from crosslift.fingerprint import fingerprint
from crosslift.studies.parsing.load import json_schema, load
from crosslift.studies.parsing.schema.study_file import StudyFile
from crosslift.studies.parsing.schema.training import LoRATable, TrainingTable
from crosslift.studies.presets import preset_names, preset_text, scales_of
from crosslift.studies.study import Study
from crosslift.training.trainer import LoRAConfig, SFTConfig

OTHER = """
[mixtures.sw]
components = [{ corpus = "train", counts = { sw = 2 } }]
pairing = "shared"

"""


def change(folder: Path, *changes: str) -> Study:
    """`changes`: old, new, old, new ..."""
    file = folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return load(folder)


def identities(study: Study) -> dict[str, str]:
    return {run.name: fingerprint(study.identity_of(run)) for run in study.runs()}


def test_runs_are_base_models_and_every_mixture_with_every_seed(study_folder: Path) -> None:
    study = load(study_folder)
    mixtures = ("en", "en50-sw50", "cov-en", "cov-en-sw", "cov-en-sw-es")
    trained = [f"tiny.{mixture}.s{seed}" for mixture in mixtures for seed in (0, 1)]
    assert [run.name for run in study.runs()] == ["tiny.base", *trained]


def test_defaults_come_from_task_and_corpus(study_folder: Path) -> None:
    evaluation = load(study_folder).evaluations["math"]
    assert (evaluation.languages, evaluation.task, evaluation.max_tokens) == (("en", "sw", "te"), "math", 512)
    assert load(study_folder).prompts["train"] == "bare"


def test_the_file_itself_may_be_named_instead_of_its_folder(study_folder: Path) -> None:
    assert load(study_folder / "study.toml") == load(study_folder)


def test_a_family_stands_for_its_members_without_the_control(study_folder: Path) -> None:
    (contrast,) = load(study_folder).contrasts
    assert contrast.treatments == ("en50-sw50", "cov-en", "cov-en-sw", "cov-en-sw-es")
    study = change(study_folder, 'control = "en"', 'control = "cov-en"')
    assert study.contrasts[0].treatments == ("en50-sw50", "cov-en-sw", "cov-en-sw-es")


def test_the_grid_chooses_models_and_mixtures(study_folder: Path) -> None:
    study = change(study_folder, "seeds = [0, 1]\nbase = true", 'mixtures = ["en", "cov", "en50-sw50"]')
    assert list(study.mixtures) == ["en", "cov-en", "cov-en-sw", "cov-en-sw-es", "en50-sw50"]
    assert (study.blocks[0].base, study.seeds) == (False, (0,))


def test_a_run_is_evaluated_on_its_own_tasks_and_a_base_model_on_all(study_folder: Path) -> None:
    calls = """\
[evaluations.calls]
corpus = "calls"

[corpora.calls]
reader = "jsonl"
task = "api_calling"
split = "test"
languages = ["en"]
path = "dev.jsonl"

"""
    study = change(study_folder, "[[contrasts]]", calls + "[[contrasts]]")
    base, trained = study.runs()[:2]
    assert [one.name for one in study.evaluations_of(base)] == ["math", "calls"]
    assert [one.name for one in study.evaluations_of(trained)] == ["math"]


def test_a_run_is_validated_in_its_own_languages(study_folder: Path) -> None:
    study = load(study_folder)
    found = {run.name: study.validation_of(run) for run in study.runs()}
    assert found["tiny.base"] == {}
    assert found["tiny.cov-en-sw.s0"] == {"dev": ("en", "sw")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "toy"', 'name = "other"'),
        ('question = "Does Swahili help?"', 'question = "?"'),
        ("[mixtures.en50-sw50]", OTHER + "[mixtures.en50-sw50]"),
        ("seeds = [0, 1]", "seeds = [0, 1, 2]"),
        ('corpus = "test"', 'corpus = "test"\nmax_tokens = 9'),
        ("primary = true", "primary = false"),
        ("[models.tiny]", '[models.second]\npath = "owner/name"\n\n[models.tiny]'),
        ('nested = ["en", "sw", "es"]', 'nested = ["en", "sw"]'),
    ],
)
def test_what_does_not_decide_a_result_leaves_other_runs_alone(study_folder: Path, old: str, new: str) -> None:
    before = identities(load(study_folder))
    after = identities(change(study_folder, old, new))
    common = before.keys() & after.keys()
    assert len(common) >= len(before) - 2
    assert {name: after[name] for name in common} == {name: before[name] for name in common}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data_seed = 7", "data_seed = 8"),
        ("learning_rate = 1e-3", "learning_rate = 2e-3"),
        ("max_items = 6", "max_items = 7"),
        ("amount = 6", "amount = 5"),
        ("max_items = 2", "max_items = 3"),
        ('path = "train.jsonl"', 'path = "train.jsonl"\nprompt = "mcot"'),
        ('path = "./tiny"', 'path = "./tiny"\ntemplate = "plain"'),
        ('path = "./tiny"', 'path = "./tiny"\nrevision = "abc"'),
    ],
)
def test_what_decides_a_result_changes_every_trained_run(study_folder: Path, old: str, new: str) -> None:
    before = identities(load(study_folder))
    after = identities(change(study_folder, old, new))
    assert before.keys() == after.keys()
    assert all(after[name] != before[name] for name in before if not name.endswith("base"))


def test_the_name_of_a_mixture_does_not_decide_its_result(study_folder: Path) -> None:
    before = identities(load(study_folder))
    after = identities(change(study_folder, "[families.cov]", "[families.spread]", '"cov"]', '"spread"]'))
    assert after["tiny.spread-en-sw.s1"] == before["tiny.cov-en-sw.s1"]


def test_a_study_that_is_moved_stays_what_it_was(study_folder: Path, tmp_path: Path) -> None:
    before = identities(load(study_folder))
    shutil.move(study_folder, tmp_path / "elsewhere")
    moved = load(tmp_path / "elsewhere")
    assert identities(moved) == before
    assert moved.corpora["train"].path == tmp_path / "elsewhere" / "train.jsonl"


def test_the_content_of_a_template_counts_and_not_its_name(study_folder: Path) -> None:
    for name in ("a.jinja", "b.jinja"):
        (study_folder / name).write_text("{{ messages }}")
    first = identities(change(study_folder, 'path = "./tiny"', 'path = "./tiny"\ntemplate = "a.jinja"'))
    second = identities(change(study_folder, "a.jinja", "b.jinja"))
    assert first == second
    (study_folder / "b.jinja").write_text("{{ other }}")
    assert identities(load(study_folder)) != second


def test_the_table_of_training_has_the_fields_and_defaults_of_the_trainer() -> None:
    for table, config, extra in (
        (TrainingTable, SFTConfig, {"validation"}),
        (LoRATable, LoRAConfig, set()),
    ):
        fields = {field.name: field for field in dataclasses.fields(config)}
        assert set(table.model_fields) - extra == set(fields)
        for name, field in fields.items():
            if field.default is not dataclasses.MISSING:
                assert table.model_fields[name].default == field.default, name


def test_lora_has_defaults(study_folder: Path) -> None:
    assert load(study_folder).training.lora is None
    training = change(study_folder, "epochs = 2", 'epochs = 2\nmethod = "lora"').training
    assert training.lora == LoRAConfig()
    targets = change(
        study_folder, 'method = "lora"', 'method = "lora"\nlora = { target_modules = ["q_proj"] }'
    ).training
    assert targets.lora == LoRAConfig(target_modules=("q_proj",))


def test_the_schema_for_editors_knows_every_table() -> None:
    found = json_schema()
    json.dumps(found)
    assert set(StudyFile.model_fields) == set(found["properties"])
    assert found["additionalProperties"] is False


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name in preset_names() for scale in scales_of(name)])
def test_presets_are_right_apart_from_their_models(name: str, scale: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    text = "\n".join(
        'path = "./m"' if line.startswith('path = "pocket:') else line for line in preset_text(name, scale).splitlines()
    )
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path, data="optional").runs()


def test_two_hundred_runs_load_in_a_quarter_of_a_second(study_folder: Path) -> None:
    seeds = ", ".join(str(seed) for seed in range(40))
    study = change(study_folder, "seeds = [0, 1]", f"seeds = [{seeds}]")
    assert len(study.runs()) == 201
    start = time.process_time()
    study = load(study_folder)
    _ = [study.identity_of(run) for run in study.runs()]
    assert time.process_time() - start < 0.25
