"""Whether stated probabilities of recommendations are true in simulated worlds.

    python benchmarks/stated_probabilities.py [NUMBER_OF_WORLDS] [FIRST_WORLD]

In each world (`predictions.data.world`: interactions, floors and ceilings, not of the form of the transfer model) a
quarter of the mixtures is left out, one mixture is recommended, and its stated probability of being within two points
of the best candidate is compared with whether it is. 200 worlds take half a minute.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from predictions.data import world
from predictions.recommended import recommended

EDGES = (0.0, 0.5, 0.7, 0.9, 1.0001)


def main() -> None:
    num_worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = [recommended(world(number)) for number in range(first, first + num_worlds)]
    told = [one for one in found if one is not None]
    stated, hit = (np.array(column, dtype=float) for column in zip(*told, strict=True))
    print(f"{len(told)} recommendations in {num_worlds} worlds: stated {stated.mean():.2f}, true {hit.mean():.2f}")
    for low, high in itertools.pairwise(EDGES):
        here = (stated >= low) & (stated < high)
        if here.any():
            print(f"stated {low:.1f} to {min(high, 1):.1f}: {here.sum()} times, mean {stated[here].mean():.2f}, true "
                  f"{hit[here].mean():.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
