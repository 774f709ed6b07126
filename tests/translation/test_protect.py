from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.translation.protect import mask, unmask


@given(st.text(), st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=3))
def test_a_text_that_comes_back_untouched_is_the_text_with_its_glossary(text: str, glossary: dict[str, str]):
    same = mask(text)
    assert unmask(same.text, same) == (text, "")
    unmask(mask(text, glossary=glossary).text, mask(text, glossary=glossary))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Call `ls -l` now", "Call <1> now"),
        ('Use {"name": "f", "arguments": {"a": 1}} here', "Use <1> here"),
        ("Open {{path/to/file}} or {name}", "Open <1> or <2>"),
        ("See https://a.org/b?c=1 or ask me@a.org", "See <1> or ask <2>"),
        ("She has 48/2 = <<48/2=24>>24 eggs", "She has 48/2 = <1>24 eggs"),
        (r"Compute \frac{1}{2} of $x_1$ for $5", "Compute <1> of <2> for $5"),
        ("API-Request: [GetUser(id='3')]", "<1> <2>"),
        ("the user_id is 7", "the <1> is 7"),
        ("send_message(text, contact): message", "<1>: message"),
        ("get_ticket(day): one item(s) (red, blue)", "<1>: one item(s) (red, blue)"),
        ("<1> is here", "<1> is here"),
        ("plain words, 12 of them.", "plain words, 12 of them."),
    ],
)
def test_what_is_protected(text: str, masked: str):
    found = mask(text)
    assert found.text == masked
    assert unmask(found.text, found) == (text, "")


def test_a_glossary_puts_another_word_in_place():
    masked = mask("Book a table at Rome, in Romebridge", glossary={"Rome": "Rom"}, names=["Book"])
    assert masked.text == "<1> a table at <2>, in Romebridge"
    assert unmask("<1> einen Tisch in <2>, in Romebridge", masked) == ("Book einen Tisch in Rom, in Romebridge", "")


@pytest.mark.parametrize(
    ("translation", "reason"),
    [("lost", "<1> are missing"), ("<1> and <1>", "<1> are too many"), ("<1> and <2>", "<2> are too many")],
)
def test_marks_that_do_not_come_back_once_are_told(translation: str, reason: str):
    assert reason in unmask(translation, mask("say `x`"))[1]
