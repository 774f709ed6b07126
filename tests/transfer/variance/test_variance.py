"""Planted shares of variance are found."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from crosslift.scores import RUNS
from crosslift.transfer.variance.components import variance_components


def test_planted_parts_are_found_and_confused_ones_left_out():
    generator = np.random.default_rng(0)
    models, mixtures, languages, items = 4, 5, 6, 40
    item = generator.normal(0, 0.3, items)
    model, language = generator.normal(0, 0.2, models), generator.normal(0, 0.1, languages)
    rows, runs = [], []
    for m in range(models):
        for x in range(mixtures):
            run = f"r{m}{x}"
            runs.append({"run": run, "model": f"m{m}", "mixture": f"x{x}", "seed": 0, "languages": [], "num_items": []})
            rows += [
                {"evaluation": "e", "run": run, "item_id": f"i{i}", "language": f"l{tag}",
                 "value": 0.5 + item[i] + model[m] + language[tag] + generator.normal(0, 0.2)}
                for i in range(items) for tag in range(languages)
            ]  # fmt: skip
    table = pl.DataFrame([{**dict.fromkeys(RUNS), **row} for row in runs], schema=RUNS)
    found = {row["part"]: row for row in variance_components(pl.DataFrame(rows), table).to_dicts()}
    assert found["residual"]["deviation"] == pytest.approx(0.2, rel=0.03)
    assert found["item"]["deviation"] == pytest.approx(float(item.std(ddof=1)), rel=0.05)
    assert found["model"]["deviation"] == pytest.approx(float(model.std(ddof=1)), rel=0.1)
    assert found["mixture"]["deviation"] < 0.03 and found["item x language"]["deviation"] < 0.05
    assert "run" not in found  # one seed per condition: not to be told from model x mixture
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
