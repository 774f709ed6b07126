"""Weights come from safetensors alone, code of a model's folder is never run, and templates are confined."""

from __future__ import annotations

import ast
import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import jinja2
import places
import pytest
import tiny_models
import torch

from crosslift.chat import load_tokenizer, render_prompt
from crosslift.errors import EvaluationError, StudyError, TemplateError, TrainingError
from crosslift.evaluation.generators.hf.generator import Generator
from crosslift.execution.folder.base_models import count_parameters
from crosslift.training.trainer import SFTConfig
from crosslift.training.trainers.native.model import load_model

SOURCE = places.REPOSITORY / "src" / "crosslift"


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self):
        return Path.touch, (self.trap,)


def write_pickled(file: Path, trap: Path) -> None:
    file.write_bytes(pickle.dumps(Bomb(trap)))


def base_model(folder: Path) -> Path:
    tiny_models.write_model(folder)
    return folder


def _request(model: Path) -> SimpleNamespace:
    """As much of a request as loading needs."""
    return SimpleNamespace(model=str(model), revision=None, config=SFTConfig(learning_rate=1e-3), seed=0)


def test_pickled_weights_are_refused_everywhere(tmp_path: Path, trap: Path):
    model = base_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    write_pickled(model / "pytorch_model.bin", trap)
    with pytest.raises(StudyError, match="safetensors"):
        count_parameters("tiny", model)
    with pytest.raises(EvaluationError, match="safetensors"):
        Generator(model)
    with pytest.raises(TrainingError, match="safetensors"):
        load_model(_request(model), torch.device("cpu"))


def test_a_pickled_adapter_is_refused(tmp_path: Path, trap: Path):
    model, adapter = base_model(tmp_path / "model"), tmp_path / "adapter"
    adapter.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(model)}))
    write_pickled(adapter / "adapter_model.bin", trap)
    with pytest.raises(EvaluationError, match=r"adapter_model\.safetensors"):
        Generator(adapter)


def test_code_that_a_model_brings_is_not_run(tmp_path: Path, trap: Path):
    model = base_model(tmp_path / "model")
    for name, kinds in {
        "config.json": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
        "tokenizer_config.json": {"AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"]},
    }.items():
        settings = json.loads((model / name).read_text())
        kept = {key: value for key, value in settings.items() if key not in ("model_type", "tokenizer_class")}
        (model / name).write_text(json.dumps(kept | {"auto_map": kinds, "model_type": "own"}))
    (model / "own.py").write_text(f"from pathlib import Path\nPath({str(trap)!r}).touch()\n")
    with pytest.raises(TrainingError):
        load_model(_request(model), torch.device("cpu"))
    with pytest.raises((EvaluationError, ValueError)):
        Generator(model)


HOSTILE_TEMPLATES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch TRAP') }}",
    "{{ messages.append(1) }}",
    "{% include '/etc/hostname' %}",
    "{{ self._TemplateReference__context.environment.from_string }}",
)


@pytest.mark.parametrize("template", HOSTILE_TEMPLATES)
def test_a_template_reaches_nothing_but_the_messages(tmp_path: Path, trap: Path, template: str):
    model = base_model(tmp_path / "model")
    file = tmp_path / "hostile.jinja"
    file.write_text(template.replace("TRAP", str(trap)))
    with pytest.raises((jinja2.TemplateError, TemplateError, TypeError)):
        render_prompt(load_tokenizer(model, template=str(file)), [{"role": "user", "content": "1 + 1?"}])


def calls(name: str | None = None):
    """Every call in the package, with its file."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name is None or getattr(node.func, "attr", None) == name):
                yield file, node


def test_every_call_that_loads_a_model_says_so():
    others = ("PeftModel", "GenerationConfig")  # an adapter's tensors, and JSON
    loads = [
        (file, node) for file, node in calls("from_pretrained") if getattr(node.func.value, "id", "") not in others
    ]
    assert len(loads) >= 6
    for file, node in loads:
        given = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
        assert given.get("trust_remote_code") is False, f"{file}:{node.lineno}"
        if node.func.value.id.startswith("AutoModel"):
            assert given.get("use_safetensors") is True, f"{file}:{node.lineno}"


def test_nothing_in_the_package_unpickles_evaluates_or_starts_a_shell():
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {one.name for one in node.names} & {"pickle", "dill", "joblib", "marshal", "shelve"}, file
    for file, node in calls():
        place = f"{file}:{node.lineno}"
        assert getattr(node.func, "id", "") not in ("eval", "exec", "compile", "__import__"), place
        keywords = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
        assert not keywords.get("shell"), place
        assert not keywords.get("allow_pickle"), place
        assert not keywords.get("trust_remote_code"), place
        owner = getattr(getattr(node.func, "value", None), "id", "")
        called = (owner, getattr(node.func, "attr", ""))
        assert called not in (("os", "system"), ("os", "popen")), place
        if called == ("torch", "load"):
            assert keywords.get("weights_only") is True, place
