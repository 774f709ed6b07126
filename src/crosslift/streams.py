"""Named random streams.

One global generator couples everything: an extra draw in one place changes the data everywhere behind it. Here every
use has its own generator, addressed by seed and name, so that adding a use never moves another.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of one use, e.g. `stream(seed, "mixture", corpus.name)`.

    The same seed and names give the same numbers on every platform; other names give independent ones.
    """
    digest = hashlib.sha256("\x1f".join(["crosslift", str(seed), *map(str, names)]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def seed_of(seed: int, *names: str | int) -> int:
    """A 63-bit seed for libraries that take only a number (torch)."""
    return int(stream(seed, *names).integers(0, 2**63 - 1))
