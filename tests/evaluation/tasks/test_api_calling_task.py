from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import places
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.evaluation.calls import Call, canonical, is_neutral, parse_calls
from crosslift.evaluation.tasks import api_calling
from crosslift.languages.language import language, tags

WORDS = {
    "en": "green tea",
    "es": "té verde",
    "ja": "緑茶",
    "bn": "সবুজ চা",
    "ar": "شاي أخضر",
    "th": "ชาเขียว",
    "zh": "绿茶",
}
GOLD = "[Order(item='{}', count='5', date='2023-10-15')]"


def values(text: str, gold: str, tag: str = "en") -> dict[str, float]:
    return api_calling.score(text, gold, language(tag)).values


@pytest.mark.parametrize("tag", tags())
def test_the_gold_call_scores_in_every_language(tag: str):
    gold = GOLD.format(WORDS.get(tag, f"<{tag}> thé"))
    outcome = api_calling.score(f"API-Request: {gold}", gold, language(tag))
    assert outcome.status == "scored"
    assert outcome.values == dict.fromkeys(api_calling.METRICS, 1.0)


@given(st.text(st.characters(exclude_characters="(")), st.sampled_from(tags()))
def test_text_without_a_call_is_unparsed_and_worth_nothing(text: str, tag: str):
    outcome = api_calling.score(text, GOLD.format("x"), language(tag))
    assert outcome.status == "unparsed"
    assert set(outcome.values.values()) == {0.0}


@given(st.text())
def test_any_text_is_read_without_error(text: str):
    parse_calls(text)
    parse_calls(f"[f({text})]")
    parse_calls(f"API-Request: [f(a='{text}', b={text})]")


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
plain_text = st.text(st.characters(exclude_characters="'\\", exclude_categories=["Cs", "Cc"]), max_size=12)


@given(names, st.dictionaries(names, plain_text, max_size=4))
def test_a_written_call_reads_back(name: str, arguments: dict[str, str]):
    inside = ", ".join(f"{key}='{value}'" for key, value in arguments.items())
    (call,) = parse_calls(f"[{name}({inside})]")
    assert call.name == name
    assert dict(call.arguments) == {key: canonical(value) for key, value in arguments.items()}


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a='1', b=2.5, c=[1, 'x'], d={'k': (1, 2)}), g()]",
         [("f", {"a": "1", "b": "2.5", "c": ["1", "x"], "d": {"k": ["1", "2"]}}), ("g", {})]),
        ("[f(names='['Ann', 'Bo']', when='now')]", [("f", {"names": ["Ann", "Bo"], "when": "now"})]),
        ("[f(data='[{'name': 'pulse', 'value': '80'}]')]", [("f", {"data": [{"name": "pulse", "value": "80"}]})]),
        ("[f(data='[('a', 'b'), ('c', 'd')]', b='2')]", [("f", {"data": [["a", "b"], ["c", "d"]], "b": "2"})]),
        ("[f(city=New York, time=10:00 AM)]", [("f", {"city": "New York", "time": "10:00 AM"})]),
        ("[f(at=2034-01-01 10:00:00)]", [("f", {"at": "2034-01-01 10:00:00"})]),
        ('[f(a="it\'s", b=\'say \\\'hi\\\'\')]', [("f", {"a": "it's", "b": "say 'hi'"})]),
        ("[f(phone='(555) 123', note='(ok)')]", [("f", {"phone": "(555) 123", "note": "(ok)"})]),
        ("[f(a='x',)]", [("f", {"a": "x"})]),
        ("[f(a={'y', 'x'}, b={[1]: 2})]", [("f", {"a": ["x", "y"], "b": "{[1]: 2}"})]),
        ("[f(a=" + "[" * 5000 + ")]", []),
        ("f(a='1')", [("f", {"a": "1"})]),
        ("Sure:\n```python\nf(a='1')\n```", [("f", {"a": "1"})]),
        ("I look it up [1] with [math.factorial(n=5)] now", [("math.factorial", {"n": "5"})]),
        ("[g(a='no')] API-Request: [f(a='1')]->{'ok': 'yes'}\nUser: thanks", [("f", {"a": "1"})]),
        ("I call f(a='1') now", []),
        ("[f('positional')]", []),
        ("[f(a='1', a='2')]", []),
        ("[f(a='1'", []),
        ("[f(a=)]", []),
        ("[f(a='1') g()]", []),
    ],
)  # fmt: skip
def test_ways_of_writing_calls(text: str, calls: list[tuple[str, dict]]):
    assert [(call.name, dict(call.arguments)) for call in parse_calls(text)] == calls


