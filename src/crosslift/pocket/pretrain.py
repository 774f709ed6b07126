"""Pretraining of the pocket models: text, tokenizer, training, and a checkpoint in the Hugging Face format.

All steps are resumable: the text is written in parts, and the training state is saved every minute. A GPU is used if
there is one, otherwise the CPU. The weights in the package are stored in bfloat16, like the checkpoints of larger model
families.
"""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crosslift.errors import UnknownName
from crosslift.pocket import text

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
VOCABULARY = 2048
WINDOW = 256  # tokens of a training sequence; documents are joined by END and split at the end of the sequence
SEED = 0
SAVE_SECONDS = 60

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] -}}"
    "{%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


@dataclass(frozen=True)
class Recipe:
    """Architecture, size and training schedule of one pocket model."""

    name: str
    architecture: str
    """A `model_type` of transformers: qwen3, gemma3_text, cohere, llama."""
    hidden: int
    """Hidden size."""
    layers: int
    """Number of layers."""
    head: int
    """Dimension of an attention head."""
    learning_rate: float
    """Peak learning rate."""
    num_tokens: int = 32_000_000
    """Training tokens."""
    batch: int = 16
    """Sequences per optimizer step."""

    @property
    def num_steps(self) -> int:
        """Number of optimizer steps."""
        return math.ceil(self.num_tokens / (self.batch * WINDOW))


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Five models for the first study, whose models have 0.6, 1, 1.7, 4 and 8 billion parameters.
        Recipe("qwen3-s", "qwen3", hidden=48, layers=4, head=16, learning_rate=6e-3),
        Recipe("gemma3-s", "gemma3_text", hidden=64, layers=4, head=32, learning_rate=5e-3),
        Recipe("qwen3-m", "qwen3", hidden=96, layers=4, head=32, learning_rate=5e-3),
        Recipe("gemma3-m", "gemma3_text", hidden=128, layers=4, head=32, learning_rate=4e-3),
        Recipe("qwen3-l", "qwen3", hidden=160, layers=5, head=32, learning_rate=4e-3),
        # Three models for the second study, whose models have 7, 35 and 8 billion parameters.
        Recipe("cohere-m", "cohere", hidden=96, layers=4, head=32, learning_rate=5e-3),
        Recipe("cohere-l", "cohere", hidden=160, layers=5, head=32, learning_rate=4e-3),
        Recipe("llama-m", "llama", hidden=96, layers=4, head=32, learning_rate=5e-3),
    )
}


def train_tokenizer(num_documents: int = 40_000) -> Any:
    """Train a byte-level BPE tokenizer on the pretraining text; every digit is a token of its own.

    Combining marks belong to words: the usual pre-tokenization pattern splits Bengali, Telugu and Thai words at every
    vowel sign.

    Args:
        num_documents: number of documents to train on.

    Returns:
        A `tokenizers.Tokenizer` with VOCABULARY tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        itertools.islice(text.documents(SEED, -1), num_documents),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[PAD, END, USER, ASSISTANT, SYSTEM],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def _write_part(job: tuple[Path, int, int]) -> None:
    """Write one part of the token stream, `num_tokens` long, unless it exists."""
    from tokenizers import Tokenizer

    folder, part, num_tokens = job
    path = folder / f"part-{part:03}.npy"
    if path.exists():
        return
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id(END)
    ids = np.empty(num_tokens, dtype=np.uint16)
    filled = 0
    documents = text.documents(SEED, part)
    while filled < num_tokens:
        for encoding in tokenizer.encode_batch(list(itertools.islice(documents, 500))):
            piece = np.array([*encoding.ids, end], dtype=np.uint16)[: num_tokens - filled]
            ids[filled : filled + len(piece)] = piece
            filled += len(piece)
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, ids)
    temporary.replace(path)


def write_text(folder: Path, num_tokens: int, *, num_workers: int, part_tokens: int = 1_000_000) -> list[Path]:
    """Write the tokenizer and the token stream; existing parts are kept.

    Args:
        folder: destination.
        num_tokens: minimum length of the stream.
        num_workers: number of processes.
        part_tokens: tokens per part.

    Returns:
        Files of the parts in order, each with uint16 token ids of shape (part_tokens,).
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        train_tokenizer().save(str(folder / "tokenizer.tmp"))
        (folder / "tokenizer.tmp").replace(folder / "tokenizer.json")
    parts = range(math.ceil(num_tokens / part_tokens))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process per core is parallel enough
    with multiprocessing.get_context("spawn").Pool(num_workers) as pool:
        for _ in pool.imap_unordered(_write_part, [(folder, part, part_tokens) for part in parts]):
            pass
    return [folder / f"part-{part:03}.npy" for part in parts]


