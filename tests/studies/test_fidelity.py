"""Settings of the full presets that the studies state, and the small preset of the second study."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
from documents import DOCS
from full_design import full_study

from crosslift.chat import PLAIN_TEMPLATE
from crosslift.evaluation.task import task
from crosslift.languages.language import language
from crosslift.studies.presets import preset_text

P1, P2 = "english-is-not-all-you-need", "post-trainers-guide"


@pytest.mark.parametrize("scale", ["full", "small"])
def test_the_presets_of_the_second_study_have_its_settings(scale: str, tmp_path: Path) -> None:
    study = full_study(P2, tmp_path / "study", scale=scale)
    training = study.training
    assert (training.schedule, training.warmup_share, training.learning_rate) == ("constant", 0, 1e-5)
    assert (training.validate_every_steps, training.validate_every, training.select_by) == (50, None, "loss")
    assert training.batch_examples == 64
    judged = study.evaluations["instructions"]
    assert judged.metric == "rating" and judged.judging is not None
    assert (judged.judging.prompt, judged.judging.lowest) == ("six-criteria", ("wrong_language",))
    assert study.evaluations["math"].max_tokens == 2048
    assert sum(run.mixture is not None for run in study.runs()) == 72 + 32 + 48


def test_the_full_presets_have_the_settings_of_the_studies(tmp_path: Path) -> None:
    for name in (P1, P2):
        study = full_study(name, tmp_path / name)
        assert study.evaluations["math"].max_tokens == 2048
        for corpus in ("math", "math-dev"):  # in one order, or the held-out items would be trained on
            assert study.corpora[corpus].order == "random"
    first = full_study(P1, tmp_path / "first")
    assert first.evaluations["math"].stop == ("\nQuestion:",)


def test_models_of_the_small_preset_are_of_about_a_billion_parameters(tmp_path: Path) -> None:
    study = full_study(P2, tmp_path / "study", scale="small")
    assert {model.path for model in study.models.values()} == {
        "Qwen/Qwen3-0.6B-Base",
        "meta-llama/Llama-3.2-1B",
        "google/gemma-3-1b-pt",
    }


@pytest.mark.parametrize(("name", "scale"), [(P1, "full"), (P2, "full"), (P2, "small")])
def test_an_untouched_base_model_meets_the_sign_that_ends_its_answer(name: str, scale: str, tmp_path: Path) -> None:
    """A base model repeats the form of its prompt: after its answer comes a next question, as the stop text says."""
    study = full_study(name, tmp_path / "study", scale=scale)
    evaluation = study.evaluations["math"]
    assert evaluation.stop and all(model.template == "plain" for model in study.models.values())
    for tag in evaluation.languages:
        forms = {study.prompts[evaluation.corpus_in(tag)]}
        if evaluation.shots is not None:
            forms.add(study.prompts[evaluation.shots.corpus_in(tag)])
        (form,) = forms  # worked examples and questions look alike
        question = task("math").present([{"role": "user", "content": "one?"}], language(tag), form)
        shown = [*question, {"role": "assistant", "content": "It is 1."}] * 3
        text = jinja2.Environment().from_string(PLAIN_TEMPLATE).render(messages=shown, eos_token="\n")
        for stop in evaluation.stop:
            _, *rest = text.split(stop)
            assert len(rest) >= 2, f"{tag}: the prompt form '{form}' has no {stop!r}"
            assert rest[0].strip().endswith("It is 1."), "an answer that goes on is cut right behind itself"
            assert stop not in question[-1]["content"].replace(stop.strip(), "", 1)


def test_the_second_study_names_base_models_in_place_of_those_that_are_instruction_tuned(tmp_path: Path) -> None:
    text = preset_text(P2, "full")
    comment = text[text.index("# The paper calls the smaller") : text.index("[models.aya-23-7b]")]
    named = set(re.findall(r"[\w-]+/[\w.-]+\w", comment))
    assert named == {"Qwen/Qwen3-8B-Base", "google/gemma-3-27b-pt", "mistralai/Mistral-Nemo-Base-2407"}
    assert all(name.endswith("-pt") or "-Base" in name for name in named)  # how their owners name base models
    assert "instruction-tuned" in comment
    page = (DOCS / "presets.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in named)
    paths = {model.path for model in full_study(P2, tmp_path / "study").models.values()}
    assert paths == {"CohereLabs/aya-23-8B", "CohereLabs/aya-23-35B", "meta-llama/Llama-3.1-8B"}
