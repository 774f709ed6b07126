"""Stochastic rounding to bfloat16, with noise that depends on seed, step and place only.

A bfloat16 has eight significant bits. An update that is smaller than half the spacing of a weight's neighbours would
always be lost by rounding to nearest. Rounded up or down with the probability of its distance, it is kept in
expectation (P. Zamirai et al. 2020, "Revisiting BFloat16 Training", arXiv 2010.06192).
"""

from __future__ import annotations

import torch
from torch import Tensor

from crosslift.streams import seed_of

DROPPED_BITS = 16
"""Bits of a float32 that a bfloat16 lacks."""


def round_stochastically(values: Tensor, noise: Tensor) -> Tensor:
    """Round to values that bfloat16 can represent, of the two neighbours to each with the probability of its nearness.

    The noise is added to the dropped bits, and the carry rounds away from zero. Values that bfloat16 represents stay.

    Args:
        values: float32, overwritten.
        noise: integers that are uniform below 2 ** DROPPED_BITS, int32, of the same shape.

    Returns:
        The rounded values, still float32; converting them to bfloat16 is exact.
    """
    values.view(torch.int32).add_(noise).bitwise_and_(-(1 << DROPPED_BITS))
    return values


class RoundingNoise:
    """Noise for all weights of a run.

    A weight matrix is divided into chunks of rows, and every chunk has a generator of its own for every step. A device
    that holds a part of the rows draws the chunks of these and takes its rows: on the same kind of device the noise is
    the same for any number of devices, and after a resume.

    Args:
        seed: the seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def chunk(self, name: str, step: int, number: int, shape: tuple[int, int], device: torch.device) -> Tensor:
        """Draw the noise of a chunk.

        Args:
            name: name of the weight.
            step: optimizer steps completed, this one included.
            number: number of the chunk.
            shape: rows and columns of the whole chunk.
            device: where it is needed.

        Returns:
            Noise for `round_stochastically`.
        """
        generator = self._generators.setdefault(device, torch.Generator(device))
        generator.manual_seed(seed_of(self._seed, "rounding", step, name, number))
        return torch.randint(0, 1 << DROPPED_BITS, shape, generator=generator, dtype=torch.int32, device=device)
