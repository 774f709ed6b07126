"""Generators that ask a server answer as the Hugging Face generator does."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoints import FaultyServer, serving

from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators import endpoint as served
from crosslift.evaluation.generators.hf.generator import Generator as HF
from crosslift.evaluation.requests.kinds import TokenContinuations
from crosslift.remote import endpoint

TEXTS = ["<|im_start|>user\nhow many?<|im_end|>\n<|im_start|>assistant\n", "short", "ngapi? تفاح"]


def prompts(generator: HF) -> list[list[int]]:
    return [generator.tokenizer(text)["input_ids"] for text in TEXTS]


def greedy(generator: HF, ids: list[int], max_tokens: int = 8) -> Completion:
    return generator.generate([ids], max_tokens=max_tokens)[0]


# --- endpoint


@pytest.mark.parametrize("form", ["text", "tokens"])
def test_a_server_of_the_same_model_gives_the_same_answers(tiny_model, form: str, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)
    folder = tiny_model("qwen3")
    model = HF(folder, device="cpu")

    def answer(prompt: str | list[int]) -> str:
        ids = prompt if isinstance(prompt, list) else model.tokenizer(prompt)["input_ids"]
        return greedy(model, ids).text

    with serving(answer, fault_every=4) as server:
        generator = served.Generator(folder, base_url=server.base_url, prompts=form, timeout_seconds=0.5)
        found = generator.generate(prompts(model), max_tokens=8)
    assert [one.text for one in found] == [greedy(model, ids).text for ids in prompts(model)]


def test_a_prompt_without_reply_is_our_error_and_not_the_models(tiny_model, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)
    with serving(str, fault_every=1) as server:
        generator = served.Generator(tiny_model("qwen3"), base_url=server.base_url, max_attempts=1, timeout_seconds=0.5)
        (found,) = generator.generate([[7, 8]], max_tokens=4)
    assert found == Completion(text="", finish="error", num_tokens=0)


def test_the_model_is_asked_for_by_the_name_of_its_run(tiny_model):
    base = str(tiny_model("qwen3"))
    assert served.run_of(Path("STUDY/runs/m.en.s0/train/checkpoint"), base) == "m.en.s0"
    assert served.run_of(Path("STUDY/runs/m.en.s0/train/checkpoints/step-3"), base) == "m.en.s0"
    assert served.run_of(base, base) == "base"
    with pytest.raises(EvaluationError, match="base_url"):
        served.Generator(base)


# --- log-probabilities of given texts

REQUESTS = [
    TokenContinuations(context=(5, 9, 77), continuations=((1, 2, 3), (65,))),
    TokenContinuations(context=(104, 111, 119), continuations=((32, 109), (97, 98, 99, 100))),
]


class EchoServer(FaultyServer):
    """Returns the log-probabilities of the prompt's tokens as vLLM's server does, or none."""

    model: HF
    echoes = True

    def choice(self, body: dict) -> dict:
        if not (self.echoes and body.get("echo") and body.get("logprobs")):
            return {}
        ids = body["prompt"]
        if isinstance(ids, str):
            ids = self.model.tokenizer(ids)["input_ids"]
        values, tops = [None], [None]
        for at in range(1, len(ids)):
            one = TokenContinuations(context=tuple(ids[:at]), continuations=((ids[at],),))
            ((found,),) = self.model.log_likelihoods([one])
            values.append(found.log_probability)
            tops.append({"x": found.log_probability if found.is_greedy else found.log_probability + 1})
        return {"logprobs": {"token_logprobs": [*values, -1.0], "top_logprobs": [*tops, {"x": -1.0}], "tokens": []}}


def close(found, wanted) -> bool:
    pairs = [pair for ours, theirs in zip(found, wanted, strict=True) for pair in zip(ours, theirs, strict=True)]
    return all(
        abs(one.log_probability - other.log_probability) < 1e-3 and one.is_greedy == other.is_greedy
        for one, other in pairs
    )


def test_a_server_that_echoes_gives_the_same_log_probabilities(tiny_model):
    pytest.importorskip("openai")
    EchoServer.model = HF(tiny_model("qwen3"), device="cpu")
    with serving(str, server=EchoServer) as server:
        generator = served.Generator(tiny_model("qwen3"), base_url=server.base_url, prompts="tokens", max_length=512)
        assert close(generator.log_likelihoods(REQUESTS), EchoServer.model.log_likelihoods(REQUESTS))


def test_a_server_without_log_probabilities_is_refused_by_its_first_reply(tiny_model, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setattr(EchoServer, "echoes", False)
    with serving(str, server=EchoServer) as server:
        generator = served.Generator(tiny_model("qwen3"), base_url=server.base_url, prompts="tokens")
        with pytest.raises(EvaluationError, match="does not return log-probabilities of the prompt's tokens"):
            generator.log_likelihoods(REQUESTS)
        assert sum(server.asked.values()) == 1
