"""`vllm` as version 0.32 has it, over models of transformers on the CPU: what the generator uses, and no more."""

from __future__ import annotations

import sys
import types
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from crosslift.evaluation.generators.hf.generator import Generator as HF
from crosslift.evaluation.generators.vllm import engine


class EngineDeadError(Exception):
    """As in `vllm.v1.engine.exceptions`."""


class FakeLLM:
    """`vllm.LLM`. What happened is listed in `log`; `faults` says what goes wrong."""

    log: ClassVar[list[str]] = []
    faults: ClassVar[set[str]] = set()
    options: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, model: str, **options: Any) -> None:
        assert options.pop("trust_remote_code") is False
        assert options["load_format"] == "safetensors"
        if "start" in self.faults:
            raise ValueError("3 heads; 2 devices")
        self.log.append("start")
        FakeLLM.options.append(options)
        self.weights = model
        self.rank = options.get("max_lora_rank", 0)
        self.adapters: set[str] = set()
        self.llm_engine = types.SimpleNamespace(
            model_config=types.SimpleNamespace(max_model_len=512, dtype="torch.float32"),
            add_lora=self._add_lora,
            engine_core=types.SimpleNamespace(shutdown=lambda: self.log.append("end")),
        )

    def _add_lora(self, request: Any) -> bool:
        if not (Path(request.path) / "adapter_model.safetensors").is_file():
            raise Exception(f"Call to add_lora method failed: no adapter in {request.path}")
        self.adapters.add(request.path)
        return True

    def collective_rpc(self, method: str, *, kwargs: dict[str, Any]) -> list[None]:
        assert method == "reload_weights"
        self.log.append("reload")
        if "reload" in self.faults:
            raise Exception("Call to collective_rpc method failed")
        if "stale" not in self.faults:
            self.weights = kwargs["weights_path"]
        return [None]

    def reset_prefix_cache(self) -> bool:
        self.log.append("reset")
        return True

    def generate(self, prompts: Any, *, sampling_params: Any, lora_request: Any, use_tqdm: bool) -> list[Any]:
        if "dead" in self.faults:
            self.faults.discard("dead")
            raise EngineDeadError("EngineCore encountered an issue.")
        requests = lora_request or [None] * len(prompts)
        assert len(requests) == len(prompts)
        folders = [None if one is None else one.path for one in requests]
        self.log.append(f"ask {len(set(folders))}")
        assert all(folder is None or folder in self.adapters for folder in folders)
        models = {folder: self._model(folder) for folder in set(folders)}
        scored = getattr(sampling_params, "prompt_logprobs", None) is not None
        return [
            (_scored if scored else _completed)(models[folder], prompt["prompt_token_ids"], sampling_params.max_tokens)
            for prompt, folder in zip(prompts, folders, strict=True)
        ]

    def _model(self, folder: str | None) -> HF:
        if folder is None or "unapplied" in self.faults:
            return _loaded(self.weights, None, engine.files_of(self.weights))
        return _loaded(folder, self.weights, engine.files_of(folder))


@cache
def _loaded(checkpoint: str, base: str | None, files: engine.Files) -> HF:
    return HF(checkpoint, base=base, device="cpu")


def _completed(model: HF, ids: list[int], max_tokens: int) -> Any:
    (answer,) = model._try([ids], [max_tokens], ()) or [[]]
    finish = "stop" if answer[-1] in model.stop_ids else "length"
    output = types.SimpleNamespace(token_ids=answer, finish_reason=finish)
    return types.SimpleNamespace(outputs=[output])


@torch.inference_mode()
def _scored(model: HF, ids: list[int], max_tokens: int) -> Any:
    """`prompt_logprobs` of a reply: None for the first token, then token id -> Logprob."""
    values = torch.log_softmax(model.model(input_ids=torch.tensor([ids])).logits[0, :-1].float(), dim=-1)
    scored = [
        {token: types.SimpleNamespace(logprob=float(row[token]), rank=1 + int((row > row[token]).sum()))}
        for token, row in zip(ids[1:], values, strict=True)
    ]
    return types.SimpleNamespace(prompt_logprobs=[None, *scored])


def install(monkeypatch: pytest.MonkeyPatch) -> type[FakeLLM]:
    """Put the fake in the place of vllm, without an open engine."""
    module, lora, request = types.ModuleType("vllm"), types.ModuleType("vllm.lora"), types.ModuleType("x")
    module.LLM = FakeLLM
    module.SamplingParams = types.SimpleNamespace
    request.LoRARequest = lambda name, number, path: types.SimpleNamespace(name=name, number=number, path=path)
    for name, one in {"vllm": module, "vllm.lora": lora, "vllm.lora.request": request}.items():
        monkeypatch.setitem(sys.modules, name, one)
    monkeypatch.setattr(engine, "_open", [])
    monkeypatch.setattr(engine, "_never_in_place", set())
    for noted in (FakeLLM.log, FakeLLM.options, FakeLLM.faults):
        noted.clear()
    return FakeLLM
