"""A packed study goes on elsewhere, says nothing of the machine it is from, and an archive writes nowhere else."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from fake_study import install_fakes, open_graph, write_fake_study
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.errors import StoreError
from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.inspection.status import status
from crosslift.execution.inspection.verify import verify
from crosslift.execution.workers.worker import work
from crosslift.exporting.archive import CONTENTS, pack
from crosslift.exporting.unpacking import study_of, unpack
from crosslift.studies.site import Site


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_fakes()
    folder = write_fake_study(tmp_path_factory.mktemp("home") / "study")
    assert work(open_graph(folder).study, site=Site(device="cpu"))
    graph = open_graph(folder)
    rebuild_result_tables(graph, graph.states())
    return folder


@pytest.fixture(scope="module")
def archive(finished: Path) -> Path:
    file = finished.parent / "tiny.tar.gz"
    packed = pack(open_graph(finished), file)
    assert packed.num_checkpoints == 4 and packed.num_files > 50
    return file


def test_an_unpacked_study_is_done_intact_and_without_checkpoints(archive: Path, tmp_path: Path):
    assert study_of(archive) == "tiny"
    unpack(archive, tmp_path / "elsewhere")
    graph = open_graph(tmp_path / "elsewhere")
    assert {one.what for one in status(graph)} == {"done"}
    found = verify(graph.store)
    assert not found.damage and not found.unfinished and not found.unverifiable
    assert not list((tmp_path / "elsewhere").rglob("checkpoint"))
    assert (graph.states()).keys() == open_graph(tmp_path / "elsewhere").runs.keys()


def test_the_report_has_the_same_bytes(finished: Path, archive: Path, tmp_path: Path):
    there, here = tmp_path / "there", tmp_path / "here"
    unpack(archive, there)
    shutil.copytree(finished, here)
    pages = []
    for folder in (there, here):
        done = CliRunner().invoke(app, ["report", str(folder)])
        assert done.exit_code == 0, done.output
        pages.append((folder / "report" / "index.html").read_bytes())
    assert pages[0] == pages[1]


def test_what_needs_a_checkpoint_trains_again(archive: Path, tmp_path: Path):
    folder = tmp_path / "study"
    unpack(archive, folder)
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(
        text + '\n[evaluations.more]\ncorpus = "test"\nmax_tokens = 4\ngenerator = "fake"\n'
    )
    CliRunner().invoke(app, ["prepare", str(folder)])
    assert work(open_graph(folder).study, site=Site(device="cpu"))
    graph = open_graph(folder)
    assert {one.what for one in status(graph)} == {"done"}
    assert graph.store.checkpoint_folder("tiny.en.s0").is_dir()


def test_equal_studies_give_equal_archives_without_a_path_or_a_name_of_the_machine(
    finished: Path, archive: Path, tmp_path: Path
):
    moved = shutil.copytree(finished, tmp_path / "moved")
    (moved / "logs").mkdir(exist_ok=True)
    (moved / "logs" / "worker.log").write_text(str(moved))
    (moved / ".env").write_text("TOKEN=secret")
    (moved / "site.toml").write_text("")
    pack(open_graph(moved), tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()
    content = gzip.decompress(archive.read_bytes())
    for secret in (str(finished.parent), os.uname().nodename, "TOKEN", "worker.log"):
        assert secret.encode() not in content
    with tarfile.open(archive) as tar:
        assert {(one.uid, one.gid, one.uname, one.gname, one.mtime, one.mode) for one in tar} == {
            (0, 0, "", "", 0, 0o644)
        }


def test_an_absolute_path_of_an_earlier_study_file_is_shortened(finished: Path, tmp_path: Path):
    folder = shutil.copytree(finished, tmp_path / "study")
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace('"train.jsonl"', f'"{folder}/train.jsonl"'))
    with pytest.raises(StoreError, match=r"corpora\.train\.path: .* is outside of the study's folder"):
        pack(open_graph(folder), tmp_path / "a.tar.gz")
    for file in [*folder.rglob("done.json"), *folder.rglob("run.json")]:  # as if prepared with that path
        if '"path": "train.jsonl"' in file.read_text():
            from crosslift.execution.folder.checksums import read_sealed, write_sealed

            found = json.loads(json.dumps(read_sealed(file)).replace('"train.jsonl"', f'"{folder}/train.jsonl"'))
            checksum = write_sealed(file, found)
            if file.name == "run.json":
                lock = read_sealed(folder / "lock.json")
                lock["runs"][file.parent.name]["record"] = checksum
                write_sealed(folder / "lock.json", lock)
    (folder / "study.toml").write_text(text)
    pack(open_graph(folder), tmp_path / "a.tar.gz")
    assert str(folder).encode() not in gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
    unpack(tmp_path / "a.tar.gz", tmp_path / "b")
    graph = open_graph(tmp_path / "b")
    assert {one.what for one in status(graph)} == {"done"} and not verify(graph.store).damage


def member(name: str, content: bytes = b"x", **changes) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for key, value in changes.items():
        setattr(made, key, value)
    return made, content


def hostile(file: Path, members: list[tuple[tarfile.TarInfo, bytes]], listed: dict, study: str = "tiny") -> Path:
    text = json.dumps({"archive": 1, "crosslift": "0", "study": study, "files": listed}).encode()
    with tarfile.open(file, "w:gz") as tar:
        for made, content in [member(f"{study}/{CONTENTS}", text), *members]:
            tar.addfile(made, io.BytesIO(content) if made.isreg() else None)
    return file


X = {"size": 1, "sha256": "2d711642b726b044"}


@pytest.mark.parametrize(
    ("members", "listed", "study"),
    [
        ([member("tiny/../evil")], {"../evil": X}, "tiny"),
        ([member("tiny//etc/evil")], {"/etc/evil": X}, "tiny"),
        ([member("tiny/a", b"", type=tarfile.SYMTYPE, linkname="/etc")], {"a": X | {"size": 0}}, "tiny"),
        ([member("tiny/a", b"", type=tarfile.LNKTYPE, linkname="tiny/b")], {"a": X | {"size": 0}}, "tiny"),
        ([member("tiny/a", b"", type=tarfile.CHRTYPE)], {"a": X | {"size": 0}}, "tiny"),
        ([member("tiny/a"), member("tiny/extra")], {"a": X}, "tiny"),
        ([member("tiny/a"), member("tiny/a")], {"a": X}, "tiny"),
        ([member("tiny/a", b"y")], {"a": X}, "tiny"),
        ([], {"a": X}, "tiny"),
        ([member("../a")], {"a": X}, ".."),
        ([member("tiny/a\x1b")], {"a\x1b": X}, "tiny"),
    ],
)
def test_an_archive_that_holds_anything_else_writes_nothing(tmp_path: Path, members, listed, study):
    file = hostile(tmp_path / "bad.tar.gz", members, listed, study)
    with pytest.raises(StoreError, match="is not an archive of crosslift pack, or is damaged"):
        unpack(file, tmp_path / "new" / "study")
    assert [one.name for one in tmp_path.iterdir()] == ["bad.tar.gz"]


def test_a_truncated_archive_and_a_used_folder_are_refused(archive: Path, tmp_path: Path):
    (tmp_path / "half.tar.gz").write_bytes(archive.read_bytes()[:-1000])
    with pytest.raises(StoreError, match="Copy it again"):
        unpack(tmp_path / "half.tar.gz", tmp_path / "study")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(StoreError, match="Copy it again"):
        unpack(tmp_path / "text", tmp_path / "study")
    assert not (tmp_path / "study").exists()
    with pytest.raises(StoreError, match="not an empty folder"):
        unpack(archive, tmp_path)


def test_the_commands_say_what_was_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["pack", str(finished)])
    assert said.exit_code == 0 and "tiny.tar.gz: " in said.output and "4 checkpoints are not in it" in said.output
    said = CliRunner().invoke(app, ["unpack", "tiny.tar.gz"])
    assert said.exit_code == 0 and "Next: crosslift status tiny" in said.output
    assert (tmp_path / "tiny" / "study.toml").is_file()
