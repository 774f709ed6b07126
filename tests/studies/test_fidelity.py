"""Settings of the full presets that the studies state, and the small preset of the second study."""

from __future__ import annotations

from pathlib import Path

import pytest
from full_design import full_study

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
