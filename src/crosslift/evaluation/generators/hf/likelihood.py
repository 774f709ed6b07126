"""Log-probabilities of given continuations, with the key-value cache of a context shared by its continuations.

A multiple-choice item of 300 tokens with four choices of 10 needs 1,240 tokens without sharing and 340 with it.
Contexts are computed once, several per batch and padded on the left, and the logits behind them give the first token of
every continuation. Rows of the cache are then repeated for the continuations of more than one token, padded on the
right. Continuations that occur twice behind a context are computed once.

Layers whose cache is not keys and values per position (recurrent ones) cannot be repeated in this way; such models
compute each continuation with its whole context.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from crosslift.evaluation.requests.kinds import Likelihood, TokenContinuations

MAX_LOGITS = {"cpu": 1 << 22, "cuda": 1 << 29}
"""Maximum number of logits of a batch by device: positions times vocabulary, in float32. On a CPU, more than its cache
holds is slower."""

Ids = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Size of a batch."""

    tokens: int
    """Rows times columns, padding included."""
    logits: int
    """Rows times columns times vocabulary."""

    def rows(self, columns: int, scored: int, vocabulary: int) -> int:
        """Largest number of rows of so many columns, `scored` of which need logits."""
        return max(1, min(self.tokens // columns, self.logits // (max(1, scored) * vocabulary)))


def log_likelihoods(
    model: Any, requests: Sequence[TokenContinuations], limits: Limits, *, share: bool = True
) -> list[list[Likelihood | None]]:
    """Log-probability of each continuation of each context.

    Args:
        model: the causal language model.
        requests: contexts and continuations. A context is cut from the left where a continuation would not fit behind
            it in the model's context.
        limits: size of a batch.
        share: compute each context once; False computes it for each continuation, for comparison.

    Returns:
        One list per request, in the order of its continuations; None for a continuation longer than the model's
        context.
    """
    longest = max_length(model)
    cells: dict[Ids, dict[Ids, list[tuple[int, int]]]] = {}
    found: list[list[Likelihood | None]] = [[None] * len(request.continuations) for request in requests]
    for place, request in enumerate(requests):
        for choice, continuation in enumerate(request.continuations):
            if len(continuation) <= longest:
                context = request.context[-(longest + 1 - len(continuation)) :]
                cells.setdefault(context, {}).setdefault(continuation, []).append((place, choice))
    shared = share and _repeatable(DynamicCache(config=model.config))
    compute = _behind_shared_contexts if shared else _each_with_its_context
    for context, continuation, likelihood in compute(model, cells, limits):
        for place, choice in cells[context][continuation]:
            found[place][choice] = likelihood
    return found


def max_length(model: Any) -> int:
    """Longest input of a model in tokens."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30)


def vocabulary_size(model: Any) -> int:
    """Number of logits of a position."""
    return int(model.config.get_text_config().vocab_size)


@torch.inference_mode()
def _behind_shared_contexts(
    model: Any, cells: dict[Ids, dict[Ids, list[tuple[int, int]]]], limits: Limits
) -> list[tuple[Ids, Ids, Likelihood]]:
    vocabulary = vocabulary_size(model)
    found = []
    waiting = sorted(cells, key=lambda context: -len(context))
    while waiting:
        contexts = waiting[: limits.rows(len(waiting[0]), 1, vocabulary)]
        waiting = waiting[len(contexts) :]
        width = len(contexts[0])
        ids = torch.zeros((len(contexts), width), dtype=torch.long)
        mask = torch.zeros((len(contexts), width), dtype=torch.long)
        for row, context in enumerate(contexts):
            ids[row, width - len(context) :] = torch.tensor(context)
            mask[row, width - len(context) :] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        cache = DynamicCache(config=model.config)
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        first = torch.log_softmax(logits.float(), dim=-1)
        pairs = [(row, continuation) for row, context in enumerate(contexts) for continuation in cells[context]]
        rows = torch.tensor([row for row, _ in pairs], device=model.device)
        heads = torch.tensor([continuation[0] for _, continuation in pairs], device=model.device)
        starts = first[rows, heads].tolist()
        greedy = (first.argmax(-1)[rows] == heads).tolist()
        longer = sorted(
            (place for place, (_, continuation) in enumerate(pairs) if len(continuation) > 1),
            key=lambda place: -len(pairs[place][1]),
        )
        while longer:
            columns = len(pairs[longer[0]][1]) - 1
            batch = longer[: limits.rows(width + columns, columns, vocabulary)]
            longer = longer[len(batch) :]
            later = _later_tokens(model, cache, mask, [pairs[place] for place in batch])
            for place, (log_probability, is_greedy) in zip(batch, later, strict=True):
                starts[place] += log_probability
                greedy[place] = greedy[place] and is_greedy
        found += [
            (contexts[row], continuation, Likelihood(log_probability=start, is_greedy=is_greedy))
            for (row, continuation), start, is_greedy in zip(pairs, starts, greedy, strict=True)
        ]
    return found


def _later_tokens(
    model: Any, cache: DynamicCache, mask: Tensor, pairs: Sequence[tuple[int, Ids]]
) -> list[tuple[float, bool]]:
    """Log-probability of all tokens but the first of continuations, each behind a row of the cache."""
    rows = torch.tensor([row for row, _ in pairs], device=model.device)
    columns = max(len(continuation) for _, continuation in pairs) - 1
    whole = torch.zeros((len(pairs), columns + 1), dtype=torch.long)
    for place, (_, continuation) in enumerate(pairs):
        whole[place, : len(continuation)] = torch.tensor(continuation)
    whole = whole.to(model.device)
    held = mask[rows]
    positions = held.sum(1, keepdim=True) + torch.arange(columns, device=model.device)
    logits = model(
        input_ids=whole[:, :-1],
        attention_mask=torch.cat([held, held.new_ones((len(pairs), columns))], dim=1),
        position_ids=positions,
        past_key_values=_repeated(cache, rows),
        use_cache=True,
    ).logits
    return _sums(logits, whole[:, 1:], [len(continuation) - 1 for _, continuation in pairs])


@torch.inference_mode()
def _each_with_its_context(
    model: Any, cells: dict[Ids, dict[Ids, list[tuple[int, int]]]], limits: Limits
) -> list[tuple[Ids, Ids, Likelihood]]:
    vocabulary = vocabulary_size(model)
    waiting = sorted(
        ((context, continuation) for context in cells for continuation in cells[context]),
        key=lambda pair: -len(pair[0]) - len(pair[1]),
    )
    found = []
    while waiting:
        width = len(waiting[0][0]) + len(waiting[0][1]) - 1
        batch = waiting[: limits.rows(width, width, vocabulary)]
        waiting = waiting[len(batch) :]
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, (context, continuation) in enumerate(batch):
            whole = (*context, *continuation)[:-1]
            ids[row, : len(whole)] = torch.tensor(whole)
            mask[row, : len(whole)] = 1
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False).logits
        for row, (context, continuation) in enumerate(batch):
            scored = logits[row : row + 1, len(context) - 1 : len(context) + len(continuation) - 1]
            ((value, is_greedy),) = _sums(
                scored, torch.tensor([continuation], device=model.device), [len(continuation)]
            )
            found.append((context, continuation, Likelihood(log_probability=value, is_greedy=is_greedy)))
    return found


def _sums(logits: Tensor, tokens: Tensor, lengths: Sequence[int]) -> list[tuple[float, bool]]:
    """Sum of the log-probabilities of the first tokens of each row, and whether all of them are the most probable."""
    values = torch.log_softmax(logits.float(), dim=-1).gather(2, tokens[:, :, None])[:, :, 0]
    alike = logits.argmax(-1) == tokens
    counted = torch.arange(tokens.shape[1], device=tokens.device) < torch.tensor(lengths, device=tokens.device)[:, None]
    sums = values.double().masked_fill(~counted, 0.0).sum(1).tolist()
    return list(zip(sums, (alike | ~counted).all(1).tolist(), strict=True))


def _repeatable(cache: DynamicCache) -> bool:
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)


def _repeated(cache: DynamicCache, rows: Tensor) -> DynamicCache:
    """A cache with some rows of another, which stays as it is."""
    found = copy.copy(cache)
    found.layers = []
    for layer in cache.layers:
        one = copy.copy(layer)
        here = rows.to(layer.keys.device)  # layers of a model on several devices
        one.keys, one.values = layer.keys[here], layer.values[here]
        found.layers.append(one)
    return found
