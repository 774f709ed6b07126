"""What a request promises: the step, the loss, the checkpoint, the metrics, the choice of a checkpoint."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import ARCHITECTURES, conversations, table, tokenizer, write_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from crosslift.chat import encode_prompt
from crosslift.errors import CrossliftError, TrainingError
from crosslift.streams import stream
from crosslift.training.trainer import METRICS, LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native import train
from crosslift.training.trainers.native.hardware import numerics

CONFIG = SFTConfig(steps=6, learning_rate=1e-3, batch_examples=8, warmup_share=0.2, precision="float32")


@pytest.fixture
def make_request(tmp_path):
    """A request with a folder of its own; keywords that SFTConfig knows go there."""
    made = []

    def make(architecture="qwen3", **changes):
        folder = tmp_path / str(len(made))
        made.append(folder)
        fields = {name for name in SFTConfig.__dataclass_fields__ if name in changes}
        config = replace(CONFIG, **{name: changes.pop(name) for name in fields})
        settings = {
            "model": write_model(folder / "base", architecture),
            "revision": None,
            "config": config,
            "examples": table(20),
            "validation": table(4, first=100),
            "seed": 0,
            "folder": folder / "train",
        }
        return TrainingRequest(**settings | changes)

    return make


def weights(request):
    return load_file(request.folder / "checkpoint" / "model.safetensors")


def metrics(request):
    return pl.read_parquet(request.folder / "metrics.parquet")


def far(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


def loss_by_hand(folder, examples, rows):
    """Nats of each row's completion, through nothing of ours."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    losses = []
    for i in rows:
        ids = torch.from_numpy(examples.ids[examples.offsets[i] : examples.offsets[i + 1]].astype(np.int64))
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0]
        start = examples.prompt_lengths[i]
        losses.append(cross_entropy(logits[start - 1 : -1], ids[start:], reduction="sum").item())
    return np.array(losses)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpoint_is_a_plain_folder_whose_loss_is_the_one_written_down(make_request, architecture):
    request = make_request(architecture)
    trained = train(request)
    folder = request.folder / "checkpoint"
    assert trained.num_steps == trained.selected_step == 6
    assert sorted(file.name for file in request.folder.iterdir()) == ["checkpoint", "metrics.parquet"]
    examples = request.validation
    tokens = (examples.lengths - examples.prompt_lengths).sum()
    losses = loss_by_hand(folder, examples, range(len(examples)))
    row = metrics(request).filter(split="validation", language="all").row(0, named=True)
    assert row["loss"] == pytest.approx(losses.sum() / tokens, abs=1e-5)
    assert row["bits_per_byte"] == pytest.approx(losses.sum() / math.log(2) / examples.completion_bytes.sum(), rel=1e-5)
    assert row["num_tokens"] == tokens
    assert losses.sum() < 0.97 * loss_by_hand(request.model, examples, range(len(examples))).sum()
    saved = AutoTokenizer.from_pretrained(folder)
    assert encode_prompt(saved, conversations(1)[0][:-1]) == encode_prompt(tokenizer(), conversations(1)[0][:-1])
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] in (1, [1])