def test_nothing_is_executed(tmp_path: Path):
    target = tmp_path / "made"
    text = f"[f(a=[__import__('pathlib').Path('{target}').touch()])]"
    assert parse_calls(text) and not target.exists()


def test_the_way_of_writing_a_value_does_not_count_and_its_letters_do():
    assert values("[f(n=5, xs=['a','b'])]", "[f(xs='['a', 'b']', n='5')]")["exact"] == 1
    assert values("[f(n='05')]", "[f(n='5')]")["exact"] == 0
    assert values("[f(n='rome')]", "[f(n='Rome')]")["exact"] == 0
    assert values("[f(n='cafe\u0301')]", "[f(n='caf\u00e9')]")["exact"] == 1


def test_the_metrics_take_a_failure_apart():
    gold = GOLD.format("tea")
    renamed = values("[Buy(item='tea', count='5', date='2023-10-15')]", gold)
    assert renamed == {"exact": 0, "name": 0, "keys": 1, "values": 1, "neutral_values": 1}
    translated = values("[Order(item='té', count='5', date='2023-10-15')]", gold)
    assert translated == {"exact": 0, "name": 1, "keys": 1, "values": 2 / 3, "neutral_values": 1}
    missing = values("[Order(item='tea', count='6')]", gold)
    assert missing == {"exact": 0, "name": 1, "keys": 0, "values": 1 / 3, "neutral_values": 0}
    extra = values("[Order(item='tea', count='5', date='2023-10-15', tip='1')]", gold)
    assert extra == {"exact": 0, "name": 1, "keys": 0, "values": 1, "neutral_values": 1}


def test_language_neutral_values_are_equal_in_any_digits_and_exact_match_is_not():
    found = values("[f(n='৫')]", "[f(n='5')]", "bn")
    assert (found["neutral_values"], found["exact"]) == (1, 0)


def test_without_a_neutral_value_in_the_gold_the_metric_asks_for_a_call_alone():
    assert values("[f(a='x')]", "[f(a='y')]")["neutral_values"] == 1
    assert values("no call", "[f(a='y')]")["neutral_values"] == 0
    assert values("[f()]", "[f()]") == dict.fromkeys(api_calling.METRICS, 1.0)


def test_several_calls_count_in_any_order_and_none_may_lack():
    gold = "[f(a='1'), f(a='2'), g()]"
    assert values("[g(), f(a='2'), f(a='1')]", gold)["exact"] == 1
    assert values("[f(a='1'), g()]", gold)["name"] == 0
    half = values("[f(a='3'), f(a='1'), g()]", gold)
    assert (half["exact"], half["keys"], half["values"]) == (0, 1, 0.5)


@pytest.mark.parametrize("value", ["2023-03-25 10:00", "J46801", "john@example.com", "120/80", "5", "৫", "3.5",
                                   "https://example.com/a", "True", ["1", "2"], {"a": "1"}])  # fmt: skip
def test_numbers_dates_ids_and_addresses_are_language_neutral(value):
    assert is_neutral(value)


@pytest.mark.parametrize("value", ["Rome", "Room 1", "AAPL", "", "10 AM", "緑茶 2", ["1", "one"], {"a": "b"}])
def test_words_are_not(value):
    assert not is_neutral(value)


def test_a_call_is_shown_the_way_it_is_written():
    assert str(Call(name="f", arguments=(("a", "1"),))) == "f(a='1')"


