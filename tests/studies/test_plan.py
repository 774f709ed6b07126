"""The plan counts runs and costs before anything runs, and states the confounds of the design."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from tiny_study import dose_families

from crosslift.errors import StudyError
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.plan import Plan, plan
from crosslift.studies.planning.rehearsal import Rehearsal, rehearse
from crosslift.studies.planning.volume import num_parameters, training_flops
from crosslift.studies.run import Model
from crosslift.studies.site import Site, load_site


def planned(folder: Path, *changes: tuple[str, str]) -> Plan:
    file = folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return plan(load(folder))


def weights(folder: Path, shapes: dict[str, list[int]]) -> None:
    size = 4 * max(math.prod(shape) for shape in shapes.values())
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, size]} for name, shape in shapes.items()}
    )
    file = len(header).to_bytes(8, "little") + header.encode() + bytes(size)
    (folder / "tiny" / "model.safetensors").write_bytes(file)


def test_steps_examples_and_evaluations_are_counted_per_run(study_folder: Path) -> None:
    found = planned(study_folder)
    base, trained = found.runs[:2]
    assert (base.num_examples, base.num_steps, base.evaluations) == (0, 0, ("math.en", "math.sw", "math.te"))
    assert (trained.num_examples, trained.num_steps) == (6, 6)  # 2 epochs of 3 batches of 2
    assert (found.num_steps, found.num_evaluations) == (60, 33)


def test_disk_is_that_of_the_checkpoints_and_unknown_before_a_download(study_folder: Path) -> None:
    assert planned(study_folder).disk_bytes is None
    weights(study_folder, {"model.embed_tokens.weight": [50, 8], "model.layers.0.q_proj.weight": [8, 16]})
    size = (study_folder / "tiny" / "model.safetensors").stat().st_size
    assert planned(study_folder).disk_bytes == 10 * size
    lora = planned(study_folder, ("epochs = 2", 'epochs = 2\nmethod = "lora"\nlora = { rank = 2 }'))
    assert lora.disk_bytes == 10 * 4 * 2 * (8 + 16)


def test_what_only_prepare_can_know_is_taken_from_the_manifests(study_folder: Path) -> None:
    unit = (
        'budget = { amount = 6 }\npairing = "shared"',
        'budget = { amount = 6, unit = "bytes" }\npairing = "shared"',
    )
    found = planned(study_folder, unit)
    assert found.runs[1].num_examples is None
    assert found.num_steps is None
    manifest = {"num_examples": 10, "tokens": {"tiny": {"train": {"en": 70}}}}
    known = plan(load(study_folder), manifests={"en": manifest}).runs[1]
    assert (known.num_examples, known.num_tokens, known.num_steps) == (10, 70, 10)


DISJOINT = 'pairing = "disjoint"'
DEV = 'languages = ["en", "es", "sw"]\npath = "dev.jsonl"'

# name: (replacement in the study file, expected warning)
CONFOUNDS: dict[str, tuple[tuple[str, str] | None, str]] = {
    "volume": (
        ("amount = 6 }\n" + DISJOINT, 'amount = 2, per = "language" }\n' + DISJOINT),
        "(6 against 2 to 6 items): the total volume differs, and larger mixtures are also trained for more steps",
    ),
    "variety": (None, "different items): the number of languages and the number of different items vary together"),
    "tokens": (None, "numbers of items are equal but the numbers of tokens are not"),
    "lora": (
        ("epochs = 2\nlearning_rate = 1e-3", 'epochs = 2\nmethod = "lora"\nlearning_rate = 1e-5'),
        "1e-05 is usual for full fine-tuning",
    ),
    "models": (
        ("[models.tiny]", '[models.second]\npath = "owner/name"\n\n[models.tiny]'),
        "2 models share one learning rate",
    ),
    "selection": (
        (DEV, DEV.replace('"es", ', "")),
        "training.validation: has no es, so checkpoints of cov-en-sw-es are selected on the other languages only",
    ),
    "memory": (('corpus = "test"', 'corpus = "train"'), "evaluations.math: evaluates items that mixtures train on"),
    "tuned on test": (('["dev"]', '["test"]'), "checkpoints are selected on the test items"),
    "no unseen": (
        ('corpus = "test"', 'corpus = "test"\nlanguages = ["en"]'),
        "Unseen languages are not evaluated",
    ),
    "one seed": (("[0, 1]", "[0]"), "one seed. The variance between seeds is unknown"),
    "no primary": (("primary = true", "primary = false"), "contrasts: none is primary"),
    "idle corpus": (('corpus = "test"', 'corpus = "dev"'), "corpora: test unused"),
    "repeats": ((DISJOINT, DISJOINT + "\nrepeat = true"), "cov-en, cov-en-sw, cov-en-sw-es may repeat items"),
    "words of the prompt": (
        ('path = "test.parquet"', 'path = "test.parquet"\nprompt = "mcot"'),
        "evaluations.math: the prompt form 'mcot' adds text in the language of each item",
    ),
    "another prompt": (
        ('path = "test.parquet"', 'path = "test.parquet"\nprompt = "mcot"'),
        "corpora.train: training uses the prompt form 'bare' and evaluation uses mcot",
    ),
    "truncation": (("epochs = 2", "epochs = 2\ntruncate = true"), "Languages with higher fertility lose more"),
    "base": (('control = "en"', 'control = "base"'), "a gain includes learning the format of the answer"),
}


@pytest.mark.parametrize("name", CONFOUNDS)
def test_what_moves_together_with_the_languages_is_said(name: str, study_folder: Path) -> None:
    change, sentence = CONFOUNDS[name]
    warnings = planned(study_folder, *([change] if change else [])).warnings
    assert any(sentence in warning for warning in warnings), "\n".join(warnings)
    assert all(warning.endswith(".") for warning in warnings)


def test_a_study_without_confounds_gets_no_warning(study_folder: Path) -> None:
    tidy = ('control = "en"\ntreatments = ["en50-sw50", "cov"]', 'control = "cov-en"\ntreatments = ["cov"]')
    (study_folder / "study.toml").write_text(
        (study_folder / "study.toml").read_text(encoding="utf-8").replace(*tidy), encoding="utf-8"
    )
    warnings = plan(load(study_folder)).warnings
    assert len(warnings) == 1
    assert "numbers of items are equal but the numbers of tokens are not" in warnings[0]


def test_a_site_says_where_and_its_executor_checks_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('num_workers = 2\ndevice = "cpu"\n')
    assert load_site(file) == Site(num_workers=2, device="cpu")
    file.write_text('num_worker = 2\ndevice = "tpu"\nthreads_per_worker = 0\n')
    with pytest.raises(StudyError) as caught:
        load_site(file)
    assert len(caught.value.problems) == 2
    file.write_text("rehearsal = { steps = 2 }\n")
    assert load_site(file).rehearsal == Rehearsal(steps=2)
    file.write_text("rehearsal = { steps = 0 }\n")
    with pytest.raises(StudyError, match=r"rehearsal\.steps: is 0 and must be greater than 0"):
        load_site(file)
    file.write_text("num_worker = 2\n")
    with pytest.raises(StudyError, match=r"unknown key 'num_worker'\. Did you mean 'num_workers'\?"):
        load_site(file)
    with pytest.raises(StudyError, match="there is no executor 'slrum'"):
        load_site(file, executor="slrum")


ARM = """
[arms.more-seeds]
seeds = [5]
enabled = false
separates = "Noise between runs from the rest."

