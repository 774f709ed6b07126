"""Generation by vLLM on a local GPU: one engine per base model, with the LoRA adapters of many runs.

A LoRA adapter that is not applied (a wrong rank, modules that the engine does not patch) gives the outputs of the base
model, and a study would compare a model with itself. Each adapter is therefore tested on a few prompts first, the
canary: if all of its outputs equal those of the base model, it is rejected. Fully fine-tuned checkpoints get an engine
of their own.

The implementation follows the documentation of vLLM 0.12 and later (`LLM.generate`, `TokensPrompt`, `LoRARequest`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosslift.chat import load_tokenizer, stop_ids
from crosslift.errors import EvaluationError
from crosslift.evaluation.adapters import base_of
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.endpoint import run_of
from crosslift.evaluation.requests.kinds import Likelihood, TokenContinuations

OPTIONS: dict[str, type] = {
    "max_lora_rank": int,
    "gpu_memory_utilization": float,
    "max_model_len": int,
    "tensor_parallel_size": int,
    "canary": bool,
}
SEVERAL_DEVICES = True
CANARY_PROMPTS = 8
CANARY_TOKENS = 32

_engines: dict[str, Any] = {}
"""The engine in memory, by its arguments; it is reused, because loading takes longer than a small run."""
_numbers: dict[str, int] = {}
"""Path of an adapter -> its id in vLLM."""


class Generator:
    """Generates completions with a vLLM engine."""

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
        num_devices: int = 1,
        **engine: Any,
    ) -> None:
        """Load the model into an engine, or reuse the engine that has it.

        Args:
            checkpoint: Local folder or hub name; the folder of a LoRA adapter is loaded on its base model.
            base: Base model of an adapter; None: the one that the adapter's configuration names.
            revision: Revision of the base model or hub model.
            device: Not used; vLLM chooses the device.
            template: Chat template, as `chat.load_tokenizer` takes it.
            canary: Test that an adapter changes the outputs.
            max_lora_rank: Maximum rank of the adapters of this engine; None: the rank of this one.
            num_devices: Devices that share the model (tensor parallel), unless `tensor_parallel_size` is given.
            **engine: Further arguments of `vllm.LLM`.

        Raises:
            EvaluationError: vLLM is not installed, or the adapter names no base model.
            TemplateError: the model has no chat template.
        """
        if num_devices > 1:
            engine.setdefault("tensor_parallel_size", num_devices)
        adapter = Path(checkpoint) / "adapter_config.json"
        source = str(checkpoint)
        rank = 0
        if adapter.is_file():
            config = json.loads(adapter.read_text(encoding="utf-8"))
            rank = int(config["r"])
            source, named_revision = (base, None) if base else base_of(Path(checkpoint))
            revision = revision or named_revision
        own = (Path(checkpoint) / "tokenizer_config.json").is_file() or not rank
        self.tokenizer = load_tokenizer(checkpoint if own else source, None if own and rank else revision, template)
        self._stops = stop_ids(self.tokenizer)
        self._engine = _engine(source, revision, max(rank, max_lora_rank or 0), engine)
        self._adapter = _adapter(run_of(checkpoint, base), str(checkpoint)) if rank else None
        self._canary = canary and rank > 0

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Generate a completion for each prompt, in the order of the prompts.

        Args:
            prompts: Token ids, as `chat.encode_prompt` returns them.
            max_tokens: Limit of generated tokens per prompt.
            stop: Texts that end a completion.

        Raises:
            EvaluationError: the adapter gives the same outputs as its base model.
        """
        if self._canary:
            self._check_adapter(prompts[:CANARY_PROMPTS])
        return self._ask(prompts, max_tokens, self._adapter, stop)

    @property
    def max_length(self) -> int:
        """Longest input of the model in tokens; vLLM generates one token behind a text of one more."""
        return int(self._engine.llm_engine.model_config.max_model_len) - 2

    def log_likelihoods(self, requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]:
        """Log-probabilities of given continuations, by `prompt_logprobs`.

        vLLM computes each context once per continuation, as its prefix cache holds no log-probabilities.

        Args:
            requests: contexts and continuations in token ids. A context is cut from the left where a continuation would
                not fit behind it.

        Returns:
            One list per request; None for a continuation longer than the model's context.

        Raises:
            EvaluationError: the adapter gives the same outputs as its base model.
        """
        from vllm import SamplingParams  # type: ignore[import-not-found]

        found: list[list[Likelihood | None]] = [[None] * len(request.continuations) for request in requests]
        longest = self.max_length
        cells = [
            (place, choice, (*request.context, *continuation)[-(longest + 1) :], len(continuation))
            for place, request in enumerate(requests)
            for choice, continuation in enumerate(request.continuations)
            if len(continuation) <= longest
        ]
        if self._canary:
            self._check_adapter([whole for _, _, whole, _ in cells[:CANARY_PROMPTS]])
        replies = self._engine.generate(
            [{"prompt_token_ids": list(whole)} for _, _, whole, _ in cells],
            sampling_params=SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False),
            lora_request=self._adapter,
            use_tqdm=False,
        )
        for (place, choice, whole, length), reply in zip(cells, replies, strict=True):
            scored = [reply.prompt_logprobs[at][whole[at]] for at in range(len(whole) - length, len(whole))]
            found[place][choice] = Likelihood(
                log_probability=sum(one.logprob for one in scored), is_greedy=all(one.rank == 1 for one in scored)
            )
        return found

    def _check_adapter(self, prompts: Sequence[Sequence[int]]) -> None:
        adapted, plain = (self._ask(prompts, CANARY_TOKENS, adapter) for adapter in (self._adapter, None))
        if [answer.text for answer in adapted] == [answer.text for answer in plain]:
            raise EvaluationError(
                f"The adapter gives the same output as its base model on {len(prompts)} prompts, so it is not applied, "
                "or was hardly trained. Check max_lora_rank and the adapter's modules, or set canary = false under "
                "[generators.vllm] in the site file to skip this test."
            )
        self._canary = False

    def _ask(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, adapter: Any, stop: Sequence[str] = ()
    ) -> list[Completion]:
        from vllm import SamplingParams

        found = self._engine.generate(
            [{"prompt_token_ids": list(ids)} for ids in prompts],
            sampling_params=SamplingParams(
                temperature=0.0, max_tokens=max_tokens, stop_token_ids=list(self._stops), stop=list(stop) or None
            ),
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