def test_the_same_request_gives_the_same_bytes(make_request):
    first, second = make_request(), make_request()
    for request in (first, second):
        train(request)
    for name in ("checkpoint/model.safetensors", "checkpoint/config.json", "metrics.parquet"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_the_seed_changes_the_order_and_nothing_else(make_request):
    one, other, whole = make_request(), make_request(seed=1), {"batch_examples": 40, "steps": 3}
    for request in (one, other):
        train(request)
    assert far(weights(one), weights(other)) > 1e-3
    one, other = make_request(**whole), make_request(seed=1, **whole)  # every step sees everything: no order is left
    for request in (one, other):
        train(request)
    assert far(weights(one), weights(other)) < 2e-5


@pytest.mark.parametrize("method", ["full", "lora"])
def test_accumulated_gradients_are_those_of_the_whole_batch(make_request, method):
    """Normalised by the tokens of the batch: the mean of means would weigh short answers more."""
    settings = {"method": method, "steps": 3, "validation": None}
    whole = make_request(**settings)
    pieces = make_request(micro_batch_tokens=40, **settings)
    padded = make_request(micro_batch_tokens=100, packing=False, **settings)
    checkpointed = make_request(gradient_checkpointing=True, **settings)
    name = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    results = []
    for request in (whole, pieces, padded, checkpointed):
        train(request)
        results.append(load_file(request.folder / "checkpoint" / name))
    for result in results[1:]:
        assert far(results[0], result) < 2e-5  # Adam divides by gradients near zero, so not 1e-7
    frames = [metrics(request)["loss"].to_numpy() for request in (whole, pieces, padded, checkpointed)]
    for frame in frames[1:]:
        assert np.abs(frames[0] - frame).max() < 1e-5


def test_one_step_is_adamw_on_the_mean_over_tokens(make_request):
    request = make_request(steps=1, batch_examples=8, warmup_share=0.0, weight_decay=0.1, max_grad_norm=0.5)
    train(request)
    examples = request.examples
    rows = stream(0, "order", 0).permutation(40)[:8]
    model = AutoModelForCausalLM.from_pretrained(request.model, dtype=torch.float32)
    matrices = [w for w in model.parameters() if w.ndim >= 2]
    others = [w for w in model.parameters() if w.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": others, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.1
    )
    losses = []
    for i in rows:
        ids = torch.from_numpy(examples.ids[examples.offsets[i] : examples.offsets[i + 1]].astype(np.int64))
        start = examples.prompt_lengths[i]
        logits = model(input_ids=ids[None]).logits[0]
        losses.append(cross_entropy(logits[start - 1 : -1], ids[start:], reduction="none"))
    torch.cat(losses).mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    expected = dict(model.named_parameters())
    found = weights(request)
    assert max((found[name] - expected[name].detach()).abs().max().item() for name in found) < 2e-5


def test_metrics_have_loss_per_language_and_task_over_time(make_request):
    examples = table(20)
    examples = replace(examples, tasks=("math", "calls"), task=(np.arange(40) // 2 % 2).astype(np.int16))
    request = make_request(examples=examples, validation=examples, epochs=2.0, steps=None, validate_every=1.0)
    train(request)
    frame = metrics(request)
    assert frame.schema == METRICS
    assert set(frame.select("language", "task").rows()) == {
        (language, task) for language in ("all", "en", "es") for task in ("all", "math", "calls")
    }
    lengths = examples.lengths - examples.prompt_lengths
    expected = {"all": lengths.sum(), "en": lengths[::2].sum(), "es": lengths[1::2].sum()}
    for language, tokens in expected.items():
        rows = frame.filter(language=language, task="all")
        assert rows.filter(split="train", step=10)["num_tokens"].item() == 2 * tokens
        assert rows.filter(split="train", step=5)["num_tokens"].item() == tokens
        assert rows.filter(split="validation")["num_tokens"].to_list() == [tokens, tokens]
    assert frame.filter(split="validation")["step"].unique().sort().to_list() == [5, 10]
    assert frame.filter(split="validation")["epoch"].unique().sort().to_list() == [1.0, 2.0]
    assert frame["score"].is_null().all()


def test_training_loss_of_the_first_step_is_that_of_the_base_model(make_request):
    request = make_request(steps=1, batch_examples=40)
    train(request)
    row = metrics(request).filter(split="train", language="es").row(0, named=True)
    examples = request.examples
    losses = loss_by_hand(request.model, examples, range(1, 40, 2))
    tokens = (examples.lengths - examples.prompt_lengths)[1::2].sum()
    assert row["loss"] == pytest.approx(losses.sum() / tokens, rel=1e-5)
    size = examples.completion_bytes[1::2].sum()
    assert row["bits_per_byte"] == pytest.approx(losses.sum() / math.log(2) / size, rel=1e-5)


def test_lora_trains_an_adapter_and_leaves_the_base_alone(make_request):
    from peft import PeftModel

    request = make_request(method="lora", learning_rate=1e-2, lora=LoRAConfig(rank=4, alpha=8))
    before = load_file(f"{request.model}/model.safetensors")
    train(request)
    folder = request.folder / "checkpoint"
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"]) == (4, 8)
    assert settings["target_modules"] == sorted(settings["target_modules"])
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "README.md").exists()
    assert far(before, load_file(f"{request.model}/model.safetensors")) == 0
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(request.model), folder).eval()
    examples, total = request.validation, 0.0
    for i in range(len(examples)):
        ids = torch.from_numpy(examples.ids[examples.offsets[i] : examples.offsets[i + 1]].astype(np.int64))
        start = examples.prompt_lengths[i]
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0]
        total += cross_entropy(logits[start - 1 : -1], ids[start:], reduction="sum").item()
    row = metrics(request).filter(split="validation", language="all").row(0, named=True)
    assert row["loss"] * row["num_tokens"] == pytest.approx(total, rel=1e-5)


