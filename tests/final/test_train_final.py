"""`crosslift train-final`: the folder that it writes, interruptions, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from fake_study import install_fakes, open_graph, write_fake_study
from finished_study import write_finished_study
from tiny_study import STUDY, write_study
from typer.testing import CliRunner

import crosslift
from crosslift.cli import app
from crosslift.errors import LeaseHeld, StoreError, StudyError, TransferError, UnknownName
from crosslift.final import train as final_train
from crosslift.fingerprint import fingerprint_file
from crosslift.system.leases import Lease

LORA = STUDY.replace("[training]", '[training]\nmethod = "lora"\nlora = { rank = 4, alpha = 32 }').replace(
    "1e-3", "3e-2"
)
COMMIT = "0123456789abcdef" * 2 + "01234567"


def final(study: Path, *options: str, output: Path) -> str:
    said = CliRunner().invoke(app, ["train-final", str(study), "--output", str(output), *options])
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.output


def head_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The merged adapter of the tiny study, whose base model is a local folder."""
    place = tmp_path_factory.mktemp("final")
    said = final(write_study(place / "study", text=LORA), "--mixture", "en-sw", output=place / "model")
    assert "80 examples of 40 items" in said and "items per language: en 40, sw 40" in said and "10 steps" in said
    assert "will be merged: its base model is a local folder" in said
    return place / "model"


