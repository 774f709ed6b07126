"""Answers through vLLM on this machine's GPU: one engine for a base model, adapters of many runs loaded by name.

A LoRA adapter that is not applied (a wrong rank, modules that the engine does not patch) answers as the base model
does, and a study would compare a model with itself. So each adapter is shown a few prompts first, and where none of its
answers differs from the base model's it is refused: the canary. Fully trained checkpoints get an engine of their own.

Follows the documentation of vLLM 0.12 and later (`LLM.generate`, `TokensPrompt`, `LoRARequest`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosslift.chat import load_tokenizer, stop_ids
from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.endpoint import run_of

OPTIONS: dict[str, type] = {
    "max_lora_rank": int,
    "gpu_memory_utilization": float,
    "max_model_len": int,
    "tensor_parallel_size": int,
    "canary": bool,
}
CANARY_PROMPTS = 8
CANARY_TOKENS = 32

_engines: dict[str, Any] = {}
"""The one engine in memory, by what it was made of: loading takes longer than a small run."""
_numbers: dict[str, int] = {}
"""Adapter -> the number that vLLM knows it by."""


class Generator:
    """A model in an engine, ready to answer."""

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        base: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        template: str | None = None,
        canary: bool = True,
        max_lora_rank: int | None = None,
        **engine: Any,
    ) -> None:
        """Load the model into the engine, unless it is there.

        Raises:
            EvaluationError: vLLM is not installed, or the adapter names no base model.
            TemplateError: there is no chat template.
        """
        adapter = Path(checkpoint) / "adapter_config.json"
        source = str(checkpoint)
        rank = 0
        if adapter.is_file():
            config = json.loads(adapter.read_text(encoding="utf-8"))
            source = base or config.get("base_model_name_or_path") or ""
            rank = int(config["r"])
            if not source:
                raise EvaluationError(f"{adapter} names no base model. Give `base`.")
        own = (Path(checkpoint) / "tokenizer_config.json").is_file() or not rank
        self.tokenizer = load_tokenizer(checkpoint if own else source, None if own and rank else revision, template)
        self._stops = stop_ids(self.tokenizer)
        self._engine = _engine(source, revision, max(rank, max_lora_rank or 0), engine)
        self._adapter = _adapter(run_of(checkpoint, base), str(checkpoint)) if rank else None
        self._canary = canary and rank > 0

    def generate(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]:
        """Answer each prompt; results are in the order of the prompts.

        Raises:
            EvaluationError: the adapter answers as its base model does.
        """
        if self._canary:
            self._sing(prompts[:CANARY_PROMPTS])
        return self._ask(prompts, max_tokens, self._adapter)

    def _sing(self, prompts: Sequence[Sequence[int]]) -> None:
        adapted, plain = (self._ask(prompts, CANARY_TOKENS, adapter) for adapter in (self._adapter, None))
        if [answer.text for answer in adapted] == [answer.text for answer in plain]:
            raise EvaluationError(
                f"The adapter answers {len(prompts)} prompts exactly as its base model does, so it is not applied, or "
                "was hardly trained. Check max_lora_rank and the adapter's modules; canary = false in the site's "
                "[generators.vllm] lets it pass."
            )
        self._canary = False

    def _ask(self, prompts: Sequence[Sequence[int]], max_tokens: int, adapter: Any) -> list[Completion]:
        from vllm import SamplingParams  # type: ignore[import-not-found]

        found = self._engine.generate(
            [{"prompt_token_ids": list(ids)} for ids in prompts],
            sampling_params=SamplingParams(temperature=0.0, max_tokens=max_tokens, stop_token_ids=list(self._stops)),
            lora_request=adapter,
            use_tqdm=False,
        )
        return [
            Completion(
                text=request.outputs[0].text,
                finish="length" if request.outputs[0].finish_reason == "length" else "stop",
                num_tokens=len(request.outputs[0].token_ids),
            )
            for request in found
        ]


def _engine(source: str, revision: str | None, rank: int, options: dict[str, Any]) -> Any:
    key = json.dumps([source, revision, rank, options], sort_keys=True)
    if key not in _engines:
        try:
            from vllm import LLM
        except ImportError as error:
            raise EvaluationError('generator "vllm" needs the package vllm. Install it, or use "hf".') from error
        _engines.clear()  # two engines do not fit on one GPU
        lora = {"enable_lora": True, "max_lora_rank": rank} if rank else {}
        _engines[key] = LLM(model=source, revision=revision, trust_remote_code=False, **lora, **options)
    return _engines[key]


def _adapter(name: str, path: str) -> Any:
    from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]

    number = _numbers.setdefault(path, len(_numbers) + 1)
    return LoRARequest(name, number, path)
