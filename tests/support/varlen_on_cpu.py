"""Kernels of torch's varlen attention for CPUs, where torch has none: what is asked of the operator, computed plainly.

Everything around them is the operator's own: its arguments, its gradient, its place in a compiled function.
"""

from __future__ import annotations

import torch
from torch.nn.attention import varlen


def _examples(query, key, value, starts, *, is_causal, scale, window_size):
    """Of each example: where it is, its queries, keys, values (heads, tokens, size) and probabilities."""
    left, right = window_size
    assert is_causal == (left == -1) and right == 0
    assert query.is_contiguous() and key.is_contiguous() and value.is_contiguous()
    assert starts.dtype == torch.int32 and starts[-1] == len(query)
    group = query.shape[1] // key.shape[1]
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        q, k, v = (states[start:end].transpose(0, 1).float() for states in (query, key, value))
        k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        place = torch.arange(end - start)
        distance = place[:, None] - place
        allowed = (distance >= 0) & ((distance <= left) | (left == -1))
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(~allowed, float("-inf"))
        yield slice(start, end), q, k, v, scores.softmax(-1)


@varlen._varlen_attn.register_kernel("cpu")
def _forward(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, scale=None, window_size=None,
    enable_gqa=False, seqused_k=None, block_table=None, num_splits=None,
):  # fmt: skip
    assert max_q == max_k >= int(cu_seq_q.diff().max())
    assert enable_gqa or query.shape[1] == key.shape[1]
    found = torch.empty_like(query)
    asked = {"is_causal": is_causal, "scale": scale, "window_size": window_size}
    for where, _, _, v, probabilities in _examples(query, key, value, cu_seq_q, **asked):
        found[where] = (probabilities @ v).transpose(0, 1)
    return found, torch.empty(query.shape[1], len(query)), torch.zeros(2, dtype=torch.uint64)


@varlen._varlen_attn_backward.register_kernel("cpu")
def _backward(
    grad_out, query, key, value, out, lse, cu_seq_q, cu_seq_k, max_q, max_k, is_causal, rng_state, scale=None,
    window_size=None,
):  # fmt: skip
    grads = [torch.empty_like(states) for states in (query, key, value)]
    asked = {"is_causal": is_causal, "scale": scale, "window_size": window_size}
    for where, q, k, v, probabilities in _examples(query, key, value, cu_seq_q, **asked):
        grad = grad_out[where].transpose(0, 1).float()
        of_scores = grad @ v.transpose(1, 2)
        of_scores = probabilities * (of_scores - (of_scores * probabilities).sum(-1, keepdim=True)) * scale
        found = of_scores @ k, of_scores.transpose(1, 2) @ q, probabilities.transpose(1, 2) @ grad
        for whole, one in zip(grads, found, strict=True):
            heads = one.unflatten(0, (whole.shape[1], -1)).sum(1)  # query heads that share a key head
            whole[where] = heads.transpose(0, 1).to(whole.dtype)
    return tuple(grads)
