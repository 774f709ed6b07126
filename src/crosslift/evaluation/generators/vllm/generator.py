"""Generator of one run: what it asks of the engine, alone or together with other runs of the same base model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.chat import load_tokenizer, stop_ids
from crosslift.errors import EvaluationError
from crosslift.evaluation.adapters import base_of
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.endpoint import run_of
from crosslift.evaluation.generators.vllm import canary as tests
from crosslift.evaluation.generators.vllm.engine import Engine, Spec, engine_for, linear_modules, rank_for
from crosslift.evaluation.requests.kinds import Likelihood, TokenContinuations

RUNS_PER_ENGINE = 8
"""Default number of trained runs of a base model that wait for an engine before it is started."""


class Generator:
    """Generates completions with the open engine of vLLM."""

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
        max_loras: int | None = None,
        runs_per_engine: int = RUNS_PER_ENGINE,
        num_devices: int = 1,
        **engine: Any,
    ) -> None:
        """Start an engine, or take the open one if it can hold the model.

        Args:
            checkpoint: Local folder or hub name; the folder of a LoRA adapter is loaded on its base model.
            base: Base model of an adapter; None: the one that the adapter's configuration names.
            revision: Revision of the base model or hub model.
            device: Not used; vLLM chooses the device.
            template: Chat template, as `chat.load_tokenizer` takes it.
            canary: Test that an adapter changes the outputs, and that weights loaded in place give those of the
                checkpoint.
            max_lora_rank: Maximum rank of the adapters of this engine; None: the rank of this one. With a rank, the
                base model itself is asked in the engine of its adapters.
            max_loras: Adapters in one batch; None: `runs_per_engine`.
            runs_per_engine: Number of runs that are asked together at most.
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
        targets: set[str] = set()
        if adapter.is_file():
            config = json.loads(adapter.read_text(encoding="utf-8"))
            rank = int(config["r"])
            given = config.get("target_modules") or ()
            targets = {name.rpartition(".")[2] for name in ([given] if isinstance(given, str) else given)}
            source, named_revision = (base, None) if base else base_of(Path(checkpoint))
            revision = revision or named_revision
        own = (Path(checkpoint) / "tokenizer_config.json").is_file() or not rank
        self.tokenizer = load_tokenizer(checkpoint if own else source, None if own and rank else revision, template)
        self.stop_ids = stop_ids(self.tokenizer)
        largest = rank_for(max(rank, max_lora_rank or 0))
        # The same for all runs of a base model, with whichever of its modules they adapt.
        linear = linear_modules(source) if largest else ()
        self.spec = Spec(
            source=source,
            revision=revision,
            rank=largest,
            max_loras=max(1, max_loras or runs_per_engine) if largest else 1,
            targets=linear if targets <= set(linear) else (),
            options=json.dumps(engine, sort_keys=True),
        )
        self.name = run_of(checkpoint, base)
        self._folder = str(checkpoint) if rank else None
        self._canary = canary
        self._tested = not canary or self._folder is None
        self._others: tuple[Generator, ...] = ()
        self._held: dict[_Asked, list[Any]] = {}
        self._failure: EvaluationError | None = None
        engine_for(self.spec)

    @property
    def is_batched(self) -> bool:
        """Whether the engine can be asked for this and other runs at once: for adapters and their base model."""
        return self.spec.rank > 0

    def ask_with(self, others: Sequence[Generator]) -> None:
        """Announce that other runs will be asked the same: the next calls of this generator are made for all of them.

        An answer that another run was given in this way is kept until that run asks, or until the next call of
        `ask_with`. If it asks something else, it is asked alone.

        Args:
            others: the generators of the other runs; those of another engine are left out.
        """
        self._others = tuple(one for one in others if one.spec == self.spec and one.stop_ids == self.stop_ids)
        for one in (self, *others):
            one._held.clear()

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Generate a completion for each prompt, in the order of the prompts.

        A prompt that fills the model's context gets an empty completion with finish "length", as that of `hf`.

        Args:
            prompts: Token ids, as `chat.encode_prompt` returns them.
            max_tokens: Limit of generated tokens per prompt.
            stop: Texts that end a completion.

        Raises:
            EvaluationError: the adapter gives the same outputs as its base model, or the engine ended.
        """
        given = tuple(map(tuple, prompts))
        return self._answers(_Completions(given=given, max_tokens=max_tokens, stop=tuple(stop)))

    @property
    def max_length(self) -> int:
        """Longest input of the model in tokens; vLLM generates one token behind a text of one more."""
        return engine_for(self.spec).max_model_len - 2

    def log_likelihoods(self, requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]:
        """Log-probabilities of given continuations, by `prompt_logprobs`.

        vLLM computes each context once per continuation, as its prefix cache holds no log-probabilities.

        Args:
            requests: contexts and continuations in token ids. A context is cut from the left where a continuation would
                not fit behind it.

        Returns:
            One list per request; None for a continuation longer than the model's context.

        Raises:
            EvaluationError: the adapter gives the same outputs as its base model, the engine ended, or it provides for
                adapters of the output layer.
        """
        if self.spec.rank and not self.spec.targets:
            raise EvaluationError(
                "vLLM returns no log-probabilities of given texts from an engine with adapters of the output layer, or "
                'of modules that are not linear layers. Set generator = "hf" for the evaluation.'
            )
        return self._answers(_Likelihoods(requests=tuple(requests), longest=self.max_length))

    def _answers(self, asked: _Asked) -> list[Any]:
        if asked in self._held:
            return self._held.pop(asked)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        prompts = tests.chosen(asked.prompts())
        engine = self._engine(prompts)
        together, adapters = self._ready(engine, prompts)
        sent = asked.sent(engine.max_model_len)
        replies = engine.ask(
            [ids for _ in together for ids in sent],
            asked.parameters(self.stop_ids),
            [one for one in adapters for _ in sent],
        )
        for place, one in enumerate(together):
            own = replies[place * len(sent) : (place + 1) * len(sent)]
            one._held[asked] = asked.read(own, engine.max_model_len, one.tokenizer)
        return self._held.pop(asked)

    def _engine(self, prompts: tests.Prompts) -> Engine:
        """The engine, with the weights of this run; without prompts nothing is asked of it."""
        if not prompts or not self._canary:
            return engine_for(self.spec, lambda engine, when: True)
        return engine_for(self.spec, tests.Replacement(self.spec.source, prompts))

    def _ready(self, engine: Engine, prompts: tests.Prompts) -> tuple[list[Generator], list[Any]]:
        """Load the adapters of this and the announced runs, and test those that are new.

        An adapter of another run that fails is left out; that run gets the error when its turn comes.

        Raises:
            EvaluationError: the adapter of this run fails.
        """
        members = [self, *(one for one in self._others if one._failure is None)]
        adapters: dict[int, Any] = {}
        for one in members:
            try:
                adapters[id(one)] = None if one._folder is None else engine.adapter(one.name, one._folder)
            except EvaluationError as error:
                one._failure = error
        new = [one for one in members if not one._tested and one._failure is None]
        if new and prompts:
            unchanged = tests.without_effect(engine, prompts, [adapters[id(one)] for one in new])
            for one, same in zip(new, unchanged, strict=True):
                one._tested = not same
                if same:
                    one._failure = _not_applied(len(prompts))
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        good = [one for one in members if one._failure is None]
        return good, [adapters[id(one)] for one in good]


@dataclass(frozen=True, kw_only=True)
class _Completions:
    """Ask for completions."""

    given: tuple[tuple[int, ...], ...]
    max_tokens: int
    stop: tuple[str, ...]

    def prompts(self) -> Sequence[Sequence[int]]:
        return self.given

    def sent(self, longest: int) -> list[tuple[int, ...]]:
        return [ids for ids in self.given if len(ids) < longest]

    def parameters(self, stop_ids: Sequence[int]) -> Any:
        from vllm import SamplingParams  # type: ignore[import-not-found]

        return SamplingParams(
            temperature=0.0,
            max_tokens=self.max_tokens,
            stop_token_ids=list(stop_ids),
            stop=list(self.stop) or None,
            detokenize=bool(self.stop),  # texts come from our own tokenizer, as those of `hf`
        )

    def read(self, replies: Sequence[Any], longest: int, tokenizer: Any) -> list[Completion]:
        outputs = iter([reply.outputs[0] for reply in replies])
        found = [next(outputs) if len(ids) < longest else None for ids in self.given]
        ids = [[] if one is None else list(one.token_ids) for one in found]
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [
            Completion(
                text=text,
                finish="length" if one is None or one.finish_reason == "length" else "stop",
                num_tokens=len(tokens),
            )
            for one, tokens, text in zip(found, ids, texts, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class _Likelihoods:
    """Ask for log-probabilities."""

    requests: tuple[TokenContinuations, ...]
    longest: int

    def prompts(self) -> Sequence[Sequence[int]]:
        return [whole for _, _, whole, _ in self._cells()]

    def sent(self, longest: int) -> list[tuple[int, ...]]:
        return [whole for _, _, whole, _ in self._cells()]

    def parameters(self, stop_ids: Sequence[int]) -> Any:
        from vllm import SamplingParams

        return SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)

    def read(self, replies: Sequence[Any], longest: int, tokenizer: Any) -> list[list[Likelihood | None]]:
        found: list[list[Likelihood | None]] = [[None] * len(request.continuations) for request in self.requests]
        for (place, choice, whole, length), reply in zip(self._cells(), replies, strict=True):
            scored = [reply.prompt_logprobs[at][whole[at]] for at in range(len(whole) - length, len(whole))]
            found[place][choice] = Likelihood(
                log_probability=sum(one.logprob for one in scored), is_greedy=all(one.rank == 1 for one in scored)
            )
        return found

    def _cells(self) -> list[tuple[int, int, tuple[int, ...], int]]:
        """Request, continuation, token ids of both, and number of tokens of the continuation."""
        return [
            (place, choice, (*request.context, *continuation)[-(self.longest + 1) :], len(continuation))
            for place, request in enumerate(self.requests)
            for choice, continuation in enumerate(request.continuations)
            if len(continuation) <= self.longest
        ]


_Asked = _Completions | _Likelihoods


def _not_applied(num_prompts: int) -> EvaluationError:
    return EvaluationError(
        f"The adapter gives the same output as its base model on {num_prompts} prompts, so it is not applied, or was "
        "hardly trained. Check max_lora_rank and the adapter's modules, or set canary = false under [generators.vllm] "
        "in the site file to skip this test."
    )
