"""What others wrote is shown and never obeyed: by terminals, by rich, by logs."""

from __future__ import annotations

import io
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

from crosslift import cli
from crosslift.cli import app
from crosslift.cli.display import _table
from crosslift.cli.printing import LogFormatter, console, say
from crosslift.errors import CrossliftError, StudyError, UnknownName, visible
from crosslift.execution.folder.progress import ExpectedWork
from crosslift.execution.inspection.status import Status

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]en, sw[/red] \u202e\u2066gnp.exe\x9b31m\r\x00\ud800 :smile:"


def obeyed(text: str) -> set[str]:
    """Characters that a terminal would act on."""
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs") and one not in "\n\t"}


@given(st.text())
def test_no_text_holds_a_control_character_when_it_is_printed(text: str):
    shown = visible(text)
    assert obeyed(shown) <= {"\u200c", "\u200d"}
    shown.encode("utf-8")


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_a_value_in_a_message_stays_in_one_line_and_is_cut(text: str, limit: int):
    shown = visible(text, limit)
    assert "\n" not in shown
    assert len(shown) <= 10 * limit + 40


@pytest.mark.parametrize("text", ["plain", "zwei\nZeilen", "ক্‍ষ", "می‌خواهم", "日本語", "العربية"])
def test_texts_in_any_script_are_printed_as_they_are(text: str):
    assert visible(text) == text


def test_errors_are_printed_with_their_control_characters_as_escapes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fails(**_: object) -> None:
        raise CrossliftError(f"corpora.x: '{HOSTILE}'")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert not obeyed(said)
    assert r"\x1b]0;owned\x07\x1b[2J[red]en, sw[/red] \u202e\u2066gnp.exe\x9b31m\r\x00\ud800 :smile:" in said


def test_lines_of_progress_are_printed_so_too(capsys: pytest.CaptureFixture[str]):
    say(HOSTILE)
    assert not obeyed(capsys.readouterr().out)


def test_cells_of_a_table_keep_their_square_brackets():
    expected = ExpectedWork(num_steps=1, num_evaluations=1, trained=False, evaluations=0)
    stale = Status(run="tiny.en.s0", what="changed", expected=expected, progress=None, message="languages was [en, sw]")
    screen = console()
    screen.file = io.StringIO()
    screen.width = 200
    screen.print(_table([stale], {}))
    assert "languages was [en, sw]" in screen.file.getvalue()


def test_rich_is_given_text_and_no_markup():
    screen = console()
    screen.file = io.StringIO()
    table = Table()
    table.add_column("x")
    table.add_row("[en] [/x] :smile:")
    screen.print(table)
    assert "[en] [/x] :smile:" in screen.file.getvalue()


def test_logs_hold_escapes():
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s", (HOSTILE,), None)
    assert not obeyed(LogFormatter().format(record))
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert not obeyed(LogFormatter().format(record))


def test_an_unknown_kind_of_list_is_told_with_the_nearest():
    said = CliRunner().invoke(app, ["list", "modles"])
    assert isinstance(said.exception, UnknownName)
    assert str(said.exception).startswith("'modles' is not a kind that can be listed. Did you mean 'models'? Known:")
    assert "pocket:" in CliRunner().invoke(app, ["list", "model"]).output
    assert "pocket:" in CliRunner().invoke(app, ["list", "MODELS"]).output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cost", "en=0"), "--cost en=0: must be a language and a number, as sw=2.5 (a finite number above 0)."),
        (("--cost", "en=nan"), "--cost en=nan"),
        (("--cost", "en=-1"), "--cost en=-1"),
        (("--weight", "en=inf"), "--weight en=inf"),
        (("--weight", "en=0"), "--weight: at least one language needs a weight above 0."),
        (("--budget", "inf"), "--budget inf: must be a finite number above 0."),
    ],
)
def test_numbers_that_no_recommendation_can_use_are_refused(arguments: tuple[str, ...], says: str):
    said = CliRunner().invoke(app, ["recommend", "nowhere", *arguments])
    assert isinstance(said.exception, StudyError)
    assert says in str(said.exception)
