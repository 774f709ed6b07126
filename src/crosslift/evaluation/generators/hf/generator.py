"""Greedy decoding with any Hugging Face causal language model.

`model.generate` computes every row of a batch until its longest completion ends. Completions of one task differ widely
in length, so most of that work is spent on finished rows. Here finished rows are removed from the batch and the
key-value cache as soon as their number justifies the copy. The tokens equal those of `generate(do_sample=False)`; the
tests check this on four architectures.

Batches are limited by tokens, with the longest prompts first, and depend on the prompts alone: the shape of a batch
affects the last bits of a logit, and a run that is killed and restarted must give the same bytes. The only exception is
a GPU out of memory, where the batch is halved.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from crosslift.chat import load_tokenizer, stop_ids
from crosslift.errors import EvaluationError
from crosslift.evaluation.adapters import base_of
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.hf import likelihood
from crosslift.evaluation.generators.hf.cache import preallocated_cache
from crosslift.evaluation.requests.kinds import Likelihood, TokenContinuations
from crosslift.untrusted.model_files import reading

log = logging.getLogger(__name__)

MAX_BATCH_TOKENS = {"cpu": 32_768, "cuda": 131_072}
"""Maximum tokens of a batch by device: prompts and longest possible completions, padding included. For an 8B model
131,072 tokens take 19 GB of key-value cache."""
STOP_EVERY = 16
"""Tokens of a completion after which it is searched for a text that ends it."""
COMPACT_AT = 0.8
"""Finished rows are removed when at most this share of the batch is unfinished."""


class Generator:
    """Generates completions with a model in memory."""

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        base: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        template: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        max_batch_tokens: int | None = None,
        num_devices: int = 1,
    ) -> None:
        """Load a model.

        Args:
            checkpoint: Local folder or hub name; the folder of a LoRA adapter is loaded on its base model.
            base: Base model of an adapter; None: the one that the adapter's configuration names. Otherwise unused.
            revision: Revision of the base model or hub model.
            device: A torch device; "auto": a CUDA GPU if there is one, else the CPU.
            template: Chat template, as `chat.load_tokenizer` takes it; None for checkpoints, which contain their own.
            precision: "auto": bfloat16 on GPUs with native bfloat16, else float32.
            max_batch_tokens: Maximum tokens of a batch; None: MAX_BATCH_TOKENS of the device.
            num_devices: GPUs among which the layers are divided; the CPU holds them all.

        Raises:
            EvaluationError: the model cannot be loaded.
            TemplateError: the model has no chat template.
        """
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        dtype = _dtype(precision, self.device)
        adapter = Path(checkpoint) / "adapter_config.json"
        source = base or str(checkpoint)
        if not adapter.is_file():
            source = str(checkpoint)
        elif base is None:
            source, named_revision = base_of(Path(checkpoint))
            revision = revision or named_revision
        own_tokenizer = (Path(checkpoint) / "tokenizer_config.json").is_file() or not adapter.is_file()
        self.tokenizer = load_tokenizer(
            checkpoint if own_tokenizer else source, None if adapter.is_file() and own_tokenizer else revision, template
        )
        self.stop_ids = stop_ids(self.tokenizer)
        with reading(f"the model {source}", EvaluationError):
            model = AutoModelForCausalLM.from_pretrained(
                source,
                revision=revision,
                dtype=dtype,
                trust_remote_code=False,
                use_safetensors=True,
                device_map=_device_map(num_devices, self.device),
            )
        if adapter.is_file():
            model = _with_adapter(model, Path(checkpoint), merge=dtype == torch.float32)
        divided = num_devices > 1 and self.device.type == "cuda"  # `to` would gather the layers again
        self.model = (model if divided else model.to(self.device)).eval()
        self._max_batch_tokens = max_batch_tokens or MAX_BATCH_TOKENS.get(self.device.type, MAX_BATCH_TOKENS["cpu"])

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Generate a completion for each prompt, in the order of the prompts.

        A prompt that fills the model's context gets an empty completion with finish "length": this is a limitation of
        the model, and a study of many models must not stop at the one with the shortest context.

        Args:
            prompts: Token ids, as `chat.encode_prompt` returns them.
            max_tokens: Limit of generated tokens per prompt, end-of-turn token included. The rest of the model's
                context is the limit if it is smaller.
            stop: A completion may end once it contains one of these texts.

        Raises:
            EvaluationError: a single prompt does not fit in memory.
        """
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        limits = [min(max_tokens, context - len(prompt)) for prompt in prompts]
        fitting = [index for index, limit in enumerate(limits) if limit > 0]
        if len(fitting) < len(prompts):
            log.warning(
                "%d of %d prompts fill the model's context of %d tokens; they count as truncated",
                len(prompts) - len(fitting),
                len(prompts),
                context,
            )
        answers: list[list[int]] = [[] for _ in prompts]
        waiting = sorted(fitting, key=lambda index: (-len(prompts[index]), index))
        budget = self._max_batch_tokens  # lowered for this call only, so that calls stay independent
        while waiting:
            tokens_per_row = len(prompts[waiting[0]]) + max_tokens
            batch = waiting[: max(1, budget // tokens_per_row)]
            ids = self._try([prompts[index] for index in batch], [limits[index] for index in batch], stop)
            if ids is None:
                budget = len(batch) * tokens_per_row // 2
                continue
            for index, answer in zip(batch, ids, strict=True):
                answers[index] = answer
            waiting = waiting[len(batch) :]
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [
            Completion(
                text=text,
                finish="stop" if answer and answer[-1] in self.stop_ids else "length",
                num_tokens=len(answer),
            )
            for text, answer in zip(texts, answers, strict=True)
        ]

    @property
    def max_length(self) -> int:
        """Longest input of the model in tokens."""
        return likelihood.max_length(self.model)

    def log_likelihoods(self, requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]:
        """Log-probabilities of given continuations, see `likelihood`.

        Args:
            requests: contexts and continuations in token ids.

        Raises:
            EvaluationError: a single continuation does not fit in memory.
        """
        device = self.model.device.type
        limits = likelihood.Limits(
            tokens=self._max_batch_tokens, logits=likelihood.MAX_LOGITS.get(device, likelihood.MAX_LOGITS["cpu"])
        )
        while True:
            try:
                return likelihood.log_likelihoods(self.model, requests, limits)
            except torch.OutOfMemoryError:
                if limits.tokens < 2:
                    raise EvaluationError(
                        "A single text does not fit in the GPU's memory. Use a larger GPU, or shorter texts."
                    ) from None
            torch.cuda.empty_cache()  # here the exception no longer references the tensors of the failed batch
            limits = likelihood.Limits(tokens=limits.tokens // 2, logits=limits.logits // 2)

    def _try(self, prompts: list[Sequence[int]], limits: list[int], stop: Sequence[str]) -> list[list[int]] | None:
        """Completions of one batch; None if the GPU runs out of memory."""

        def ended(answer: list[int]) -> bool:
            text = self.tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            return any(one in text for one in stop)

        try:
            return greedy_decode(self.model, prompts, limits, self.stop_ids, ended=ended if stop else None)
        except torch.OutOfMemoryError:
            if len(prompts) == 1:
                raise EvaluationError(
                    f"A single prompt of {len(prompts[0])} tokens does not fit in the GPU's memory. Use a larger GPU, "
                    "or lower max_tokens."
                ) from None
        torch.cuda.empty_cache()  # here the exception no longer references the tensors of the failed batch
        return None


def _device_map(num_devices: int, device: torch.device) -> str | None:
    """Argument of `from_pretrained`: layers one after another over all visible GPUs, or None for one device."""
    if num_devices == 1:
        return None
    return "balanced" if device.type == "cuda" else "cpu"


@torch.inference_mode()
def greedy_decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    stops: Sequence[int],
    *,
    ended: Callable[[list[int]], bool] | None = None,
) -> list[list[int]]:
    """Greedy decoding of one batch.

    Prompts are padded on the left, so that all rows append to the same column.

    Args:
        model: the causal language model.
        prompts: token ids of each prompt.
        limits: maximum number of generated tokens of each prompt.
        stops: token ids that end a completion.
        ended: whether a completion has ended, asked after every STOP_EVERY tokens of it.

    Returns:
        Token ids of each completion, which ends with a stop id or at its limit.
    """
    width, room = max(map(len, prompts)), max(limits)
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    mask = torch.ones((len(prompts), width + room), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, : width - len(prompt)] = 0
    ids, mask = ids.to(model.device), mask.to(model.device)
    positions = (mask[:, :width].cumsum(1) - 1).clamp(min=0)
    cache = preallocated_cache(model.config)
    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # index of the prompt of each row of the batch
    alive = set(rows)
    for column in range(width, width + room):
        logits = model(
            input_ids=ids,
            attention_mask=mask[:, :column],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        token = logits[:, -1].argmax(-1)
        for row, last in zip(rows, token.tolist(), strict=True):
            if row in alive:
                answers[row].append(last)
                num = len(answers[row])
                over = ended is not None and num % STOP_EVERY == 0 and ended(answers[row])
                if last in stops or num == limits[row] or over:
                    alive.remove(row)
        if not alive:
            break
        positions = positions[:, -1:] + 1
        if len(alive) <= COMPACT_AT * len(rows):
            kept = torch.tensor([place for place, row in enumerate(rows) if row in alive], device=token.device)
            rows = [row for row in rows if row in alive]
            cache.batch_select_indices(kept)
            token, mask, positions = token[kept], mask[kept], positions[kept]
        ids = token[:, None]
    return answers


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _with_adapter(model: Any, folder: Path, *, merge: bool) -> Any:
    """Apply an adapter to its base model, merged into the weights if that loses no precision."""
    from peft import PeftModel

    if not (folder / "adapter_model.safetensors").is_file():  # peft would unpickle adapter_model.bin
        raise EvaluationError(
            f"{folder} holds no adapter_model.safetensors. Save the adapter anew with save_pretrained."
        )
    adapted = PeftModel.from_pretrained(model, str(folder))
    return adapted.merge_and_unload() if merge else adapted
