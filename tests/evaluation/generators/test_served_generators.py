"""Generators that ask a server or an engine answer as the Hugging Face generator does."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from endpoints import FaultyServer, serving

from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators import endpoint as served
from crosslift.evaluation.generators import vllm
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


# --- vllm, with an engine that keeps its contract


class FakeEngine:
    """`vllm.LLM` as its documentation describes it, over Hugging Face models."""

    made = 0

    def __init__(self, model: str, **options: object) -> None:
        FakeEngine.made += 1
        assert options.pop("trust_remote_code") is False
        self.model = model
        self.options = options
        self.broken = False

    def generate(self, prompts, *, sampling_params, lora_request=None, use_tqdm=True):
        adapted = lora_request is not None and not self.broken
        folder = lora_request.path if adapted else self.model
        model = HF(folder, base=self.model, device="cpu")
        found = []
        if getattr(sampling_params, "prompt_logprobs", None) is not None:
            return [self._scored(model, prompt["prompt_token_ids"]) for prompt in prompts]
        for prompt in prompts:
            answer = model.generate([prompt["prompt_token_ids"]], max_tokens=sampling_params.max_tokens)[0]
            output = types.SimpleNamespace(
                text=answer.text, token_ids=[0] * answer.num_tokens, finish_reason=answer.finish
            )
            found.append(types.SimpleNamespace(outputs=[output]))
        return found

    @property
    def llm_engine(self):
        return types.SimpleNamespace(model_config=types.SimpleNamespace(max_model_len=512))

    @staticmethod
    def _scored(model, ids):
        """`prompt_logprobs` of a reply: None for the first token, then token id -> Logprob."""
        values = [None]
        for at in range(1, len(ids)):
            one = TokenContinuations(context=tuple(ids[:at]), continuations=((ids[at],),))
            ((found,),) = model.log_likelihoods([one])
            values.append({ids[at]: types.SimpleNamespace(logprob=found.log_probability, rank=2 - found.is_greedy)})
        return types.SimpleNamespace(prompt_logprobs=values)


@pytest.fixture
def engine(monkeypatch):
    module, lora, request = types.ModuleType("vllm"), types.ModuleType("vllm.lora"), types.ModuleType("x")
    module.LLM = FakeEngine
    module.SamplingParams = types.SimpleNamespace
    request.LoRARequest = lambda name, number, path: types.SimpleNamespace(name=name, number=number, path=path)
    for name, one in {"vllm": module, "vllm.lora": lora, "vllm.lora.request": request}.items():
        monkeypatch.setitem(sys.modules, name, one)
    monkeypatch.setattr(vllm, "_engines", {})
    monkeypatch.setattr(vllm, "_numbers", {})
    FakeEngine.made = 0


@pytest.fixture
def adapters(tiny_model, tmp_path: Path) -> tuple[Path, list[Path]]:
    """A base model and two adapters of it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = tiny_model("qwen3")
    folders = []
    for number in range(2):
        torch.manual_seed(number)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False),
        )
        folders.append(tmp_path / "runs" / f"run-{number}" / "train" / "checkpoint")
        model.save_pretrained(folders[-1])
    return base, folders


def test_adapters_of_many_runs_share_one_engine_and_answer_as_they_should(engine, adapters):
    base, folders = adapters
    reference = HF(base, device="cpu")
    for folder in [*folders, folders[0]]:
        generator = vllm.Generator(folder, base=str(base))
        found = generator.generate(prompts(reference), max_tokens=8)
        wanted = [greedy(HF(folder, base=str(base), device="cpu"), ids) for ids in prompts(reference)]
        assert found == wanted
        assert generator._adapter.name == folder.parent.parent.name
    assert FakeEngine.made == 1
    assert vllm._numbers == {str(folders[0]): 1, str(folders[1]): 2}


def test_an_adapter_that_answers_as_its_base_does_is_refused(engine, adapters):
    base, folders = adapters
    generator = vllm.Generator(folders[0], base=str(base))
    generator._engine.broken = True
    ids = prompts(HF(base, device="cpu"))
    with pytest.raises(EvaluationError, match="same output as its base model"):
        generator.generate(ids, max_tokens=8)
    tolerant = vllm.Generator(folders[0], base=str(base), canary=False)
    tolerant._engine.broken = True
    assert len(tolerant.generate(ids, max_tokens=8)) == len(ids)


def test_a_full_checkpoint_gets_an_engine_of_its_own(engine, tiny_model):
    folder = tiny_model("llama")
    generator = vllm.Generator(folder)
    ids = prompts(HF(folder, device="cpu"))
    assert generator.generate(ids, max_tokens=8) == [greedy(HF(folder, device="cpu"), one) for one in ids]


def test_a_model_of_several_devices_is_divided_by_tensor_parallelism(engine, tiny_model, monkeypatch):
    given = []

    class Recording(FakeEngine):
        def __init__(self, model, **options):
            given.append(options.pop("tensor_parallel_size", None))
            super().__init__(model, **options)

    monkeypatch.setattr(sys.modules["vllm"], "LLM", Recording)
    folder = tiny_model("llama")
    vllm.Generator(folder, num_devices=4)
    vllm.Generator(folder, num_devices=4, tensor_parallel_size=2)
    vllm.Generator(folder)
    assert given == [4, 2, None]


def test_without_vllm_the_message_says_so(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setattr(vllm, "_engines", {})
    with pytest.raises(EvaluationError, match="needs the package vllm"):
        vllm.Generator(tiny_model("qwen3"))


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


def test_an_engine_gives_the_same_log_probabilities(engine, tiny_model):
    generator = vllm.Generator(tiny_model("llama"))
    assert generator.max_length == 510
    assert close(generator.log_likelihoods(REQUESTS), HF(tiny_model("llama"), device="cpu").log_likelihoods(REQUESTS))
