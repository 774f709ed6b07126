"""Verdicts on a corpus come into the report of a study that reads it, also when they were given after its runs."""

from __future__ import annotations

import json
from pathlib import Path

from finished_study import write_finished_study

from crosslift.execution.folder.store import Store
from crosslift.reporting.data import collect
from crosslift.reporting.tables import grids
from crosslift.studies.parsing.load import load


def test_reviews_are_read_from_beside_the_corpus_when_the_report_is_made(tmp_path: Path):
    folder = tmp_path / "study"
    write_finished_study(folder, num_mixtures=1, num_seeds=1, tags=("en", "es"))
    assert collect(Store(folder), load(folder)).reviews.is_empty()
    counts = {"drawn": 10, "accepted": 9, "rejected": 1, "unread": 0, "outdated": 0}
    manifest = {
        "source": {"licence": "MIT"},
        "languages": ["es"],
        "review": {"es": counts, "sw": counts, "fr": "broken"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    data = collect(Store(folder), load(folder))
    assert data.reviews.select("corpus", "language", "accepted").rows() == [("train", "es", 9), ("test", "es", 9)]
    found = grids.reviews(data)
    assert found is not None and found.rows[0][2].text == "9 of 10"
