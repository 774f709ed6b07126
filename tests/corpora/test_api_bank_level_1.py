"""The training file of API-Bank's level 1, in the form of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from published_data import write_api_bank

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.readers.calls import api_bank
from crosslift.evaluation.task import task
from crosslift.languages.language import language


def read(path: Path | None, split: str = "train", **options: object) -> ParallelCorpus:
    source = Source(
        name="c", reader="api_bank", task="api_calling", languages=("en",), split=split, path=path, options=options
    )
    return api_bank.read(source)


def test_calls_of_level_1_are_read_and_what_is_no_call_is_counted(tmp_path: Path) -> None:
    write_api_bank(tmp_path)
    corpus = read(tmp_path)
    assert corpus.num_items == 40 and corpus.licence == "Apache-2.0"
    assert corpus.rows["cluster"].n_unique() == 20  # two calls of a dialogue belong together
    assert "1 of 41 items have no call and were left out." in corpus.notes
    assert "40 calls; arXiv 2604.13286 counts 3,174." in corpus.notes
    for row in corpus.rows.iter_rows(named=True):
        outcome = task("api_calling").score(row["messages"][-1]["content"], row["answer"], language("en"))
        assert outcome.values["exact"] == 1


def test_the_call_may_stand_under_the_key_of_the_test_file(tmp_path: Path) -> None:
    write_api_bank(tmp_path)
    file = tmp_path / "lv1-api-train.json"
    items = json.loads(file.read_text())
    file.write_text(json.dumps([{"expected_output": item.pop("output"), **item} for item in items]))
    assert read(tmp_path).num_items == 40


def test_files_lie_in_the_folders_of_the_hub_and_the_commit_is_the_revision(tmp_path: Path, monkeypatch) -> None:
    snapshot = tmp_path / "snapshots" / ("c" * 40)
    write_api_bank(snapshot / "all")
    for part, name in (("training-data", "lv1-api-train.json"), ("test-data", "level-1-api.json")):
        (snapshot / part).mkdir()
        (snapshot / "all" / name).rename(snapshot / part / name)
    asked = []

    def downloaded(name: str, **more: object) -> str:
        asked.append((name, more["allow_patterns"]))
        return str(snapshot)

    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", SimpleNamespace(snapshot_download=downloaded))
    assert hub.folder is api_bank.hub.folder
    train, test = read(None), read(None, "test")
    assert (train.num_items, test.num_items) == (40, 399)
    assert train.revision == f"liminghao1630/API-Bank@{'c' * 40}"
    assert "MIT" in test.licence
    assert asked[0] == ("liminghao1630/API-Bank", ["training-data/lv1-api-train.json"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"level": 2}, "level must be 1 or 3, not 2"), ({"level": 3}, "has no lv3-api-train.json")],
)
def test_another_level_is_named(tmp_path: Path, options: dict, complaint: str) -> None:
    write_api_bank(tmp_path)
    with pytest.raises(CorpusError, match=complaint):
        read(tmp_path, **options)
