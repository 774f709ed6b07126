from __future__ import annotations

import json

import pytest

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.evaluation.tasks.multiple_choice import Choices
from crosslift.pocket.grammar import tags


def read(num_items: int, languages: tuple[str, ...]):
    source = Source(
        name="reading", reader="pocket", task="multiple_choice", split="test", languages=languages, max_items=num_items
    )
    return pocket.read(source).rows


def test_an_item_has_four_different_choices_in_every_language_and_the_right_one_at_the_same_place():
    for _, rows in read(20, tags()).group_by("item_id"):
        found = [Choices.read(answer) for answer in rows["answer"]]
        assert {len(set(one.choices)) for one in found} == {4}
        assert len({one.gold for one in found}) == 1
        for one, messages in zip(found, rows["messages"], strict=True):
            assert one.choices[one.gold] == messages[-1]["content"]


def test_the_right_choice_is_at_every_place_about_equally_often():
    places = [json.loads(answer)["gold"] for answer in read(400, ("en",))["answer"]]
    assert all(places.count(place) == pytest.approx(100, abs=30) for place in range(4))