JSON_CALLS = [
    '{"name": "f", "arguments": {"a": 1}}',
    '[{"name": "f", "arguments": {"a": 1}}]',
    '{"name": "f", "parameters": {"a": 1}}',
    '```json\n{"name": "f", "arguments": {"a": 1}}\n```',
    '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
    '{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}',
    '[{"f": {"a": 1}}]',
    "[f(a=1)]",
    "f(a=1)",
]


@pytest.mark.parametrize("text", JSON_CALLS)
def test_calls_in_json_are_the_calls_in_python(text: str):
    (call,) = parse_calls(text)
    assert (call, call.typed) == (Call(name="f", arguments=(("a", "1"),)), {"a": 1})


def test_several_tool_calls_stand_behind_one_another():
    tags = (
        '<tool_call>{"name": "f", "arguments": {}}</tool_call>\n<tool_call>{"name": "g", "arguments": {}}</tool_call>'
    )
    assert [call.name for call in parse_calls(tags)] == ["f", "g"]


@pytest.mark.parametrize(
    "text", ['{"a": 1}', '["f"]', '{"name": 3, "arguments": {}}', '{"answer": "no call fits"}', "{"]
)
def test_json_that_is_no_call_is_none(text: str):
    assert parse_calls(text) == []


POSSIBLE = json.dumps(
    [{"order": {"item": ["green tea", "tea"], "count": [5], "price": [2.0], "hot": [True], "unit": ["cups", ""]}}]
)
RIGHT = {"item": "Green-Tea", "count": 5, "price": 2, "hot": True}


def made(name: str = "order", **arguments: object) -> dict[str, float]:
    return values(json.dumps({"name": name, "arguments": arguments}), POSSIBLE)


def test_possible_answers_accept_every_listed_value_and_nothing_else():
    perfect = dict.fromkeys(api_calling.METRICS, 1.0)
    assert made(**RIGHT) == made(**RIGHT | {"item": "tea", "unit": "cups"}) == perfect
    assert values("[order(item='tea', count=5, price=2.0, hot=True)]", POSSIBLE) == perfect


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"count": 6}, {"values", "neutral_values"}),
        ({"count": "5"}, {"values", "neutral_values"}),
        ({"count": 5.5}, {"values", "neutral_values"}),
        ({"hot": 1}, {"values", "neutral_values"}),
        ({"item": "coffee"}, {"values"}),
        ({"unit": "mugs"}, {"values"}),
        ({"tip": 1}, {"keys"}),
        ({"item": None}, {"values"}),
    ],
)
def test_a_mutated_argument_is_rejected_where_it_was_touched_and_nowhere_else(change: dict, touched: set[str]):
    found = made(**RIGHT | change)
    assert {metric for metric, value in found.items() if value < 1} == touched | {"exact"}


def test_a_mutated_name_or_key_is_rejected_where_it_was_touched_and_nowhere_else():
    assert made("buy", **RIGHT) == dict.fromkeys(api_calling.METRICS, 1.0) | {"exact": 0, "name": 0}
    lacking = made(**{key: value for key, value in RIGHT.items() if key != "item"})
    assert {metric for metric, value in lacking.items() if value < 1} == {"exact", "keys", "values"}


def test_where_no_call_is_expected_prose_is_right():
    assert values("None of these tools can do that.", "[]")["exact"] == 1
    assert values("[f(a=1)]", "[]")["exact"] == 0


def test_a_gold_answer_that_is_neither_call_nor_possible_answers_is_our_error():
    for broken in ('[{"f": {"a": 1}}]', "[{", "tea"):
        with pytest.raises(ValueError, match="is not"):
            api_calling.score("x", broken, language("en"))


DATA = places.DATA / "api_bank"


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
def test_all_gold_calls_of_api_bank_parse_and_score_one_against_themselves():
    items = json.loads((DATA / "level-1-api.json").read_text("utf-8"))
    assert len(items) == 399
    for item in items:
        assert set(values(item["expected_output"], item["expected_output"]).values()) == {1.0}


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
def test_no_gold_call_of_api_bank_scores_exact_against_another_one():
    golds = sorted({item["expected_output"] for item in json.loads((DATA / "level-1-api.json").read_text("utf-8"))})
    for gold, other in pairwise(golds):
        assert values(other, gold)["exact"] == 0