def answers(model, folder: Path) -> list[list[float]]:
    """Logits after a question, with the chat template of the folder."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "3 plus 4 is ?"}], tokenize=False, add_generation_prompt=True
    )
    assert text.endswith("<|im_start|>assistant\n")
    with torch.no_grad():
        return model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].tolist()


def test_the_merged_folder_answers_as_the_adapter_in_transformers_and_peft(merged: Path, tmp_path, monkeypatch):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    monkeypatch.chdir(tmp_path)
    whole = AutoModelForCausalLM.from_pretrained(merged)
    assert whole.dtype == torch.float32  # that of the base model
    base = AutoModelForCausalLM.from_pretrained(merged.parent / "study" / "model")
    before = torch.tensor(answers(base, merged))
    adapted = torch.tensor(answers(PeftModel.from_pretrained(base, merged / "adapter"), merged))
    found = torch.tensor(answers(whole, merged))
    assert torch.allclose(found, adapted, atol=1e-4) and not torch.allclose(found, before, atol=1e-2)
    assert not list(merged.parent.glob(".*.partial"))


def test_no_file_contains_a_path_and_the_manifest_proves_what_was_trained(merged: Path):
    for file in merged.rglob("*"):
        assert not file.is_file() or str(merged.parent).encode() not in file.read_bytes(), file
    found = json.loads((merged / "manifest.json").read_text(encoding="utf-8"))
    assert found["mixture"]["counts"] == {"train": {"en": 40, "sw": 40}} and found["seed"] == 0 and found["merged"]
    assert {"model.safetensors", "README.md", "tokenizer.json", "adapter/adapter_config.json"} <= found["files"].keys()
    assert found["files"].keys() == contents(merged).keys() - {"manifest.json"}
    assert fingerprint_file(merged / "model.safetensors")[:12] == found["files"]["model.safetensors"]["sha256"][:12]
    settings = json.loads((merged / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] is None


def test_the_card_has_the_head_of_the_hub_and_says_what_is_unknown(merged: Path):
    head = head_of(merged)
    assert head["language"] == ["en", "sw"] and head["library_name"] == "transformers" and head["license"] == "unknown"
    assert "lora" in head["tags"] and head["base_model"] == "model"
    text = (merged / "README.md").read_text(encoding="utf-8")
    assert (
        "| train | Swahili | `sw` | 40 | 40 |" in text and "Unknown: no run of this mixture has been evaluated" in text
    )
    hub = pytest.importorskip("huggingface_hub")
    assert hub.ModelCard(text).data.language == ["en", "sw"]


def test_a_second_call_finds_the_model_finished(merged: Path):
    before = contents(merged)
    said = final(merged.parent / "study", "--mixture", "en-sw", output=merged)
    assert "is finished already" in said and contents(merged) == before
    with pytest.raises(StoreError, match="holds a model of another request"):
        final(merged.parent / "study", "--mixture", "en-sw", "--seed", "1", output=merged)


def test_an_interrupted_training_resumes_from_another_directory_with_the_same_result(merged, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    request = final_train.training_request

    def interrupted(*args, report, **options):
        def stop(progress):
            if progress.step == 6:
                raise Stop

        return replace(request(*args, report=stop, **options), save_seconds=0.0)

    with monkeypatch.context() as one, pytest.raises(Stop):
        one.setattr(final_train, "training_request", interrupted)
        final(merged.parent / "study", "--mixture", "en-sw", output=tmp_path / "out")
    monkeypatch.chdir(merged.parent)
    final(Path("study"), "--mixture", "en-sw", output=tmp_path / "out")
    training = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["training"]
    assert training["resumed_at"] in range(1, 6)  # saving takes at most a few percent of the time
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "README.md"):
        assert (tmp_path / "out" / name).read_bytes() == (merged / name).read_bytes()


def hub_study(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny study whose base model is in the cache of the hub."""
    cache = place / "hub" / "models--acme--tiny"
    monkeypatch.setenv("HF_HUB_CACHE", str(place / "hub"))
    for module in ("huggingface_hub.constants", "transformers.utils.hub"):
        for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
            monkeypatch.setattr(f"{module}.{name}", str(place / "hub"), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = LORA.replace('path = "./model"', f'path = "acme/tiny"\nrevision = "{COMMIT}"')
    study = write_study(place / "study", text=text)
    (cache / "snapshots").mkdir(parents=True)
    shutil.move(study / "model", cache / "snapshots" / COMMIT)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    return study


def test_an_adapter_names_its_base_of_the_hub_and_can_be_merged_later(tmp_path, monkeypatch):
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    study, output = hub_study(tmp_path, monkeypatch), tmp_path / "out"
    final(study, "--mixture", "en", "--items", "16", output=output)
    settings = json.loads((output / "adapter_config.json").read_text(encoding="utf-8"))
    assert (settings["base_model_name_or_path"], settings["revision"]) == ("acme/tiny", COMMIT)
    assert head_of(output)["base_model"] == "acme/tiny" and head_of(output)["base_model_relation"] == "adapter"
    assert head_of(output)["library_name"] == "peft" and not (output / "model.safetensors").exists()
    monkeypatch.chdir(tmp_path / "hub")
    adapted = torch.tensor(answers(AutoPeftModelForCausalLM.from_pretrained(output), output))
    assert torch.allclose(torch.tensor(answers(AutoModelForCausalLM.from_pretrained(output), output)), adapted)

    monkeypatch.setattr(final_train, "training_request", lambda *a, **b: pytest.fail("trained again"))
    monkeypatch.chdir(tmp_path)
    final(study, "--mixture", "en", "--items", "16", "--merge", output=output)
    merged = torch.tensor(answers(AutoModelForCausalLM.from_pretrained(output), output))
    assert torch.allclose(merged, adapted, atol=1e-4) and (output / "adapter" / "adapter_config.json").is_file()
    assert not (output / "adapter_config.json").exists() and head_of(output)["base_model_relation"] == "finetune"


@pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed")
def test_trl_loads_the_folder(merged: Path, tmp_path: Path):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = Dataset.from_list([{"prompt": "a", "completion": "b"}])
    trainer = SFTTrainer(str(merged), args=SFTConfig(str(tmp_path), use_cpu=True, report_to="none"), train_dataset=rows)
    assert trainer.model.num_parameters() > 0


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_loads_the_folder(merged: Path):
    from vllm import LLM

    assert LLM(model=str(merged)).chat([{"role": "user", "content": "3 plus 4 is ?"}])


# ------------------------------------------------------------------------------------------------- without training


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_fakes()
    return write_fake_study(tmp_path_factory.mktemp("fake") / "study")


def test_killed_at_any_point_it_leaves_no_folder_and_completes_it_when_started_again(fake, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*args, **options):
        raise Killed

    whole = tmp_path / "whole"
    final(fake, "--mixture", "en", "--seed", "5", output=whole)
    assert "80 " not in (whole / "seen.txt").read_text() and (whole / "seen.txt").read_text().startswith("40 ")
    output = tmp_path / "out"
    for name in ("training_request", "write_final", "place"):
        with monkeypatch.context() as one:
            one.setattr(final_train, name, killed)
            with pytest.raises(Killed):
                final(fake, "--mixture", "en", "--seed", "5", output=output)
        assert not output.exists() and (tmp_path / ".out.partial").is_dir()
    with pytest.raises(StoreError, match="unfinished training of another request"):
        final(fake, "--mixture", "en-sw", "--seed", "5", output=output)
    with monkeypatch.context() as one:
        one.setattr(final_train, "training_request", lambda *a, **b: pytest.fail("trained again"))
        final(fake, "--mixture", "en", "--seed", "5", output=output)
    assert not (tmp_path / ".out.partial").exists()
    found, expected = contents(output), contents(whole)
    assert found.keys() == expected.keys()
    assert found["seen.txt"] == expected["seen.txt"] and found["README.md"] == expected["README.md"]


def test_only_one_process_works_on_a_folder_and_others_are_left_alone(fake: Path, tmp_path: Path):
    with Lease(tmp_path / ".out.partial"), pytest.raises(LeaseHeld):
        final(fake, "--mixture", "en", output=tmp_path / "out")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="not an empty folder"):
        final(fake, "--mixture", "en", output=tmp_path / "used")
    assert contents(tmp_path / "used") == {"mine.txt": b"mine"}