def windows(parts: list[Path], seed: int) -> Iterator[np.ndarray]:
    """Yield training sequences without end, each once per epoch, in a new random order: uint16, (WINDOW,)."""
    stream = np.concatenate([np.load(path, mmap_mode="r") for path in parts])
    num_windows = len(stream) // WINDOW
    for epoch in itertools.count():
        for index in np.random.default_rng([seed, epoch]).permutation(num_windows):
            yield stream[index * WINDOW : (index + 1) * WINDOW]


_SPECIAL: dict[str, dict[str, Any]] = {  # further configuration of an architecture
    "qwen3": {},
    "llama": {},
    # Three layers have sliding-window attention over 64 tokens, the last one full attention.
    "gemma3_text": {
        "sliding_window": 64,
        "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
        "query_pre_attn_scalar": 32,
    },
    # The default divides logits by 16, for embeddings with thousands of dimensions; these have fewer.
    "cohere": {"logit_scale": 1.0},
}


def _config(recipe: Recipe) -> Any:
    from transformers import AutoConfig

    heads = recipe.hidden // recipe.head
    return AutoConfig.for_model(
        recipe.architecture,
        vocab_size=VOCABULARY,
        hidden_size=recipe.hidden,
        intermediate_size=3 * recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=recipe.head,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        **_SPECIAL[recipe.architecture],
    )


def _optimizers(model: Any, recipe: Recipe) -> list[Any]:
    """Muon (K. Jordan et al. 2024) for the matrices of the layers, AdamW for embeddings and norms, as in nanochat."""
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=recipe.learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def _schedule(step: int, num_steps: int) -> float:
    """Learning-rate factor: linear warm-up over 2 % of the steps, constant, linear decay over the last 40 %."""
    return min(1.0, (step + 1) / (0.02 * num_steps), (num_steps - step) / (0.4 * num_steps))


def save_model(model: Any, tokenizer_file: Path, folder: Path) -> None:
    """Atomically write a Hugging Face folder with bfloat16 weights, tokenizer and chat template."""
    import torch
    from transformers import PreTrainedTokenizerFast

    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(temporary)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_file),
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def pretrain(
    name: str,
    folder: Path,
    *,
    num_tokens: int | None = None,
    num_workers: int = 2,
    compile: bool = False,
    report: Callable[[int, int, float, float], None] = lambda step, num_steps, loss, rate: None,
) -> Path:
    """Pretrain one pocket model.

    Args:
        name: name of the recipe.
        folder: the model is written to `folder/<name>/`; all models share the text and tokenizer in `folder/text/`.
        num_tokens: overrides the number of tokens of the recipe, for tests.
        num_workers: processes that write the text.
        compile: use `torch.compile`, which is 1.4 times as fast on a CPU after half a minute of compilation and needs a
            C++ compiler.
        report: called with the step, the number of steps, the loss in nats per token and the tokens per second.

    Returns:
        The folder of the model.

    Raises:
        UnknownName: there is no recipe of this name.
    """
    if name not in RECIPES:
        raise UnknownName(f"'{name}' is not a recipe. Known: {', '.join(RECIPES)}.")
    import torch
    from transformers import AutoModelForCausalLM

    from crosslift.training.trainers.native.hardware import retain_freed_memory

    retain_freed_memory()
    recipe = RECIPES[name]
    if num_tokens is not None:
        recipe = replace(recipe, num_tokens=num_tokens)
    parts = write_text(folder / "text", recipe.num_tokens, num_workers=num_workers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(_config(recipe)).to(device)
    optimizers = _optimizers(model, recipe)
    state_file = folder / f"{name}.state.pt"
    log_file = folder / f"{name}.log.jsonl"
    first = 0
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        first = state["step"]

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())

    compiled = torch.compile(loss_of) if compile else loss_of
    source = itertools.islice(windows(parts, SEED), first * recipe.batch, None)
    saved_at = started = time.monotonic()
    for step in range(first, recipe.num_steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(step, recipe.num_steps)
        batch = torch.from_numpy(np.stack(list(itertools.islice(source, recipe.batch))).astype(np.int64)).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            loss = compiled(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if step % 50 == 0 or step + 1 == recipe.num_steps:
            rate = (step + 1 - first) * recipe.batch * WINDOW / (time.monotonic() - started)
            report(step + 1, recipe.num_steps, loss.item(), rate)
            with log_file.open("a", encoding="utf-8") as log:
                log.write(
                    json.dumps({"step": step + 1, "loss": round(loss.item(), 4), "tokens_per_second": round(rate)})
                    + "\n"
                )
        if time.monotonic() - saved_at > SAVE_SECONDS:
            temporary = state_file.with_suffix(".tmp")
            torch.save(
                {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step + 1},
                temporary,
            )
            temporary.replace(state_file)
            saved_at = time.monotonic()
    save_model(model, folder / "text" / "tokenizer.json", folder / name)
    state_file.unlink(missing_ok=True)
    return folder / name
