"""vLLM itself, beside transformers: the same answers and log-probabilities, adapters and checkpoints of several runs in
one engine. `make vllm` runs this in an environment of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import engine_models
import pytest

from crosslift.errors import EvaluationError
from crosslift.evaluation.generators.hf.generator import Generator as HF
from crosslift.evaluation.generators.vllm import Generator, close, engine
from crosslift.evaluation.requests.kinds import TokenContinuations

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed; make vllm installs it"),
]

TIE = 1e-3
"""Nats between two tokens that either generator may choose."""
BASE = engine_models.base()


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The models for which an engine was started."""
    started: list[str] = []
    start = engine._start

    def noting(spec: engine.Spec) -> engine.Engine:
        started.append(spec.source)
        return start(spec)

    monkeypatch.setattr(engine, "_start", noting)
    monkeypatch.setattr(engine, "_never_in_place", set())
    yield started
    close()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters, and one of zeros."""
    runs = tmp_path_factory.mktemp("runs")
    return [
        engine_models.write_adapter(runs / f"run-{n}", seed=n, size=size) for n, size in enumerate((0.05, 0.05, 0.0))
    ]


def recorded(generator: Any) -> list[list[int]]:
    """The token ids of the completions that a generator decodes from now on."""
    ids: list[list[int]] = []
    decode = generator.tokenizer.batch_decode

    def recording(sequences: list[list[int]], **options: Any) -> list[str]:
        ids.extend(map(list, sequences))
        return decode(sequences, **options)

    generator.tokenizer.batch_decode = recording
    return ids


def differences(
    prompts: list[list[int]], generator: Any, ours: list[list[int]], reference: HF, *, max_tokens: int
) -> tuple[int, list[str]]:
    """Number of equal completions, and what differs by more than a tie.

    Args:
        prompts: token ids.
        generator: the generator.
        ours: result of `recorded` for it; it may have been asked together with another one.
        reference: transformers.
        max_tokens: of a completion.
    """
    theirs = recorded(reference)
    found = generator.generate(prompts, max_tokens=max_tokens)
    wanted = reference.generate(prompts, max_tokens=max_tokens)
    equal, wrong = 0, []
    for prompt, one, other, mine, yours in zip(prompts, ours, theirs, found, wanted, strict=True):
        if one == other:
            assert mine == yours
            equal += 1
            continue
        at = next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
        asked = TokenContinuations(context=(*prompt, *one[:at]), continuations=((one[at],), (other[at],)))
        ((a, b),) = reference.log_likelihoods([asked])
        if abs(a.log_probability - b.log_probability) > TIE:
            wrong.append(f"{mine.text!r} instead of {yours.text!r}")
    return equal, wrong


def hf(checkpoint: Path | str) -> HF:
    return HF(checkpoint, base=BASE, device="cpu", precision="float32")


def test_adapters_and_their_base_answer_200_prompts_together_as_transformers_does(starts, adapters):
    prompts = engine_models.prompts(200)
    runs = [
        Generator(checkpoint, base=BASE, max_lora_rank=4, **engine_models.OPTIONS)
        for checkpoint in (*adapters[:2], BASE)
    ]
    decoded = [recorded(one) for one in runs]
    runs[0].ask_with(runs[1:])
    for generator, ours, checkpoint in zip(runs, decoded, (*adapters[:2], BASE), strict=True):
        equal, wrong = differences(prompts, generator, ours, hf(checkpoint), max_tokens=32)
        sys.stdout.write(
            f"{Path(checkpoint).parent.parent.name}: {equal} of {len(prompts)} equal, the others tie" + "\n"
        )
        assert wrong == []
        assert equal >= 190
    texts = [[one.text for one in generator.generate(prompts[:20], max_tokens=32)] for generator in runs]
    assert texts[0] != texts[1] != texts[2] != texts[0]
    assert len(starts) == 1


def test_an_adapter_of_zeros_is_refused_and_the_others_of_its_group_are_not(starts, adapters):
    prompts = engine_models.prompts(10)
    good, zeros = (Generator(adapters[n], base=BASE, **engine_models.OPTIONS) for n in (0, 2))
    good.ask_with([zeros])
    assert len(good.generate(prompts, max_tokens=8)) == 10
    with pytest.raises(EvaluationError, match="same output as its base model on 8 prompts"):
        zeros.generate(prompts, max_tokens=8)
    broken = adapters[0].parents[1].with_name("broken") / "train" / "checkpoint"
    engine_models.write_adapter(broken.parents[1], seed=7)
    (broken / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EvaluationError, match="vLLM cannot load the adapter"):
        Generator(broken, base=BASE, **engine_models.OPTIONS).generate(prompts, max_tokens=8)
    good.ask_with([])
    assert good.generate(prompts, max_tokens=8) == hf(adapters[0]).generate(prompts, max_tokens=8)
    assert len(starts) == 1


def test_log_probabilities_are_those_of_transformers_to_a_thousandth(starts, adapters):
    contexts = engine_models.prompts(60)
    asked = [
        TokenContinuations(context=tuple(ids), continuations=((5 + n, 77, 120), (9, 30 + n), (40,)))
        for n, ids in enumerate(contexts)
    ]
    runs = [Generator(one, base=BASE, max_lora_rank=4, **engine_models.OPTIONS) for one in (adapters[0], BASE)]
    runs[0].ask_with(runs[1:])
    for generator, checkpoint in zip(runs, (adapters[0], BASE), strict=True):
        found, wanted = generator.log_likelihoods(asked), hf(checkpoint).log_likelihoods(asked)
        pairs = [(a, b) for ours, theirs in zip(found, wanted, strict=True) for a, b in zip(ours, theirs, strict=True)]
        largest = max(abs(a.log_probability - b.log_probability) for a, b in pairs)
        sys.stdout.write(f"{len(pairs)} continuations, largest difference {largest:.1e} nats" + "\n")
        assert largest < 1e-3
        assert all(a.is_greedy == b.is_greedy for a, b in pairs)
    assert len(starts) == 1


@pytest.mark.parametrize("tied", [False, True])
def test_checkpoints_follow_each_other_in_one_engine_or_get_their_own(starts, tmp_path: Path, tied: bool):
    """vLLM 0.32 keeps the former output layer of tied embeddings on a CPU, which the canary must notice."""
    folders = [engine_models.write_checkpoint(tmp_path / f"run-{n}", seed=n, tied=tied) for n in range(3)]
    prompts = engine_models.prompts(40, "llama-m")
    for folder in folders:
        generator = Generator(folder, **engine_models.OPTIONS)
        ours = recorded(generator)
        equal, wrong = differences(
            prompts, generator, ours, HF(folder, device="cpu", precision="float32"), max_tokens=24
        )
        sys.stdout.write(f"{folder.parents[1].name}: {equal} of {len(prompts)} equal" + "\n")
        assert wrong == []
    sys.stdout.write(f"tied: {tied}, engines: {len(starts)}" + "\n")
    assert len(starts) == (3 if tied else 1)


def test_a_study_of_adapters_is_evaluated_by_one_engine_with_the_answers_of_transformers(starts, tmp_path: Path):
    from fake_study import open_graph
    from tiny_study import STUDY, write_study

    from crosslift.execution.phases.prepare import prepare
    from crosslift.execution.workers.worker import work
    from crosslift.studies.parsing.load import load
    from crosslift.studies.site import Site

    text = STUDY.replace("./model", "pocket:qwen3-m").replace("learning_rate = 1e-3", "learning_rate = 1e-2")
    text = text.replace("[training]", '[training]\nmethod = "lora"').replace(
        "max_tokens = 8", 'generator = "GENERATOR"'
    )
    folder = write_study(tmp_path / "study", seeds=(0, 1), text=text.replace("GENERATOR", "vllm"))

    def answers() -> dict[str, list[str]]:
        prepare(open_graph(folder), say=lambda line: None)
        good = work(load(folder), site=Site(device="cpu", generators={"vllm": engine_models.OPTIONS}))
        assert [file.read_text() for file in folder.glob("runs/*/error.json")] == []
        assert good
        graph = open_graph(folder)
        return {
            f"{run}.{tag}": graph.store.predictions(run, "math", tag)["text"].to_list()
            for run in graph.runs
            for tag in ("en", "es", "sw")
        }

    found = answers()
    assert len(starts) == 1
    file = folder / "study.toml"
    file.write_text(file.read_text().replace('"vllm"', '"hf"').replace("SEEDS", "[0, 1]"))
    wanted = answers()
    pairs = [(a, b) for cell in wanted for a, b in zip(found[cell], wanted[cell], strict=True)]
    same = sum(a == b for a, b in pairs)
    sys.stdout.write(f"{same} of {len(pairs)} answers of {len(wanted)} cells equal\n")
    assert len(pairs) == 5 * 3 * 8
    assert same >= 0.97 * len(pairs)
    assert len({tuple(found[f"{run}.en"]) for run in open_graph(folder).runs}) == 5
