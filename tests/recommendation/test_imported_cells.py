"""From imported results alone, through `recommend`, to a mixture that `check` accepts."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from finished_study import write_finished_study
from in_process import crosslift

from crosslift.errors import TransferError
from crosslift.recommendation.observing.imported import imported_observations

MAPPING = """
name = "elsewhere"

[source]
format = "table"
path = "scores.csv"
separator = " "
unit = 100.0

[columns]
run = "{system}"
language = "lang"
value = "score"
trained = "langs"
amount = "each"

[constants]
task = "math"
model = "theirs"
"""
SYSTEMS = ("en", "es", "sw", "en es", "en sw", "es sw", "en es sw")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared study none of whose runs is finished, and imported means of seven mixtures of another model."""
    place = tmp_path_factory.mktemp("imported")
    write_finished_study(place / "study", num_mixtures=4, num_seeds=1, tags=("en", "es", "sw"))
    for marker in (place / "study" / "runs").rglob("done.json"):
        marker.unlink()
    with (place / "scores.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["system", "langs", "each", "lang", "score"])
        for number, langs in enumerate(SYSTEMS):
            each = (90, 60, 40)[len(langs.split()) - 1]
            for tag in ("en", "es", "sw"):
                gain = {"en": 8, "es": 10, "sw": 14}[tag] * math.log1p(each / 30) * (tag in langs.split())
                table.writerow([f"s{number}", langs, each, tag, round(30 + gain + number % 3, 2)])
    (place / "mapping.toml").write_text(MAPPING)
    assert crosslift("import", place / "mapping.toml", place / "elsewhere").code == 0
    return place


def test_imported_cells_alone_give_a_mixture_that_check_accepts(folder: Path):
    study = folder / "study"
    told = crosslift("recommend", study, folder / "elsewhere", "--budget", 90, "--next", 2)
    assert told.code == 0, told.text
    assert "nothing was observed of tiny" in told.text and "7 runs of elsewhere inform the response" in told.text
    written = study / "report" / "recommendation" / "mixture.toml"
    assert written.exists(), told.text
    (study / "study.toml").write_text((study / "study.toml").read_text() + written.read_text())
    checked = crosslift("check", study)
    assert checked.code == 0, checked.text


def test_imported_cells_that_do_not_fit_are_refused_in_words(folder: Path):
    place = folder / "elsewhere"
    with pytest.raises(TransferError, match="amounts are in items"):
        imported_observations(place, evaluation="math", metric="accuracy", unit="tokens")
    found = imported_observations(place, evaluation="other name", metric="accuracy", unit="items")
    assert len(found.values) == 21 and found.num_effective is None
