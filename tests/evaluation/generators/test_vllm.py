"""The generator `vllm` over an engine that keeps vLLM's interface: one engine for many runs, and no silent failure."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import fake_vllm
import pytest

from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators import vllm
from crosslift.evaluation.generators.hf.generator import Generator as HF
from crosslift.evaluation.generators.vllm import engine as engines
from crosslift.evaluation.requests.kinds import TokenContinuations

TEXTS = ["<|im_start|>user\nhow many?<|im_end|>\n<|im_start|>assistant\n", "short", "ngapi? تفاح"]
REQUESTS = [
    TokenContinuations(context=(5, 9, 77), continuations=((1, 2, 3), (65,))),
    TokenContinuations(context=(104, 111, 119), continuations=((32, 109), (97, 98, 99, 100))),
]


def prompts(folder: Path) -> list[list[int]]:
    tokenizer = HF(folder, device="cpu").tokenizer
    return [tokenizer(text)["input_ids"] for text in TEXTS]


def greedy(folder: Path, base: Path | None = None) -> list[Completion]:
    model = HF(folder, base=None if base is None else str(base), device="cpu")
    return [model.generate([model.tokenizer(text)["input_ids"]], max_tokens=8)[0] for text in TEXTS]


def asks(llm: type[fake_vllm.FakeLLM]) -> list[str]:
    return [what for what in llm.log if what.startswith("ask")]


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> type[fake_vllm.FakeLLM]:
    return fake_vllm.install(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and three runs with adapters of it, the last one of zeros."""
    import torch
    from peft import LoraConfig, get_peft_model
    from tiny_models import tokenizer, write_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("made")
    write_model(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    for number in range(3):
        torch.manual_seed(number)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(folder / "base"),
            LoraConfig(r=4, target_modules="all-linear", init_lora_weights=number == 2),
        )
        model.save_pretrained(folder / "runs" / f"run-{number}" / "train" / "checkpoint")
    return folder


@pytest.fixture
def base(made: Path) -> Path:
    return made / "base"


@pytest.fixture
def adapters(made: Path) -> list[Path]:
    return [made / "runs" / f"run-{number}" / "train" / "checkpoint" for number in range(3)]


def full_checkpoint(tiny_model, folder: Path, *, seed: int) -> Path:
    """The tiny model with other weights, in the folder of a run."""
    import torch
    from safetensors.torch import load_file, save_file

    checkpoint = Path(shutil.copytree(tiny_model("llama"), folder / "train" / "checkpoint"))
    torch.manual_seed(seed)
    weights = load_file(checkpoint / "model.safetensors")
    save_file(
        {name: one + 0.3 * one.std() * torch.randn_like(one) if one.ndim > 1 else one for name, one in weights.items()},
        checkpoint / "model.safetensors",
        metadata={"format": "pt"},
    )
    return checkpoint


# --- adapters


def test_adapters_of_many_runs_share_one_engine_and_answer_as_they_should(llm, base, adapters):
    for folder in [adapters[0], adapters[1], adapters[0]]:
        generator = vllm.Generator(folder, base=str(base))
        assert generator.generate(prompts(base), max_tokens=8) == greedy(folder, base)
        assert generator.name == folder.parents[1].name
    assert llm.log.count("start") == 1
    assert llm.options[0]["max_lora_rank"] == 8  # of an adapter of rank 4: vLLM takes certain ranks only
    assert "lm_head" not in llm.options[0]["lora_target_modules"]


def test_runs_that_are_announced_are_answered_in_one_call_each_with_its_own_weights(llm, base, adapters):
    runs = [vllm.Generator(one, base=str(base), max_lora_rank=4) for one in (*adapters[:2], base)]
    runs[0].ask_with(runs[1:])
    found = [one.generate(prompts(base), max_tokens=8) for one in runs]
    assert found == [greedy(adapters[0], base), greedy(adapters[1], base), greedy(base)]
    likelihoods = [one.log_likelihoods(REQUESTS) for one in runs]
    assert likelihoods[0] != likelihoods[1] != likelihoods[2]
    assert close(likelihoods[1], HF(adapters[1], base=str(base), device="cpu").log_likelihoods(REQUESTS))
    assert llm.log.count("start") == 1
    assert asks(llm) == ["ask 1", "ask 3", "ask 3", "ask 3"]  # the canary's two, then one per question


def test_a_run_that_asks_something_else_than_announced_is_asked_alone(llm, base, adapters):
    first, second = (vllm.Generator(one, base=str(base), canary=False) for one in adapters[:2])
    first.ask_with([second])
    first.generate(prompts(base), max_tokens=8)
    assert second.generate(prompts(base)[:1], max_tokens=8) == greedy(adapters[1], base)[:1]
    assert asks(llm) == ["ask 2", "ask 1"]


def test_an_adapter_that_answers_as_its_base_does_is_refused(llm, base, adapters):
    for fault, folder in (("unapplied", adapters[0]), ("none", adapters[2])):
        llm.faults.add(fault)
        with pytest.raises(EvaluationError, match="same output as its base model on 3 prompts"):
            vllm.Generator(folder, base=str(base)).generate(prompts(base), max_tokens=8)
        tolerant = vllm.Generator(folder, base=str(base), canary=False)
        assert len(tolerant.generate(prompts(base), max_tokens=8)) == len(TEXTS)
        with pytest.raises(EvaluationError, match="same output as its base model on 4 prompts"):
            vllm.Generator(folder, base=str(base)).log_likelihoods(REQUESTS)


