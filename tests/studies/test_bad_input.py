"""What users get wrong: every mistake is named with its place and what to do, and nothing is written.

The same table goes through `load`, the readers and the command line.
"""

from __future__ import annotations

import copy
import functools
import itertools
import operator
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spoilt_corpora import CORPORA
from spoilt_studies import STUDIES

from crosslift import cli
from crosslift.discover import member
from crosslift.errors import CorpusError, CrossliftError, StudyError
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.plan import plan


def files(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def read_everything(folder: Path) -> None:
    """What `crosslift check` does."""
    study = load(folder)
    problems = []
    for source in study.corpora.values():
        try:
            member("reader", source.reader).read(source)
        except CorpusError as error:
            problems.append(str(error))
    if problems:
        raise CorpusError("\n".join(problems))


@pytest.mark.parametrize("name", [*STUDIES, *CORPORA])
def test_bad_input_is_refused_with_place_and_remedy_and_nothing_is_written(name: str, study_folder: Path) -> None:
    spoil, expected = {**STUDIES, **CORPORA}[name]
    spoil(study_folder)
    before = files(study_folder)
    with pytest.raises(CrossliftError) as caught:
        read_everything(study_folder)
    assert isinstance(caught.value, StudyError if name in STUDIES else CorpusError)
    message = str(caught.value)
    for part in (expected,) if isinstance(expected, str) else expected:
        assert part in message, message
    assert all(
        line.endswith((".", "?", "crosslift list languages")) or "crosslift new" in line
        for line in message.splitlines()
    )
    assert files(study_folder) == before


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code of `crosslift <arguments>`."""
    monkeypatch.setattr(sys, "argv", ["crosslift", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("name", [*STUDIES, *CORPORA])
def test_the_command_line_says_the_same_with_exit_code_2_and_without_a_traceback(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, expected = {**STUDIES, **CORPORA}[name]
    spoil(study_folder)
    before = files(study_folder)
    code = command(monkeypatch, "check", str(study_folder))
    shown = capsys.readouterr()
    said = " ".join((shown.out + shown.err).split())
    assert code == 2
    for part in (expected,) if isinstance(expected, str) else expected:
        assert " ".join(part.split()) in said, said
    assert "Traceback" not in said
    assert files(study_folder) == before


@pytest.mark.parametrize(
    "name", [name for name in STUDIES if name not in ("empty_study", "unknown_training_key", "several_at_once")]
)
def test_one_mistake_makes_one_message_or_few(name: str, study_folder: Path) -> None:
    """A mistake is not repeated by everything that refers to what is wrong."""
    STUDIES[name][0](study_folder)
    with pytest.raises(StudyError) as caught:
        load(study_folder)
    assert len(caught.value.problems) <= 3, str(caught.value)


def test_the_study_that_the_tests_spoil_is_right(study_folder: Path) -> None:
    read_everything(study_folder)


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert command(monkeypatch, "new", "demo", str(tmp_path / "file" / "study")) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_named(study_folder: Path) -> None:
    (study_folder / "train.jsonl").chmod(0)
    with pytest.raises(StudyError, match=r"train\.jsonl cannot be read"):
        load(study_folder)


ODD: list[Any] = [
    -1,
    10**30,
    1.5,
    float("nan"),
    True,
    "",
    "x",
    "~x/a\0b",
    "ü" * 300,
    [],
    {},
    [[]],
    {"en": 1},
    [1, "en"],
]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every table, list and value of a study."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inner:
        yield from leaves(element, (*path, key))


def test_no_value_in_any_place_raises_anything_but_a_study_error(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tomllib.loads((study_folder / "study.toml").read_text(encoding="utf-8"))
    refused = 0
    for path, odd in itertools.product(leaves(study), ODD):
        raw = copy.deepcopy(study)
        inner = functools.reduce(operator.getitem, path[:-1], raw)
        inner[path[-1]] = odd
        monkeypatch.setattr("crosslift.studies.parsing.load.read_toml", lambda file, remedy, raw=raw: raw)
        try:
            plan(load(study_folder))
        except StudyError as error:
            refused += 1
            assert all(problem.startswith("study.toml") for problem in error.problems)
    assert refused > 1000
