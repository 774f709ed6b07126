"""Tests that an engine computes with the weights that it was given.

An adapter that is not applied (modules that the engine does not patch) gives the outputs of its base model, and a study
would compare a model with itself. Weights that are replaced in place may be replaced in part: vLLM 0.32 keeps, on CPUs,
the former output layer of a model with tied embeddings. Neither raises an error. Both show in log-probabilities of the
tokens of a few prompts: an adapter must change those of its base model by more than they differ from one call to the
next, and replaced weights must give those of the checkpoint in transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crosslift.evaluation.generators.vllm.engine import Engine
from crosslift.evaluation.requests.kinds import TokenContinuations

PROMPTS = 8
TOKENS = 128
"""Of each prompt."""
COMPLETION = 32
"""Tokens of a completion, where completions are compared."""
NOISE = 3.0
"""An adapter must change log-probabilities by more than so many times the difference between two calls."""
SMALLEST = 1e-6
"""Smallest change of a log-probability, in nats per token, that counts as one."""
TOLERANCE = {"float32": 1e-4}
"""Largest difference from transformers, in nats per token, by type of the weights."""
ROUNDED_TOLERANCE = 0.03
"""The same for types with fewer digits."""
REMAINING = 0.25
"""Largest difference from transformers, relative to that of the weights that were replaced."""

Prompts = tuple[tuple[int, ...], ...]


def chosen(prompts: Sequence[Sequence[int]]) -> Prompts:
    """Return the prompts of a test; those of one token are of no use.

    Args:
        prompts: token ids of what is asked.
    """
    return tuple(tuple(ids[:TOKENS]) for ids in prompts if len(ids) > 1)[:PROMPTS]


def log_probabilities(engine: Engine, prompts: Prompts, adapters: Sequence[Any]) -> list[np.ndarray]:
    """Log-probabilities of the tokens of the prompts under each adapter, asked in one call.

    Args:
        engine: the engine.
        prompts: token ids.
        adapters: `LoRARequest`, or None for the base model.

    Returns:
        Per adapter, natural logarithms of all tokens but the first of each prompt, one after another.
    """
    from vllm import SamplingParams  # type: ignore[import-not-found]

    params = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
    replies = iter(engine.ask(prompts * len(adapters), params, [one for one in adapters for _ in prompts]))
    found = []
    for _ in adapters:
        values: list[float] = []
        for ids in prompts:
            scored = next(replies).prompt_logprobs
            values += [scored[at][ids[at]].logprob for at in range(1, len(ids))]
        found.append(np.array(values))
    return found


def completions(engine: Engine, prompts: Prompts, adapters: Sequence[Any]) -> list[list[list[int]]]:
    """Token ids of short completions of the prompts under each adapter, asked in one call."""
    from vllm import SamplingParams

    params = SamplingParams(temperature=0.0, max_tokens=COMPLETION, detokenize=False)
    replies = iter(engine.ask(prompts * len(adapters), params, [one for one in adapters for _ in prompts]))
    return [[list(next(replies).outputs[0].token_ids) for _ in prompts] for _ in adapters]


def without_effect(engine: Engine, prompts: Prompts, adapters: Sequence[Any]) -> list[bool]:
    """Find adapters that do not change the model.

    Args:
        engine: the engine.
        prompts: result of `chosen`, not empty.
        adapters: the `LoRARequest`s.

    Returns:
        Whether each adapter leaves the log-probabilities of the base model as they are; of an engine that returns none,
        whether it leaves all completions as they are.
    """
    if not engine.spec.targets:  # the engine returns no log-probabilities of prompts
        *written, plain = completions(engine, prompts, [*adapters, None])
        return [one == plain for one in written]
    if prompts not in engine.baseline:
        engine.baseline[prompts] = log_probabilities(engine, prompts, [None])[0]
    alone = engine.baseline[prompts]
    *adapted, again = log_probabilities(engine, prompts, [*adapters, None])
    least = max(SMALLEST, NOISE * float(np.abs(again - alone).mean()))
    return [bool(np.abs(one - again).mean() <= least) for one in adapted]


class Replacement:
    """Verifies that an engine answers as a checkpoint does whose weights were loaded in place.

    Args:
        checkpoint: folder of the checkpoint.
        prompts: result of `chosen`, not empty.
    """

    def __init__(self, checkpoint: str, prompts: Prompts) -> None:
        self._checkpoint = checkpoint
        self._prompts = prompts
        self._before = np.zeros(len(prompts))

    def __call__(self, engine: Engine, when: str) -> bool:
        """Measure before the replacement, and judge after it."""
        measured = self._means(log_probabilities(engine, self._prompts, [None])[0])
        if when == "before":
            self._before = measured
            return True
        wanted = self._wanted(engine.dtype)
        left, before = float(np.abs(measured - wanted).mean()), float(np.abs(self._before - wanted).mean())
        return left <= TOLERANCE.get(engine.dtype, ROUNDED_TOLERANCE) and left <= REMAINING * before

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Mean log-probability of a token of each prompt."""
        ends = np.cumsum([len(ids) - 1 for ids in self._prompts])[:-1]
        return np.array([part.mean() for part in np.split(values, ends)])

    def _wanted(self, dtype: str) -> np.ndarray:
        """The same means, computed by transformers on the CPU."""
        from crosslift.evaluation.generators.hf.generator import Generator

        model = Generator(
            Path(self._checkpoint), device="cpu", precision="float32" if dtype == "float32" else "bfloat16"
        )
        found = model.log_likelihoods(
            [TokenContinuations(context=ids[:1], continuations=(ids[1:],)) for ids in self._prompts]
        )
        return np.array(
            [
                np.nan if one is None else one.log_probability / (len(ids) - 1)
                for (one,), ids in zip(found, self._prompts, strict=True)
            ]
        )
