"""A few hundred of the inputs of benchmarks/fuzz.py: no traceback, no input that takes long."""

from __future__ import annotations

import random
import time
from pathlib import Path

import polars as pl
import pytest
from fuzzing import KINDS, accepted, languages_are_loaded

EACH = 30


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder with what the study file refers to, and the study file that is right."""
    import importlib.util

    place = Path(__file__).parent / "studies" / "conftest.py"
    spec = importlib.util.spec_from_file_location("right_study", place)
    assert spec is not None
    assert spec.loader is not None
    right = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(right)
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "tiny").mkdir()
    (folder / "tiny" / "config.json").write_text("{}")
    right.write_jsonl(folder / "train.jsonl", right.lines(("en", "es", "sw"), 6))
    right.write_jsonl(folder / "dev.jsonl", right.lines(("en", "es", "sw"), 3))
    pl.DataFrame(right.lines(("en", "sw", "te"), 4)).write_parquet(folder / "test.parquet")
    languages_are_loaded()
    return folder, right.STUDY.encode()


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_ends_in_a_traceback_or_takes_long(kind: str, study: tuple[Path, bytes]) -> None:
    folder, right = study
    for number in range(EACH):
        rng = random.Random(f"test {kind} {number}")
        begun = time.process_time()
        try:
            KINDS[kind](rng, folder, right)
        except Exception as error:
            assert accepted(error), f"input {number}: {error!r:.500}"
        assert time.process_time() - begun < 5, f"input {number}"  # below 1 on a quiet machine
