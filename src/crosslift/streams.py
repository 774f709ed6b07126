"""Named random number streams.

With one global generator, an additional draw in one place changes all later draws. Here every use has its own
generator, addressed by seed and name, so that a new use never changes an existing one.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Random generator of one use, e.g. `stream(seed, "mixture", corpus.name)`.

    The same seed and names give the same numbers on every platform; different names give independent numbers.

    Args:
        seed: the seed of the study or run.
        *names: identify the use; strings or integers.

    Returns:
        A generator with the counter-based bit generator Philox (J. Salmon et al. 2011), keyed by a SHA-256 hash of the
        arguments.
    """
    digest = hashlib.sha256("\x1f".join(["crosslift", str(seed), *map(str, names)]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def seed_of(seed: int, *names: str | int) -> int:
    """A 63-bit integer seed for libraries that accept only a number (torch). Arguments as for `stream`."""
    return int(stream(seed, *names).integers(0, 2**63 - 1))
