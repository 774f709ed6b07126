"""Base models that others made: every damage is one message with the file and a remedy, in every command."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from spoilt_models import MODELS, TOKENIZERS, WEIGHTS
from tiny_study import write_study

from crosslift import chat, cli
from crosslift.chat import load_tokenizer
from crosslift.errors import CrossliftError, ModelError, TemplateError
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.plan import plan


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("right") / "study")


@pytest.fixture
def study(right: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(right, tmp_path / "study"))


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code of `crosslift <arguments>`."""
    monkeypatch.setattr(sys, "argv", ["crosslift", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("name", MODELS)
def test_check_names_the_damage_with_exit_code_2(
    name: str, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, expected = MODELS[name]
    spoil(study / "model")
    begun = time.monotonic()
    assert command(monkeypatch, "check", str(study)) == 2
    shown = capsys.readouterr()
    assert expected in shown.err
    assert "models.tiny" in shown.err
    assert "Traceback" not in shown.out + shown.err
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("name", MODELS)
def test_prepare_and_run_stop_with_the_same_words(
    name: str, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, expected = MODELS[name]
    spoil(study / "model")
    for verb in ("prepare", "run"):
        assert command(monkeypatch, verb, str(study)) == 2
        shown = capsys.readouterr()
        assert expected in shown.err, verb
        assert "Traceback" not in shown.out + shown.err
        assert not (study / "lock.json").exists()


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name.startswith(("weights", "header"))])
def test_plan_needs_the_headers_and_names_their_damage(name: str, study: Path) -> None:
    spoil, expected = WEIGHTS[name]
    spoil(study / "model")
    try:
        plan(load(study))
    except CrossliftError as error:
        assert expected in str(error)
        assert "models.tiny" in str(error)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_worker_that_loads_the_tokenizer_is_told_the_same(name: str, study: Path) -> None:
    spoil, expected = TOKENIZERS[name]
    spoil(study / "model")
    with pytest.raises((ModelError, TemplateError)) as caught:
        load_tokenizer(study / "model")
    assert expected in str(caught.value)


def test_a_template_that_loops_for_ever_is_stopped(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "_RENDER_SECONDS", 0.5)
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    (study / "model" / "chat_template.jinja").write_text(loop)
    with pytest.raises(TemplateError, match=r"did not come to an end within 1 seconds"):
        load_tokenizer(study / "model")


def test_a_template_that_doubles_a_text_for_ever_is_stopped(study: Path) -> None:
    double = (
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
        "{{ ns.x }}"
    )
    (study / "model" / "chat_template.jinja").write_text(double)
    with pytest.raises(TemplateError, match="took more memory than a prompt can need"):
        load_tokenizer(study / "model")


def test_architectures_that_transformers_knows_need_no_code_of_their_own(study: Path) -> None:
    from spoilt_models import change

    change("config.json", auto_map={"AutoConfig": "configuration.C"})(study / "model")
    assert load_tokenizer(study / "model") is not None
