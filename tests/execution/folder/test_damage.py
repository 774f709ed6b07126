"""Every kind of file of a finished study, damaged in every way: no command ends in a traceback or tells another number,
the damage is named or mended, and `crosslift run` ends in the scores of the undamaged study."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from damage import (
    ANY,
    FILES,
    NEVER_MENDED,
    OF_JSON,
    OTHER,
    RUN,
    emptied,
    flipped,
    folder_instead,
    removed,
    rotted,
    swapped,
    truncated,
)
from fake_study import open_graph
from in_process import Told, crosslift, quicker
from tiny_study import write_study

from crosslift.execution.folder import checksums
from crosslift.execution.inspection.status import status
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load

CASES = [(file, damage) for file in FILES for damage in (*ANY, *(OF_JSON if file.endswith("json") else ()))]


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("finished") / "study"))
    with pytest.MonkeyPatch.context() as patch:
        quicker(patch)
        work(load(folder))
        graph = open_graph(folder)
        one = graph.steps(graph.runs["tiny.en.s0"]).evaluations[2].step
        with one.rewriting("judged.parquet") as file:
            scores = pl.read_parquet(one.folder / "scores.parquet")
            scores.filter(metric="accuracy").with_columns(metric=pl.lit("judge")).write_parquet(file)
        assert crosslift("run", folder).code == 0
        assert crosslift("status", folder).code == 0  # writes what it verified
    return folder


@pytest.mark.parametrize(("file", "damage"), CASES, ids=[f"{file}-{damage.__name__}" for file, damage in CASES])
def test_damage_is_named_or_mended(file, damage, finished, tmp_path, monkeypatch):
    quicker(monkeypatch)
    study = Path(shutil.copytree(finished, tmp_path / "study"))
    scores = (study / "scores.parquet").read_bytes()
    page = (study / "report" / "index.html").read_text()
    (path,), (other,) = study.glob(file), study.glob(FILES[file])
    name = path.relative_to(study).as_posix()
    damage(path, other)

    def names(told: Told) -> bool:
        """A step without its marker is not finished, which is told of the step."""
        missing = damage is removed and name.endswith(("done.json", "lock.json"))
        return name in told.text or (missing and (path.parent.name in told.text or "not been prepared" in told.text))

    first = crosslift("status", study)  # before verify tells the others what it found
    assert first.code == 0 or names(first), first.text
    published = crosslift("report", study)
    same = published.code == 0 and (study / "report" / "index.html").read_text() == page
    assert same or names(published) or (damage is removed and name.endswith("eval/math.es/done.json")), published.text
    verified = crosslift("verify", study)
    informative = name.endswith(("progress.json", ".hashes.json", ".finished.json"))
    mended_by_report = name.startswith("report") or name in ("scores.parquet", "runs.parquet", ".rebuilt.json")
    optional = damage is removed and name.endswith("provenance.json")
    if not (informative or mended_by_report or optional):
        assert names(verified), verified.text
        assert verified.code == 1 or damage is removed or "without checksums" in verified.text

    ran = crosslift("run", study)
    if damage is folder_instead and ran.code:  # what somebody put there is not removed
        assert name in ran.text
        return
    assert (study / "scores.parquet").read_bytes() == scores or name.endswith("judged.parquet")
    assert {one.what for one in status(open_graph(study))} == {"done"}
    after = crosslift("verify", study)
    assert after.code == 0 or name.endswith(NEVER_MENDED), after.text
    assert "Nothing to do" in crosslift("run", study).text


@pytest.mark.parametrize("damage", [truncated, flipped, rotted, emptied, removed, swapped])
def test_a_study_from_before_there_were_checksums_stays_valid(damage, finished, tmp_path, monkeypatch):
    """Its scores are still held to the checksum that their marker has always had."""
    quicker(monkeypatch)
    study = Path(shutil.copytree(finished, tmp_path / "study"))
    for marker in study.rglob("done.json"):
        kept = {key: json.loads(marker.read_text())[key] for key in ("fingerprint", "inputs", "outputs")}
        marker.write_text(json.dumps(kept, indent=1))
    for sealed in ("lock.json", ".rebuilt.json"):
        value = json.loads((study / sealed).read_text())
        for run in value["runs"].values() if sealed == "lock.json" else ():
            del run["record"]
        (study / sealed).write_text(json.dumps({key: value[key] for key in value.keys() - {"checksum", "files"}}))
    assert "Nothing to do" in crosslift("run", study).text
    assert "No damage was found" in crosslift("verify", study).text
    scores = (study / "scores.parquet").read_bytes()
    (study / "scores.parquet").unlink()
    damage(study / RUN / "eval/math.es/scores.parquet", study / OTHER / "eval/math.es/scores.parquet")
    crosslift("run", study)
    assert (study / "scores.parquet").read_bytes() == scores


@pytest.mark.parametrize("folder", ["eval/math.en", "train", "eval"])
def test_a_file_in_place_of_a_folder_is_named_or_replaced(folder, finished, tmp_path, monkeypatch):
    quicker(monkeypatch)
    study = Path(shutil.copytree(finished, tmp_path / "study"))
    scores = (study / "scores.parquet").read_bytes()
    shutil.rmtree(study / RUN / folder)
    (study / RUN / folder).write_text("in the way")
    for command in ("status", "verify", "report"):
        crosslift(command, study)
    ran = crosslift("run", study)
    assert folder in ran.text if ran.code else "done" in ran.text
    assert (study / "scores.parquet").read_bytes() == scores or (ran.code == 1 and folder == "eval")


def test_a_damaged_checkpoint_answers_nothing_and_is_trained_again(tmp_path):
    """With the real trainer and generator: a byte of the weights, and the chat template that prompts are built with."""
    study = write_study(tmp_path / "study")
    prepare(open_graph(study), say=lambda line: None)
    assert work(load(study), ["tiny.en.s0"])
    run = study / "runs" / "tiny.en.s0"
    before = {file: file.read_bytes() for file in run.rglob("*") if file.suffix in (".parquet", ".safetensors")}
    for name, damage in (("model.safetensors", rotted), ("chat_template.jinja", flipped)):
        damage(run / "train" / "checkpoint" / name, run)
        checksums.forget_hashes()
        marker = (run / "train" / "done.json").read_bytes()
        assert work(load(study), ["tiny.en.s0"])  # all evaluations are done: it is named and nothing is trained
        assert (run / "train" / "done.json").read_bytes() == marker
        assert f"train/checkpoint/{name} does not match its checksum" in crosslift("verify", study).text
        shutil.rmtree(run / "eval" / "math.en")
        assert work(load(study), ["tiny.en.s0"])
        assert {file: file.read_bytes() for file in before} == before
        assert (run / "train" / "done.json").read_bytes() != marker
