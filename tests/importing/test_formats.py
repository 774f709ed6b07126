"""Results made elsewhere are read as they are written, and what cannot be right is refused in words."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.errors import StudyError, TransferError
from crosslift.importing.mapping import load_import
from crosslift.importing.results import Results, read_results

MAPPING = """
name = "toy"

[source]
path = "scores.csv"
unit = 100.0
separator = " "
without = { lang = ["overall"] }

[columns]
run = "{system} {seed}"
model = "system"
mixture = "langs"
seed = "seed"
trained = "langs"
language = "lang"
value = "score"

[constants]
task = "math"

[recode.language]
eng = "en"
"""
ROWS = """system,seed,langs,lang,score
a,0,eng swh,eng,50
a,0,eng swh,swa,25
a,0,eng swh,overall,37.5
a,1,eng swh,eng,52
a,1,eng swh,ht,20
"""


def results_of(folder: Path, mapping: str = MAPPING, rows: str = ROWS) -> Results:
    (folder / "m.toml").write_text(mapping)
    (folder / "scores.csv").write_text(rows)
    return read_results(load_import(folder / "m.toml"))


def test_a_table_becomes_runs_and_cells(tmp_path: Path):
    found = results_of(tmp_path)
    assert found.cells.select("run", "task", "metric", "language", "value").rows() == [
        ("a 0", "math", "score", "en", 0.5),
        ("a 0", "math", "score", "sw", 0.25),
        ("a 1", "math", "score", "en", 0.52),
        ("a 1", "math", "score", "ht", 0.2),  # a language that crosslift does not know else
    ]
    assert found.runs["languages"].to_list() == [["en", "sw"]] * 2
    assert found.runs["seed"].to_list() == [0, 1] and found.scores.is_empty()


def test_items_become_scores(tmp_path: Path):
    mapping = MAPPING.replace('value = "score"', 'value = "score"\nitem = "item"').replace("unit = 100.0", "unit = 1.0")
    rows = "system,seed,langs,lang,score,item\na,0,en,en,1,1\na,0,en,en,0,2\na,0,en,en,,3\n"
    found = results_of(tmp_path, mapping, rows)
    assert found.scores["status"].to_list() == ["scored", "scored", "error"]
    assert found.cells.select("value", "num_items").rows() == [(0.5, 2)]


@pytest.mark.parametrize(
    ("change", "rows", "says"),
    [
        (('value = "score"', 'value = "points"'), ROWS, "no column points"),
        (("", ""), ROWS + "a,0,eng swh,eng,50\n", "2 rows are of the same cell"),
        (("", ""), ROWS.replace("eng swh,swa", "eng,swa"), "differ in mixture, trained"),
        (("", ""), ROWS.replace("swa", "swaheli"), "'swaheli' is not a language code"),
        (("", ""), ROWS.replace("25\n", "high\n"), "not all values are numbers"),
        (('run = "{system} {seed}"', 'run = "system"'), ROWS, "differ in seed"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, change: tuple[str, str], rows: str, says: str):
    with pytest.raises(TransferError, match=says):
        results_of(tmp_path, MAPPING.replace(*change) if change[0] else MAPPING, rows)


def test_all_mistakes_of_a_mapping_are_told_at_once(tmp_path: Path):
    (tmp_path / "m.toml").write_text(
        'name = "x"\n[source]\nformat = "tabel"\npath = "x"\n[columns]\nvalu = "x"\n[[analyses]]\nkind = "pears"\n'
    )
    with pytest.raises(StudyError) as error:
        load_import(tmp_path / "m.toml")
    told = str(error.value)
    assert "Did you mean 'table'" in told and "Did you mean 'value'" in told and "Did you mean 'pairs'" in told


LM_EVAL = """
name = "lm-eval"
[source]
format = "lm_eval"
path = "out"
pattern = "mgsm_direct_(?P<language>\\\\w+)"
[columns]
run = "model"
task = "filter"
language = "language"
metric = "metric"
value = "value"
"""


def test_samples_of_lm_eval(tmp_path: Path):
    folder = tmp_path / "out" / "org__model"
    folder.mkdir(parents=True)
    for tag in ("en", "sw"):
        lines = [
            {"doc_id": number, "filter": "flexible-extract", "metrics": ["exact_match", "bleu"],
             "exact_match": float(number % 2), "bleu": ["a", "b"]}
            for number in range(4)
        ]  # fmt: skip
        name = f"samples_mgsm_direct_{tag}_2026-11-21T12-30-00.123456.jsonl"
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "samples_other_2026-11-21T12-30-00.1.jsonl").write_text(
        json.dumps({"doc_id": 0, "filter": "none", "metrics": ["acc"], "acc": 1.0}) + "\n"
    )
    (tmp_path / "m.toml").write_text(LM_EVAL.replace("[columns]", '[columns]\nitem = "item"'))
    found = read_results(load_import(tmp_path / "m.toml"))
    assert found.scores.select("run", "language", "item_id", "metric", "value").rows()[1] == (
        "org__model", "en", "1", "exact_match", 1.0,
    )  # fmt: skip
    assert found.cells["value"].to_list() == [0.5, 0.5] and found.cells["language"].to_list() == ["en", "sw"]


def test_means_of_lm_eval_where_there_are_no_samples(tmp_path: Path):
    folder = tmp_path / "out"
    folder.mkdir()
    results = {"mgsm_direct_sw": {"alias": "x", "exact_match,none": 0.25, "exact_match_stderr,none": 0.03}}
    told = {"results": results, "model_name": "org/model", "n-samples": {"mgsm_direct_sw": {"effective": 250}}}
    (folder / "results_2026-11-21T12-30-00.1.json").write_text(json.dumps(told))
    more = '[columns]\nnum_items = "num_items"\nstandard_error = "standard_error"'
    (tmp_path / "m.toml").write_text(LM_EVAL.replace("[columns]", more))
    found = read_results(load_import(tmp_path / "m.toml"))
    assert found.cells.select("run", "language", "value", "num_items", "standard_error").rows() == [
        ("org/model", "sw", 0.25, 250, 0.03)
    ]


@pytest.mark.parametrize("zipped", [True, False])
def test_logs_of_inspect(tmp_path: Path, zipped: bool):
    header = {"version": 2, "status": "success", "eval": {"model": "mockllm/model", "task": "mgsm_sw"}}
    samples = [
        {"id": 0, "epoch": 1, "scores": {"match": {"value": "C"}}},
        {"id": 1, "epoch": 1, "scores": {"match": {"value": "I"}}},
        {"id": 2, "epoch": 1, "scores": {}, "error": {"message": "gone"}},
    ]
    (tmp_path / "logs").mkdir()
    if zipped:
        with zipfile.ZipFile(tmp_path / "logs" / "a.eval", "w") as log:
            log.writestr("header.json", json.dumps(header))
            for sample in samples:
                log.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    else:
        (tmp_path / "logs" / "a.json").write_text(json.dumps(header | {"samples": samples}))
    mapping = LM_EVAL.replace("lm_eval", "inspect").replace('"out"', '"logs"').replace("mgsm_direct_", "mgsm_")
    mapping = mapping.replace('task = "filter"', 'task = "task_name"\nitem = "item"')
    (tmp_path / "m.toml").write_text(mapping)
    found = read_results(load_import(tmp_path / "m.toml"))
    assert found.scores.select("run", "item_id", "value", "status").rows() == [
        ("mockllm/model", "0", 1.0, "scored"),
        ("mockllm/model", "1", 0.0, "scored"),
        ("mockllm/model", "2", None, "error"),
    ]


def test_logs_that_are_compressed_with_zstandard(tmp_path: Path):
    """As inspect writes them and Python's zipfile before 3.14 cannot."""
    from backports.zstd import compress

    header = json.dumps({"eval": {"model": "m", "task": "mgsm_sw"}}).encode()
    sample = json.dumps({"id": 7, "scores": {"match": {"value": "P"}}}).encode()
    file = tmp_path / "a.eval"
    with zipfile.ZipFile(file, "w") as log:
        log.writestr("header.json", compress(header))
        log.writestr("samples/7_epoch_1.json", compress(sample))
    data = bytearray(file.read_bytes())
    for signature, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        start = -1
        for content in (header, sample):
            start = data.index(signature, start + 1)
            data[start + method : start + method + 2] = (93).to_bytes(2, "little")
            data[start + size : start + size + 4] = len(content).to_bytes(4, "little")
    file.write_bytes(bytes(data))
    mapping = LM_EVAL.replace("lm_eval", "inspect").replace('"out"', '"a.eval"').replace("mgsm_direct_", "mgsm_")
    (tmp_path / "m.toml").write_text(mapping.replace('task = "filter"', 'task = "task_name"\nitem = "item"'))
    found = read_results(load_import(tmp_path / "m.toml"))
    assert found.scores.select("item_id", "language", "value").rows() == [("7", "sw", 0.5)]


def test_the_command_writes_tables_a_page_and_where_they_are_from(tmp_path: Path):
    (tmp_path / "scores.csv").write_text(ROWS)
    analysis = '[[analyses]]\nkind = "replicates"\nprinted_unit = 100.0\n'
    (tmp_path / "m.toml").write_text(MAPPING + analysis)
    done = CliRunner().invoke(app, ["import", str(tmp_path / "m.toml"), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "2 runs, 4 cells" in done.output and "standard deviation between replicates" in done.output
    assert pl.read_parquet(tmp_path / "out" / "cells.parquet").height == 4
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert list(manifest["sources"]) == ["scores.csv"]
    assert "<h1>toy</h1>" in (tmp_path / "out" / "index.html").read_text()
    (tmp_path / "m.toml").write_text(MAPPING + analysis.replace("printed_unit", "printed_units"))
    again = CliRunner().invoke(app, ["import", str(tmp_path / "m.toml"), str(tmp_path / "out2")])
    assert isinstance(again.exception, StudyError) and not (tmp_path / "out2").exists()