[arms.plain]
mixtures = ["lone"]
seeds = [0]
enabled = false

[mixtures.lone]
components = [{ corpus = "train", shares = { es = 1.0 } }]
budget = { amount = 6 }
pairing = "shared"

[[contrasts]]
name = "waits"
control = "lone"
treatments = ["cov"]

[training]"""


def test_an_arm_that_is_off_is_named_and_costs_nothing(study_folder: Path) -> None:
    before = plan(load(study_folder))
    found = planned(study_folder, ("[training]", ARM))
    assert [run.name for run in found.runs] == [run.name for run in before.runs]
    assert [(arm.name, arm.enabled, arm.num_runs) for arm in found.arms] == [
        ("more-seeds", False, 5),
        ("plain", False, 1),
    ]
    assert found.arms[0].separates == "Noise between runs from the rest."
    assert any("'waits': require a disabled arm" in warning for warning in found.warnings)


def test_an_arm_that_is_on_adds_its_runs_once_and_makes_no_other_stale(study_folder: Path) -> None:
    before = load(study_folder)
    identities = {run.name: before.identity_of(run) for run in before.runs()}
    found = planned(study_folder, ("[training]", ARM.replace("enabled = false", "enabled = true")))
    names = [run.name for run in found.runs]
    assert len(names) == len(set(names)) == len(identities) + 5 + 1
    assert names[: len(identities)] == list(identities)
    after = load(study_folder)
    assert {run.name: after.identity_of(run) for run in after.runs() if run.name in identities} == identities
    assert after.seeds == (0, 1, 5)
    assert "waits" in [contrast.name for contrast in after.contrasts]


DOSES = dose_families(fixed=4, dose=2) + "[training]"


def test_runs_that_are_the_same_training_are_known_before_anything_is_prepared(study_folder: Path) -> None:
    assert planned(study_folder).same == {}
    same = planned(study_folder, ("[training]", DOSES)).same
    assert same == {f"tiny.other-0.s{seed}": f"tiny.latin-0.s{seed}" for seed in (0, 1)}


def test_steps_are_shown_by_number_of_trained_languages(study_folder: Path) -> None:
    assert planned(study_folder).steps_by_languages == {"math": {1: (6,), 2: (6,), 3: (6,)}}


def test_what_two_runs_can_show_follows_from_the_items(study_folder: Path) -> None:
    assert plan(load(study_folder)).differences == {"math": None}
    known = plan(load(study_folder), num_items={"test": 250}).differences["math"]
    assert known == pytest.approx(0.079, abs=0.001)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [("Qwen/Qwen3-0.6B-Base", 0.6e9), ("google/gemma-3-4b-pt", 4e9), ("CohereLabs/aya-23-35B", 35e9), ("a/bert", None)],
)
def test_the_size_of_a_hub_model_is_read_from_its_name(study_folder: Path, path: str, parameters: float | None) -> None:
    study = load(study_folder)
    assert num_parameters(study, Model(name="x", path=path)) == parameters


def test_training_costs_six_operations_per_parameter_and_token(study_folder: Path) -> None:
    study, model = load(study_folder), Model(name="x", path="a/b-1B")
    assert training_flops(study, model, examples=6, tokens=1000, steps=6) == 6 * 1e9 * 2 * 1000


def test_a_rehearsal_keeps_every_run_and_cuts_the_rest(study_folder: Path) -> None:
    study = load(study_folder)
    cut = rehearse(study, Rehearsal(steps=2, items=3, tokens=5))
    assert [run.name for run in cut.runs()] == [run.name for run in study.runs()]
    assert (cut.training.steps, cut.training.epochs) == (2, None)
    assert all(source.max_items == 3 for source in cut.corpora.values())
    assert {one.max_tokens for one in cut.evaluations.values()} == {5}
    assert max(max(mixture.amounts().values()) for mixture in cut.mixtures.values()) <= 3
    assert cut.results_folder == study.folder / "rehearsal" != study.results_folder
    assert "numbers mean nothing" in cut.question
    assert load(study_folder) == study
