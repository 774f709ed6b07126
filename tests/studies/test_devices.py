"""A plan says what a run needs on each device, whether it fits, and what to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crosslift.errors import StudyError
from crosslift.execution.workers.resources import num_devices, visible_groups, with_devices
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.devices import Devices, needs
from crosslift.studies.presets import preset_text
from crosslift.studies.site import Resources, Site, load_site

H100 = Devices(kind="H100", memory=80, per_machine=8)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The two studies at full scale, whose models are not on this disk."""

    def study(preset: str):
        folder = tmp_path_factory.mktemp("full") / preset
        folder.mkdir()
        (folder / "study.toml").write_text(preset_text(preset, "full"))
        return load(folder / "study.toml", data="optional")

    return {name: study(name) for name in ("english-is-not-all-you-need", "post-trainers-guide")}


def sentences(study, devices, **given):
    return {need.model: need.sentence(devices) for need in needs(study, devices, **given)}


def test_full_training_of_8b_is_told_not_to_fit_on_one_device(full):
    found = sentences(full["english-is-not-all-you-need"], H100)
    assert "fits H100 of 80 GB" in found["qwen3-0.6b"]
    assert "on one H100 of 80 GB it does not fit: 4 devices per run" in found["qwen3-8b"]
    assert 'method = "lora" on 1 device' in found["qwen3-8b"]


def test_smaller_micro_batches_help_where_the_logits_of_all_tokens_are_held(full):
    """Cohere scales the logits of its head, so that its loss is not computed in chunks."""
    found = sentences(full["post-trainers-guide"], H100)
    assert "8 devices per run" in found["aya-23-7b"]
    assert "micro_batch_tokens = 8192 on 4 devices" in found["aya-23-7b"]


def test_what_lower_precision_saves_is_among_the_changes(full):
    study = full["english-is-not-all-you-need"]
    both = 'weight_precision = "bfloat16" and optimizer_state = "8-bit"'
    assert f"{both} (88 GB less in all) on 1 device" in sentences(study, H100)["qwen3-8b"]
    lower = replace(study, training=replace(study.training, weight_precision="bfloat16", optimizer_state="8-bit"))
    assert "needs 62 GB" in sentences(lower, H100)["qwen3-8b"]
    assert sentences(lower, H100)["qwen3-8b"].endswith("fits H100 of 80 GB")
    assert "weight_precision" not in sentences(lower, H100)["qwen3-8b"]
    elsewhere = replace(study, training=replace(study.training, trainer="trl"))
    assert "weight_precision" not in sentences(elsewhere, H100)["qwen3-8b"]


def test_35b_needs_more_than_a_machine_unless_something_changes(full):
    study = full["post-trainers-guide"]
    found = sentences(study, Devices(kind="A100", memory=40, per_machine=4))
    assert "it does not fit 4 x A100 of 40 GB" in found["aya-23-35b"]


def test_devices_that_the_site_sets_are_judged(full):
    found = sentences(full["english-is-not-all-you-need"], H100, num_devices={"qwen3-8b": 2})
    assert "2 devices per run as site.toml sets" in found["qwen3-8b"]
    assert "which does not fit" in found["qwen3-8b"]


def test_runs_get_the_devices_that_they_need_unless_the_site_says_otherwise(full):
    study = full["english-is-not-all-you-need"]
    site = with_devices(study, Site(devices=H100))
    assert {name: num_devices(site, name) for name in study.models} == {
        "qwen3-0.6b": 1,
        "qwen3-1.7b": 1,
        "qwen3-8b": 4,
        "gemma3-1b": 1,
        "gemma3-4b": 2,
    }
    given = Site(devices=H100, resources={"qwen3-8b": Resources(devices=8)})
    assert num_devices(with_devices(study, given), "qwen3-8b") == 8
    assert with_devices(study, Site(devices=H100, device="cpu")).resources == {}


def test_a_model_of_unknown_size_is_said_to_be_unknown(full, tmp_path):
    text = (full["english-is-not-all-you-need"].folder / "study.toml").read_text()
    (tmp_path / "study.toml").write_text(text.replace("Qwen/Qwen3-8B-Base", "someone/unheard-of"))
    found = sentences(load(tmp_path / "study.toml", data="optional"), H100)
    assert found["qwen3-8b"].endswith("unknown until the model's config.json is on this disk (crosslift prepare)")


def test_workers_own_groups_of_gpus():
    assert visible_groups(["0", "1", "2", "3", "4"], 2) == ["0,1", "2,3"]


def test_devices_of_a_site_are_read_and_checked(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('[devices]\nkind = "H100"\nmemory = 80.0\nper_machine = 8\ncpu_offload = true\n')
    assert load_site(file).devices == H100
    assert load_site(file).cpu_offload
    file.write_text('[devices]\nkind = "H100"\nmemory = -80\n')
    with pytest.raises(StudyError, match=r"devices\.memory"):
        load_site(file)


def test_adapters_at_once_is_a_number_or_automatic(tmp_path):
    file = tmp_path / "site.toml"
    for text, value in (('"auto"', "auto"), ("4", 4)):
        file.write_text(f"adapters_at_once = {text}\n")
        assert load_site(file).adapters_at_once == value
    for text in ('"all"', "0", "true"):
        file.write_text(f"adapters_at_once = {text}\n")
        with pytest.raises(StudyError, match="adapters_at_once"):
            load_site(file)


def test_every_model_of_the_full_presets_is_known():
    from crosslift.studies.planning.devices import _known

    presets = Path(__file__).parents[2] / "src/crosslift/studies/presets"
    paths = {
        line.split('"')[1]
        for file in presets.glob("*/full.toml")
        for line in file.read_text().splitlines()
        if line.startswith("path = ")
        and line.split('"')[1].split("/")[0] in ("Qwen", "google", "CohereLabs", "meta-llama")
    }
    assert paths
    assert paths <= set(_known())
