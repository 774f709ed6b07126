"""Disjoint pools of items for pretraining and for the splits of the corpora.

Every item of the pocket world belongs to one pool, determined by a hash of its problem key (the "skeleton"): the
numbers and operations of a story, the tool and argument values of a call. The pretraining text uses the "pretraining"
pool only, so that it contains no item of a training, validation or test split, in any language or under other names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import numpy as np

from crosslift.streams import stream

Pool = Literal["test", "validation", "train", "pretraining"]

_PER_CENT: tuple[tuple[Pool, int], ...] = (("test", 10), ("validation", 5), ("train", 40), ("pretraining", 45))

Plan = TypeVar("Plan")


def pool(skeleton: str) -> Pool:
    """The pool of the problem with this key."""
    position = int.from_bytes(hashlib.sha256(skeleton.encode()).digest()[:8], "big") % 100
    for name, size in _PER_CENT:
        if position < size:
            return name
        position -= size
    raise AssertionError("pools sum to 100")


def draw(make: Callable[[np.random.Generator], Plan], skeleton: Callable[[Plan], str], split: Pool) -> Iterator[Plan]:
    """Sample plans of one pool by rejection sampling, without end and deterministically.

    Args:
        make: samples one plan.
        skeleton: returns the problem key of a plan; its module names the random stream.
        split: the pool.
    """
    rng = stream(0, "pocket", skeleton.__module__, split)
    while True:
        plan = make(rng)
        if pool(skeleton(plan)) == split:
            yield plan