def test_what_would_be_trained_is_printed_without_training(fake: Path, tmp_path: Path):
    said = final(fake, "--mixture", "en-sw", "--items", "20", "--plan", output=tmp_path / "out")
    assert "tiny, mixture en-sw, seed 0: 20 examples of 10 items" in said and "3 steps" in said
    assert not list(tmp_path.iterdir())


def test_mistakes_are_named_before_anything_is_written(fake: Path, tmp_path: Path):
    for options, error, words in (
        ((), StudyError, "either --recommended or --mixture"),
        (("--recommended", "--mixture", "en"), StudyError, "either --recommended or --mixture"),
        (("--mixture", "en-sv"), UnknownName, "Did you mean 'en-sw'"),
        (("--mixture", "en", "--model", "x"), UnknownName, "Known: tiny"),
        (("--mixture", "en", "--merge"), StudyError, "there is no adapter"),
        (("--recommended",), TransferError, "0 mixtures are evaluated"),
        (("--recommended", "--cost", "sw:2"), StudyError, "--cost"),
    ):
        with pytest.raises(error, match=words):
            final(fake, *options, output=tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_fakes()
    folder = tmp_path_factory.mktemp("finished") / "study"
    write_finished_study(folder, num_mixtures=6, num_seeds=1)
    return folder


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of training, an empty checkpoint."""

    def train(request):
        (request.folder / "checkpoint").mkdir()
        (request.folder / "checkpoint" / "config.json").write_text("{}")

    monkeypatch.setattr("crosslift.training.trainers.native.train", train)


def test_the_recommended_mixture_is_trained_with_its_expected_scores(finished: Path, tmp_path: Path, untrained: None):
    study = crosslift.open_study(finished)
    advice = study.recommend(languages=["en", "sw"], num_next_runs=0)
    said: list[str] = []
    found = study.train_final(tmp_path / "out", advice=advice, seed=3, progress=said.append)
    assert (
        advice.recommendation is not None and not found.was_finished and said[0].startswith("tiny, mixture recommended")
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    shares = {tag: n for tag, n in advice.recommendation.amounts.items() if round(n)}
    counts = manifest["mixture"]["counts"]["train"]
    assert counts.keys() == shares.keys() and max(counts.values()) == 106  # every item of the corpus
    for tag, count in counts.items():
        assert count / sum(counts.values()) == pytest.approx(shares[tag] / sum(shares.values()), abs=0.01)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Recommended by crosslift from 6 finished runs" in text and "Predicted by the transfer model" in text
    assert text.count("| math | accuracy |") == 6


def test_measured_scores_of_a_named_mixture_have_intervals(finished: Path, tmp_path: Path, untrained: None):
    final(finished, "--mixture", "m1", output=tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Measured in the study: one run of this mixture with 151 items" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| math | accuracy |")]
    assert len(rows) == 6 and all(" to " in row[-1] for row in rows)


def test_cannot_tell_is_refused_with_a_way_out(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study = crosslift.open_study(finished)
    advice = study.recommend(num_next_runs=0)
    found = advice.recommendation
    assert found is not None
    doubtful = replace(found.comparisons[0], verdict="cannot tell", value=0.01, low=-0.05, high=0.07)
    for unsure in (None, replace(found, comparisons=(doubtful,))):
        with pytest.raises(TransferError, match=r"cannot tell .* choose it with --mixture"):
            study.train_final(tmp_path / "out", advice=replace(advice, recommendation=unsure))
    assert not list(tmp_path.iterdir())


def test_a_study_of_another_directory_keeps_the_request(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The fingerprint of the request does not depend on paths."""
    output = tmp_path / "out"
    final(fake, "--mixture", "en", output=output)
    shutil.copytree(fake, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    assert "is finished already" in final(Path("copy"), "--mixture", "en", output=Path("out"))
    assert open_graph(fake).study.name == "tiny"
