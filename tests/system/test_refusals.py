"""What the system refuses is told in words, whichever library met it; nothing is left half, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fake_study import FAKES

from crosslift.errors import StoreError
from crosslift.remote.journal import Journal
from crosslift.system import files
from crosslift.system.files import atomic_write, expect_folder, write_json
from crosslift.system.refusals import as_store_error, refusal


class PanicException(BaseException):
    """As pyo3 raises it."""


PANIC = (
    "could not spawn threads: ThreadPoolBuildError { kind: IOError(Os { code: 11, kind: WouldBlock, message: "
    '"Resource temporarily unavailable" }) }'
)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
        (pl.exceptions.ComputeError("parquet: underlying IO error: No space left (os error 28)"), errno.ENOSPC),
        (OSError("File too large (os error 27)"), errno.EFBIG),
        (OSError("100000 requested and 1234 written"), errno.ENOSPC),
        (OSError("Too many open files (os error 24): small/a.parquet"), errno.EMFILE),
        (MemoryError(), errno.ENOMEM),
        (ImportError("libx.so: failed to map segment from shared object"), errno.ENOMEM),
        (PanicException(PANIC), errno.EAGAIN),
        (ValueError("12 requested and 3 written"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
    ],
)
def test_refusals_are_known_by_number_or_words(error, number):
    assert refusal(error) == number
    assert (as_store_error(error, "x cannot be written") is None) == (number is None)


@pytest.mark.parametrize("library", ["polars", "numpy"])
def test_a_table_that_finds_no_room_is_told_and_leaves_nothing(tmp_path, library):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    numbers = np.random.default_rng(0).random(100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written"), atomic_write(tmp_path / "a") as temporary:
            if library == "polars":
                pl.DataFrame({"a": numbers}).write_parquet(temporary)
            else:
                with temporary.open("wb") as file:
                    np.save(file, numbers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_writer_that_does_not_say_why_is_asked_again(tmp_path):
    for target, words in (("/dev/full", "The disk is full"), (tmp_path / "other", "The disk reported an I/O error")):
        with (
            pytest.raises(StoreError, match=words),
            atomic_write(tmp_path / "table.parquet") as temporary,
        ):
            temporary.symlink_to(target)
            raise pl.exceptions.ComputeError("parquet: File out of specification: Invalid thrift: transport error")
    assert not list(tmp_path.glob("*.parquet*")) and not list(tmp_path.glob(".*"))


def test_a_journal_without_room_keeps_what_it_has_and_goes_on_later(tmp_path, monkeypatch):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.add("a", text="1")

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="disk is full"):
                journal.add("b", text="2")
        assert set(journal.entries) == {"a"}
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"key": "c", "te')
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert set(journal.entries) == {"a", "b"}
        journal.add("c", text="3")
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert set(journal.entries) == {"a", "b", "c"}


def test_a_folder_that_was_moved_away_is_not_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_roots", set())
    study = tmp_path / "study"
    study.mkdir()
    expect_folder(study)
    write_json(study / "runs" / "a" / "x.json", 1)
    study.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="has been moved, removed or unmounted"):
        write_json(study / "runs" / "a" / "x.json", 2)
    assert not study.exists()


def crosslift(*arguments: object, limit: tuple[int, int] | None = None) -> subprocess.CompletedProcess[str]:
    """A start with fakes, under a limit of the system: (which, value)."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    return subprocess.run(
        [sys.executable, "-m", "crosslift", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(FAKES)},
        preexec_fn=limited,
    )


def test_twenty_descriptors_are_too_few_and_that_is_said_before_anything_is_done(tmp_path):
    ended = crosslift("new", "demo", tmp_path / "study", limit=(resource.RLIMIT_NOFILE, 20))
    assert ended.returncode == 2
    assert "The limit of open files is 20" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "study").exists()


def test_a_file_where_a_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    ended = crosslift("new", "demo", tmp_path / "file" / "study")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "One of its parents is a file" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, pytest.param(3_000, marks=pytest.mark.long)])
def test_a_study_whose_files_may_not_grow_ends_in_words_and_then_in_the_same_bytes(tmp_path, limit):
    from fake_study import install_fakes, write_fake_study

    install_fakes()
    write_fake_study(tmp_path / "study")
    undisturbed = Path(shutil.copytree(tmp_path / "study", tmp_path / "undisturbed"))
    assert crosslift("run", undisturbed).returncode == 0
    ended = crosslift("run", tmp_path / "study", limit=(resource.RLIMIT_FSIZE, limit))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stdout + ended.stderr
    assert crosslift("run", tmp_path / "study").returncode == 0
    for name in ("scores.parquet", "runs.parquet", "report/estimates.parquet"):
        assert (tmp_path / "study" / name).read_bytes() == (undisturbed / name).read_bytes()
