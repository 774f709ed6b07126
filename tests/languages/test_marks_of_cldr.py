"""Decimal and group marks are those of CLDR, and where they are not, there is a reason."""

from __future__ import annotations

import pytest

pytest.importorskip("babel")
from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol, get_group_symbol

from crosslift.languages.language import language, tags

OTHER = {
    "ar": "CLDR's default digits for `ar` are Latin; our texts have Arabic-Indic ones with their own marks",
    "fa": "marks are those of Persian digits",
    "bar": "as German",
}
SPACES = {" ", "\u00a0", "\u202f", "\u2009"}


@pytest.mark.parametrize("tag", [tag for tag in tags() if tag not in OTHER])
def test_marks_are_those_of_cldr(tag: str):
    try:
        locale = Locale.parse(tag, sep="-")
    except UnknownLocaleError:
        pytest.skip(f"babel has no {tag}")
    ours = language(tag)
    assert ours.decimal_mark == get_decimal_symbol(locale)
    theirs = get_group_symbol(locale)
    assert ours.group_mark == theirs or {ours.group_mark, theirs} <= SPACES


@pytest.mark.parametrize("tag", OTHER)
def test_exceptions_are_languages_of_ours(tag: str):
    assert tag in tags()