def test_an_adapter_that_fails_leaves_the_others_of_its_group_alone(llm, base, adapters, tmp_path: Path):
    broken = Path(shutil.copytree(adapters[0], tmp_path / "broken" / "train" / "checkpoint"))
    (broken / "adapter_model.safetensors").unlink()
    good, zeros, wrong = (vllm.Generator(one, base=str(base)) for one in (adapters[1], adapters[2], broken))
    good.ask_with([zeros, wrong])
    assert good.generate(prompts(base), max_tokens=8) == greedy(adapters[1], base)
    with pytest.raises(EvaluationError, match="same output as its base model"):
        zeros.generate(prompts(base), max_tokens=8)
    with pytest.raises(EvaluationError, match="vLLM cannot load the adapter"):
        wrong.generate(prompts(base), max_tokens=8)


def test_an_adapter_that_was_trained_anew_in_the_same_folder_is_loaded_anew(llm, base, adapters, tmp_path: Path):
    folder = Path(shutil.copytree(adapters[0], tmp_path / "run" / "train" / "checkpoint"))
    before = vllm.Generator(folder, base=str(base)).generate(prompts(base), max_tokens=8)
    shutil.copy(adapters[1] / "adapter_model.safetensors", folder)
    generator = vllm.Generator(folder, base=str(base))
    assert generator.generate(prompts(base), max_tokens=8) != before
    assert len(engines._open[0].adapters) == 2


def test_an_engine_that_ends_is_started_again_for_the_next_run(llm, base, adapters):
    first, second = (vllm.Generator(one, base=str(base)) for one in adapters[:2])
    first.ask_with([second])
    llm.faults.add("dead")
    with pytest.raises(EvaluationError, match="engine of vLLM ended"):
        first.generate(prompts(base), max_tokens=8)
    assert second.generate(prompts(base), max_tokens=8) == greedy(adapters[1], base)
    assert llm.log.count("start") == 2


def test_a_prompt_that_fills_the_context_counts_as_truncated(llm, base):
    generator = vllm.Generator(base)
    found = generator.generate([[7] * 600, *prompts(base)], max_tokens=8)
    assert found == [Completion(text="", finish="length", num_tokens=0), *greedy(base)]


# --- full checkpoints


def test_full_checkpoints_of_one_form_follow_each_other_in_one_engine(llm, tiny_model, tmp_path: Path):
    folders = [full_checkpoint(tiny_model, tmp_path / f"run-{n}", seed=n) for n in range(3)]
    for folder in [*folders, folders[0]]:
        generator = vllm.Generator(folder)
        assert not generator.is_batched
        assert generator.generate(prompts(folder), max_tokens=8) == greedy(folder)
        assert generator.log_likelihoods(REQUESTS)
    assert llm.log.count("start") == 1
    assert llm.log.count("reload") == llm.log.count("reset") == 3


@pytest.mark.parametrize("fault", ["stale", "reload"])
def test_weights_that_were_not_replaced_are_noticed_and_get_a_new_engine(llm, tiny_model, tmp_path: Path, fault: str):
    llm.faults.add(fault)
    for number in range(3):
        folder = full_checkpoint(tiny_model, tmp_path / f"run-{number}", seed=number)
        assert vllm.Generator(folder).generate(prompts(folder), max_tokens=8) == greedy(folder)
    assert llm.log.count("start") == 3
    assert llm.log.count("reload") == 1  # not tried again


def test_a_checkpoint_of_another_form_gets_an_engine_of_its_own(llm, tiny_model):
    for name in ("llama", "qwen3"):
        folder = tiny_model(name)
        assert vllm.Generator(folder).generate(prompts(folder), max_tokens=8) == greedy(folder)
    assert llm.log.count("start") == 2
    assert llm.log.count("reload") == 0
    vllm.close()
    assert llm.log[-1] == "end"


# --- options and log-probabilities


def test_a_model_of_several_devices_is_divided_by_tensor_parallelism(llm, tiny_model):
    folder = tiny_model("llama")
    vllm.Generator(folder, num_devices=4)
    vllm.Generator(folder, num_devices=4, tensor_parallel_size=2)
    vllm.Generator(folder)
    assert [one.get("tensor_parallel_size") for one in llm.options] == [4, 2, None]


def test_an_engine_that_does_not_start_is_told_with_its_reason(llm, tiny_model):
    llm.faults.add("start")
    with pytest.raises(
        EvaluationError, match=r"cannot start an engine for .*: 3 heads; 2 devices. Change its settings"
    ):
        vllm.Generator(tiny_model("llama"))


def test_a_rank_beyond_those_of_vllm_is_refused():
    assert [engines.rank_for(rank) for rank in (0, 1, 4, 8, 9, 257, 512)] == [0, 1, 8, 8, 16, 320, 512]
    with pytest.raises(EvaluationError, match="rank up to 512, not 600"):
        engines.rank_for(600)


def test_without_vllm_the_message_says_so(llm, tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EvaluationError, match="needs the package vllm"):
        vllm.Generator(tiny_model("qwen3"))


def close(found, wanted) -> bool:
    pairs = [pair for ours, theirs in zip(found, wanted, strict=True) for pair in zip(ours, theirs, strict=True)]
    return all(
        abs(one.log_probability - other.log_probability) < 1e-3 and one.is_greedy == other.is_greedy
        for one, other in pairs
    )


def test_an_engine_gives_the_same_log_probabilities(llm, tiny_model):
    generator = vllm.Generator(tiny_model("llama"))
    assert generator.max_length == 510
    assert close(generator.log_likelihoods(REQUESTS), HF(tiny_model("llama"), device="cpu").log_likelihoods(REQUESTS))
