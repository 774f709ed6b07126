"""Which items may be seen where.

Every item of the pocket world belongs to one pool, by a hash of what makes it a problem: the numbers and operations of
a story, the tool and argument values of a call. Pretraining text is written from the "pretraining" pool only, so no
item of a training, validation or test split is ever part of it, in any language and under any names.
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
    """The pool of a problem; a pure function of its skeleton."""
    position = int.from_bytes(hashlib.sha256(skeleton.encode()).digest()[:8], "big") % 100
    for name, size in _PER_CENT:
        if position < size:
            return name
        position -= size
    raise AssertionError("pools sum to 100")


def draw(make: Callable[[np.random.Generator], Plan], skeleton: Callable[[Plan], str], split: Pool) -> Iterator[Plan]:
    """Endless plans of one pool, the same in every process; the first n are a prefix of the first m > n."""
    rng = stream(0, "pocket", skeleton.__module__, split)
    while True:
        plan = make(rng)
        if pool(skeleton(plan)) == split:
            yield plan
