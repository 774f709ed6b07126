"""The card names the licence that demands most."""

from __future__ import annotations

import pytest

from crosslift.corpora.readers.math import gsm8k, polymath
from crosslift.final.licences import identifier, strictest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT", "mit"),
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("cc-by-3.0", "cc-by-3.0"),
        ("Apache-2.0", "apache-2.0"),
        ("Apache License 2.0", "apache-2.0"),
        ("CC0 1.0", "cc0-1.0"),
        (gsm8k.LICENCE, "mit"),
        (polymath.LICENCE, "mit"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("ours, ask first", "other"),
    ],
)
def test_licences_have_the_identifiers_of_the_hub(text: str, expected: str):
    assert identifier(text) == expected


def test_the_strictest_is_the_one_that_demands_most():
    order = [
        "CC0 1.0",
        "CC BY 4.0",
        "CC BY-SA 4.0",
        "CC BY-NC 4.0",
        "CC BY-NC-SA 4.0",
        "CC BY-ND 4.0",
        "ask",
        "unknown",
    ]
    for place, licence in enumerate(order):
        assert strictest(order[place::-1]) == licence
    assert strictest(["MIT", "Apache-2.0"]) == "MIT"
