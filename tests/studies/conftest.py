"""A study that is right, for tests to spoil."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

STUDY = """\
name = "toy"
question = "Does Swahili help?"
data_seed = 7

[models.tiny]
path = "./tiny"

[corpora.train]
reader = "jsonl"
task = "math"
languages = ["en", "es", "sw"]
path = "train.jsonl"
max_items = 6

[corpora.dev]
reader = "jsonl"
task = "math"
split = "validation"
languages = ["en", "es", "sw"]
path = "dev.jsonl"

[corpora.test]
reader = "parquet"
task = "math"
split = "test"
languages = ["en", "sw", "te"]
path = "test.parquet"

[mixtures.en]
components = [{ corpus = "train", shares = { en = 1.0 } }]
budget = { amount = 6 }
pairing = "shared"

[mixtures.en50-sw50]
components = [{ corpus = "train", shares = { en = 0.5, sw = 0.5 } }]
budget = { amount = 6 }
pairing = "shared"

[families.cov]
kind = "coverage"
corpora = ["train"]
nested = ["en", "sw", "es"]
budget = { amount = 6 }
pairing = "disjoint"

[grid]
seeds = [0, 1]
base = true

[training]
epochs = 2
learning_rate = 1e-3
batch_examples = 2
select_by = "loss"
validation = { corpora = ["dev"], max_items = 2 }

[evaluations.math]
corpus = "test"

[[contrasts]]
name = "more minus English"
control = "en"
treatments = ["en50-sw50", "cov"]
primary = true
"""


def lines(tags: tuple[str, ...], num_items: int) -> list[dict[str, str]]:
    return [
        {
            "item_id": f"i{i}",
            "language": tag,
            "prompt": f"{tag}: {i} + 1?",
            "completion": f"{i + 1}.",
            "answer": str(i + 1),
        }
        for i in range(num_items)
        for tag in tags
    ]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A folder with study.toml, three small corpora and something that looks like a model."""
    import polars as pl

    folder = tmp_path / "study"
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "config.json").write_text("{}")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    write_jsonl(folder / "train.jsonl", lines(("en", "es", "sw"), 6))
    write_jsonl(folder / "dev.jsonl", lines(("en", "es", "sw"), 3))
    pl.DataFrame(lines(("en", "sw", "te"), 4)).write_parquet(folder / "test.parquet")
    return folder