def test_dropout_follows_the_seed(make_request):
    lora = LoRAConfig(rank=4, alpha=8, dropout=0.3)
    files = []
    for seed in (0, 0, 1):
        request = make_request(method="lora", lora=lora, seed=seed, steps=1, batch_examples=40, validation=None)
        train(request)
        files.append((request.folder / "checkpoint" / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_bfloat16_weights_are_trained_in_float32_and_saved_as_they_came(make_request, tmp_path):
    """Steps smaller than bfloat16 can show add up in float32."""
    folder = write_model(tmp_path / "half", dtype=torch.bfloat16)
    request = make_request(model=folder, steps=40, learning_rate=3e-5, schedule="constant")
    train(request)
    before, after = load_file(f"{folder}/model.safetensors"), weights(request)
    assert {weight.dtype for weight in after.values()} == {torch.bfloat16}
    assert json.loads((request.folder / "checkpoint" / "config.json").read_text())["dtype"] == "bfloat16"
    # A step moves a weight by 3e-5 at most, and bfloat16 does not see that next to 0.02 (it rounds by 0.4 %): what has
    # moved there has moved by the sum of many steps.
    large = [(before[name].float().abs() > 0.02) & (before[name] != after[name]) for name in after]
    assert sum(int(moved.sum()) for moved in large) > 50


def test_best_checkpoint_by_loss_is_kept(make_request):
    few = table(20).take(np.arange(4))  # soon known by heart
    settings = {"steps": 30, "learning_rate": 1e-2, "schedule": "constant", "validate_every": 5.0, "batch_examples": 4}
    request = make_request(select_by="loss", examples=few, **settings)
    trained = train(request)
    losses = metrics(request).filter(split="validation", language="all")
    best = losses.sort("loss").row(0, named=True)
    own = metrics(request).filter(split="validation", task="all").filter(pl.col("language") != "all")
    means = own.group_by("step").agg(pl.col("loss").mean()).sort("loss")
    assert trained.selected_step == means["step"][0] < 30
    assert losses["step"].to_list() == [5, 10, 15, 20, 25, 30]
    examples = request.validation
    found = loss_by_hand(request.folder / "checkpoint", examples, range(len(examples))).sum() / best["num_tokens"]
    assert found == pytest.approx(losses.filter(step=trained.selected_step)["loss"].item(), abs=1e-5)


def test_loss_of_languages_outside_the_mixture_does_not_choose(make_request):
    """English is trained alone; the Spanish validation items are recorded and have no say."""
    request = make_request(
        examples=table(20).take(np.arange(0, 40, 2)), select_by="loss", steps=12, learning_rate=2e-2, batch_examples=20
    )
    trained = train(request)
    frame = metrics(request).filter(split="validation", task="all")
    assert set(frame["language"]) == {"all", "en", "es"}
    assert trained.selected_step == frame.filter(language="en").sort("loss")["step"][0]


def test_best_checkpoint_by_score_is_kept(make_request):
    scores, seen = iter([0.25, 0.75, 0.75, 0.5]), []

    def score(folder):
        AutoTokenizer.from_pretrained(folder)
        seen.append(load_file(folder / "model.safetensors"))
        return next(scores)

    request = make_request(select_by="score", score=score, steps=20, validation=None)
    request = replace(request, validation=table(4))
    trained = train(request)
    assert trained.selected_step == 10  # the first of equals
    assert far(weights(request), seen[1]) == 0 < far(seen[1], seen[2])
    frame = metrics(request).filter(split="validation", language="all")
    assert frame["score"].to_list() == [0.25, 0.75, 0.75, 0.5]
    assert sorted(file.name for file in request.folder.iterdir()) == ["checkpoint", "metrics.parquet"]


def test_divergence_is_an_error_that_names_the_step_and_a_remedy(make_request):
    with pytest.raises(TrainingError, match=r"not finite in step \d+ of 20.*learning_rate"):
        train(make_request(steps=20, learning_rate=1e30, max_grad_norm=0.0, schedule="constant"))


def test_impossible_requests_are_refused_with_every_problem_at_once(make_request):
    request = make_request(max_length=10, select_by="loss", validation=None, epochs=1)
    with pytest.raises(TrainingError) as error:
        train(request)
    assert len(str(error.value).splitlines()) == 4
    for word in ("exactly one of epochs and steps", "select_by", "truncate = true", "no completion"):
        assert word in str(error.value)
    with pytest.raises(TrainingError, match="no examples"):
        train(make_request(examples=table(2).take(np.array([], int))))


def test_a_model_that_is_not_there_is_an_error_of_the_user(make_request, tmp_path):
    with pytest.raises(CrossliftError, match=r"nowhere cannot be read"):
        train(make_request(model=str(tmp_path / "nowhere")))


def test_truncated_examples_keep_their_bits_per_byte(make_request):
    longest = int(table(20).lengths.max())
    request = make_request(truncate=True, max_length=longest - 4)
    train(request)
    row = metrics(request).filter(split="train", language="all").tail(1).row(0, named=True)
    assert row["num_tokens"] < (table(20).lengths - table(20).prompt_lengths).sum() * 6 * 8 / 40
    assert 0.5 < row["bits_per_byte"] / (row["loss"] / math.log(2)) < 1.5


def test_report_is_called_with_every_step_on_a_cpu(make_request):
    seen = []
    train(make_request(report=seen.append))
    assert [progress.step for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert all(p.num_steps == 6 and p.tokens_per_second > 0 and math.isfinite(p.loss) for p in seen)


def test_batches_in_tokens(make_request):
    request = make_request(batch_examples=None, batch_tokens=200, steps=None, epochs=1)
    trained = train(request)
    assert trained.num_steps == math.ceil(request.examples.lengths.sum() / 200)
    assert trained.num_tokens == request.examples.lengths.sum()


def test_taking_rows_keeps_examples_whole():
    examples = table(5)
    rows = np.array([7, 0, 7])
    taken = examples.take(rows)
    assert len(taken) == 3
    for i, row in enumerate(rows):
        assert (
            taken.ids[taken.offsets[i] : taken.offsets[i + 1]].tolist()
            == examples.ids[examples.offsets[row] : examples.offsets[row + 1]].tolist()
        )
    assert taken.language.tolist() == [1, 0, 1]


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_rounded_weights_are_not_cached_over_steps():
    """The cache of autocast lives as long as its outermost context, so steps would use the weights of the first."""
    with numerics(torch.device("cuda"), "bfloat16"):
        assert not torch.is_autocast_cache_enabled()
    layer = torch.nn.Linear(2, 1, bias=False)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):  # what numerics does on GPUs
        before = layer(torch.ones(1, 2)).item()
        with torch.no_grad():
            layer.weight += 1
        assert layer(torch.ones(1, 2)).item() > before + 1.5
