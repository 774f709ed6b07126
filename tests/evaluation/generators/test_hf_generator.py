from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.hf import generator as hf

PROMPT_LENGTHS = (23, 5, 40, 17, 5, 61, 12, 30)


def prompts(seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, size=length).tolist() for length in PROMPT_LENGTHS]


def by_library(generator: hf.Generator, prompt: list[int], max_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    answer = generator.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=list(generator.stop_ids),
        pad_token_id=256,
    )
    return answer[0, len(prompt) :].tolist()


@pytest.mark.parametrize("architecture", ["qwen3", "llama", "gemma3", "cohere2"])
def test_tokens_are_those_of_the_library_while_rows_leave_the_batch(tiny_model, architecture):
    generator = hf.Generator(tiny_model(architecture), device="cpu")
    generator.stop_ids = tuple(range(0, 250, 8))  # one token in eight ends an answer, so they end at many lengths
    ours = hf.greedy_decode(generator.model, prompts(), [24] * len(PROMPT_LENGTHS), generator.stop_ids)
    assert len({len(answer) for answer in ours}) > 3
    assert ours == [by_library(generator, prompt, 24) for prompt in prompts()]


def test_answers_come_in_the_order_of_the_prompts_whatever_the_batches(tiny_model):
    folder = tiny_model("qwen3")
    together = hf.Generator(folder, device="cpu").generate(prompts(), max_tokens=12)
    apart = hf.Generator(folder, device="cpu", max_batch_tokens=60).generate(prompts(), max_tokens=12)
    alone = [hf.Generator(folder, device="cpu").generate([prompt], max_tokens=12)[0] for prompt in prompts()]
    assert together == apart == alone


def test_a_model_that_is_to_be_divided_answers_as_a_whole_one(tiny_model, monkeypatch):
    folder = tiny_model("gemma3")
    whole = hf.Generator(folder, device="cpu").generate(prompts(), max_tokens=8)
    assert hf.Generator(folder, device="cpu", num_devices=2).generate(prompts(), max_tokens=8) == whole
    assert hf._device_map(2, torch.device("cuda")) == "balanced"
    assert hf._device_map(1, torch.device("cuda")) is None


def test_an_answer_that_ends_itself_is_told_from_one_that_was_cut(tiny_model):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    cut = generator.generate(prompts()[:1], max_tokens=6)[0]
    assert (cut.finish, cut.num_tokens) == ("length", 6)
    first = hf.greedy_decode(generator.model, prompts()[:1], [6], ())[0]
    generator.stop_ids = (first[3],)
    ended = generator.generate(prompts()[:1], max_tokens=6)[0]
    assert ended.finish == "stop"
    assert ended.num_tokens == first.index(first[3]) + 1


def test_an_answer_never_leaves_the_models_context(tiny_model, caplog):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    short, nearly, full = generator.generate([[7] * 20, [7] * 508, [7] * 512], max_tokens=9)
    assert (short.num_tokens, nearly.num_tokens) == (9, 4)
    assert full == Completion(text="", finish="length", num_tokens=0)
    assert "1 of 3 prompts fill the model's context of 512 tokens" in caplog.text


def test_a_batch_that_does_not_fit_on_the_gpu_is_halved(tiny_model, monkeypatch):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    expected = generator.generate(prompts(), max_tokens=8)
    decode, sizes = hf.greedy_decode, []

    def small_gpu(model, batch, limits, stops, *, ended=None):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError
        return decode(model, batch, limits, stops)

    monkeypatch.setattr(hf, "greedy_decode", small_gpu)
    assert generator.generate(prompts(), max_tokens=8) == expected
    assert sizes[:3] == [8, 4, 2]
    sizes.clear()
    assert generator.generate(prompts(), max_tokens=8) == expected
    assert sizes[0] == 8, "a call must not depend on what happened in another"


def test_a_completion_may_end_behind_a_stop_text_and_equals_the_longer_one_up_to_there(tiny_model):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    longer = generator.generate(prompts(), max_tokens=64)
    stop = longer[0].text[5:8]
    shorter = generator.generate(prompts(), max_tokens=64, stop=[stop])
    assert shorter[0].num_tokens <= max(32, longer[0].num_tokens // 2) and stop in shorter[0].text
    assert all(long.text.startswith(short.text) for long, short in zip(longer, shorter, strict=True))


def test_a_prompt_that_fits_nowhere_is_an_error_with_a_remedy(tiny_model, monkeypatch):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")

    def no_gpu(*arguments, ended=None):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(hf, "greedy_decode", no_gpu)
    with pytest.raises(EvaluationError, match="Use a larger GPU"):
        generator.generate(prompts(), max_tokens=8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_adapter_is_loaded_on_its_base(tiny_model, tmp_path: Path, precision):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tiny_model("qwen3")
    torch.manual_seed(1)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False),
    )
    adapted.save_pretrained(tmp_path)
    generator = hf.Generator(tmp_path, device="cpu", precision=precision)
    plain = hf.Generator(folder, device="cpu", precision=precision)
    assert generator.generate(prompts(), max_tokens=8) != plain.generate(prompts(), max_tokens=8)
    if precision == "float32":
        with torch.inference_mode():
            ids = torch.tensor(prompts()[:1])
            expected = adapted.eval()(input_ids=ids).logits
            assert torch.allclose(generator.model(input_ids=ids).logits, expected, atol=1e-4)


def test_a_folder_without_a_model_is_an_error_that_names_it(tiny_model, tmp_path: Path):
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(tiny_model("qwen3")).save_pretrained(tmp_path)
    with pytest.raises(EvaluationError, match=tmp_path.name):
        hf.Generator(tmp_path, device="cpu")
