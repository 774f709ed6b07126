"""Log-probabilities of the Hugging Face generator, with shared contexts, are those of the model itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crosslift.evaluation.generators.hf import generator as hf
from crosslift.evaluation.generators.hf import likelihood
from crosslift.evaluation.requests.kinds import TokenContinuations

LIMITS = likelihood.Limits(tokens=32_768, logits=1 << 26)


def requests(seed: int = 0) -> list[TokenContinuations]:
    random = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(random.integers(0, 256, size=length).tolist())

    return [
        TokenContinuations(context=ids(length), continuations=tuple(map(ids, random.integers(1, 14, size=4))))
        for length in (3, 25, 9, 40, 1, 1)
    ]


def by_model(model, context: tuple[int, ...], continuation: tuple[int, ...]) -> float:
    whole = torch.tensor([[*context, *continuation]])
    with torch.inference_mode():
        values = torch.log_softmax(model(input_ids=whole[:, :-1]).logits[0, len(context) - 1 :].float(), dim=-1)
    return float(values.gather(1, whole[0, len(context) :, None]).sum())


@pytest.mark.parametrize("architecture", ["qwen3", "llama", "gemma3", "cohere2"])
def test_values_are_those_of_the_model_however_contexts_are_shared_and_batched(tiny_model, architecture):
    generator = hf.Generator(tiny_model(architecture), device="cpu")
    found = generator.log_likelihoods(requests())
    for request, values in zip(requests(), found, strict=True):
        wanted = [by_model(generator.model, request.context, one) for one in request.continuations]
        assert [one.log_probability for one in values] == pytest.approx(wanted, abs=1e-4)
    for limits, share in ((likelihood.Limits(tokens=60, logits=5_000), True), (LIMITS, False)):
        other = likelihood.log_likelihoods(generator.model, requests(), limits, share=share)
        for ours, theirs in zip(found, other, strict=True):
            assert [one.is_greedy for one in ours] == [one.is_greedy for one in theirs]
            values = [one.log_probability for one in theirs]
            assert [one.log_probability for one in ours] == pytest.approx(values, abs=1e-4)


def test_what_greedy_decoding_writes_is_called_greedy(tiny_model):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    context = (5, 9, 77)
    (written,) = hf.greedy_decode(generator.model, [context], [4], ())
    other = (*written[:3], (written[3] + 1) % 256)
    request = TokenContinuations(context=context, continuations=(tuple(written), other))
    assert [one.is_greedy for one in generator.log_likelihoods([request])[0]] == [True, False]


def test_a_long_context_loses_its_beginning_and_a_longer_continuation_has_no_value(tiny_model):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    context = tuple(range(200)) * 3
    request = TokenContinuations(context=context, continuations=((1, 2, 3), (7,) * 513))
    first, second = generator.log_likelihoods([request])[0]
    assert first.log_probability == pytest.approx(by_model(generator.model, context[-510:], (1, 2, 3)), abs=1e-4)
    assert second is None


def test_each_context_is_computed_once(tiny_model, monkeypatch):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    columns = []
    call = generator.model.forward

    def counted(*arguments, **options):
        columns.append(options["input_ids"].numel())
        return call(*arguments, **options)

    monkeypatch.setattr(generator.model, "forward", counted)
    request = TokenContinuations(context=(3,) * 100, continuations=tuple((1, 2, last) for last in range(4)))
    generator.log_likelihoods([request, request])
    assert columns == [100, 8], "two inputs for each of the four continuations"
