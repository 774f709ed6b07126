"""What a pilot says about larger models is what the reference grids show."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from crosslift.piloting.carry_over import DIFFERENT_TOTALS, ONE_TOTAL


def test_the_sentences_of_a_pilot_hold_the_numbers_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import small_to_large

    found: dict[str, list[tuple[float, float, float]]] = {}
    for case in small_to_large.cases():
        found.setdefault(case.kind, []).append(small_to_large.statistics(case.small, case.large))
    sys.modules.pop("small_to_large")
    for kind, stated in (("volume", DIFFERENT_TOTALS), ("total", ONE_TOTAL)):
        rank, regret, of_random = np.mean(found[kind], axis=0)
        assert len(found[kind]) == stated.num_cases
        assert rank == pytest.approx(stated.rank_correlation[0], abs=0.006)
        assert regret == pytest.approx(stated.regret[0], abs=0.06)
        assert of_random == pytest.approx(stated.random_regret, abs=0.06)
        for low, high, value in ((*stated.rank_correlation[1:], rank), (*stated.regret[1:], regret)):
            assert low <= value <= high
