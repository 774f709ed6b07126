"""Preallocated key-value cache.

`DynamicCache` appends by concatenation: every step copies all keys and values of all layers, which takes more than half
of the generation time of small models on a CPU. Here the buffers have spare capacity, new columns are written into
them, and attention receives a view. A column is one token position.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

MIN_CAPACITY = 64
"""Minimum number of spare columns of a new buffer; a full buffer grows by half of its length if that is more."""


def preallocated_cache(config: Any) -> DynamicCache:
    """A preallocated cache for a model with this configuration; layers of other kinds keep their own cache."""
    cache = DynamicCache(config=config)
    cache.layers = [_preallocated_layer(layer) for layer in cache.layers]
    return cache


def _preallocated_layer(layer: Any) -> Any:
    if type(layer) is DynamicLayer:
        return PreallocatedLayer()
    if type(layer) is DynamicSlidingWindowLayer:
        return PreallocatedSlidingWindow(layer.sliding_window)
    return layer


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed there
    """Keys and values of one layer: views of larger buffers, (rows, heads, columns, size)."""

    keys: Tensor
    values: Tensor
    _buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append columns; returns all keys and values of the layer."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        now = before + key_states.shape[2]
        if self._buffers is None or now > self._buffers[0].shape[2]:
            room = max(MIN_CAPACITY, now // 2)
            self._buffers = _larger(self.keys, key_states, room), _larger(self.values, value_states, room)
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, before:now] = new
        self.keys, self.values = (buffer[:, :, :now] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows."""
        if self._buffers is not None:
            columns = self.get_seq_length()
            self._buffers = _selected(self._buffers[0], indices, columns), _selected(self._buffers[1], indices, columns)
            self.keys, self.values = (buffer[:, :, :columns] for buffer in self._buffers)


class PreallocatedSlidingWindow(DynamicSlidingWindowLayer):  # type: ignore[misc]
    """Keys and values of one sliding-window attention layer: the window moves along the buffer, and its content is
    copied only when it reaches the end of the buffer."""

    keys: Tensor
    values: Tensor
    _buffers: tuple[Tensor, Tensor] | None = None
    _begin = 0
    """First valid column of the buffers."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append columns; returns the cached and the new ones, and keeps the last window - 1 columns."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        added, held = key_states.shape[2], self.keys.shape[2] if self.keys.ndim == 4 else 0
        self.cumulative_length += added
        if self._buffers is None or self._begin + held + added > self._buffers[0].shape[2]:
            room = max(MIN_CAPACITY, self.sliding_window)
            self._buffers = _larger(self.keys, key_states, room), _larger(self.values, value_states, room)
            self._begin = 0
        end = self._begin + held + added
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, end - added : end] = new
        keys, values = (buffer[:, :, self._begin : end] for buffer in self._buffers)
        self._begin = max(self._begin, end - self.sliding_window + 1)
        self.keys, self.values = (buffer[:, :, self._begin : end] for buffer in self._buffers)
        return keys, values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows."""
        if self._buffers is not None:
            end = self._begin + self.keys.shape[2]
            held = end - self._begin
            keys, values = (_selected(buffer[:, :, self._begin :], indices, held) for buffer in self._buffers)
            self._buffers, self._begin = (keys, values), 0
            self.keys, self.values = keys[:, :, :held], values[:, :, :held]


def _larger(held: Tensor, new: Tensor, room: int) -> Tensor:
    columns = held.shape[2] if held.ndim == 4 else 0
    rows, heads, added, size = new.shape
    buffer = torch.empty((rows, heads, columns + added + room, size), dtype=new.dtype, device=new.device)
    if columns:
        buffer[:, :, :columns] = held
    return buffer


def _selected(buffer: Tensor, indices: Tensor, columns: int) -> Tensor:
    kept = torch.empty((len(indices), *buffer.shape[1:]), dtype=buffer.dtype, device=buffer.device)
    kept[:, :, :columns] = buffer[indices, :, :columns]
    return kept
