from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

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
    assert values("[Buy(item='tea', count='5', date='2023-10-15')]", gold) == dict.fromkeys(api_calling.METRICS, 0.0)
    translated = values("[Order(item='té', count='5', date='2023-10-15')]", gold)
    assert translated == {"exact": 0, "name": 1, "keys": 1, "values": 2 / 3, "neutral_values": 1}
    missing = values("[Order(item='tea', count='6')]", gold)
    assert missing == {"exact": 0, "name": 1, "keys": 0, "values": 1 / 3, "neutral_values": 0}
    extra = values("[Order(item='tea', count='5', date='2023-10-15', tip='1')]", gold)
    assert extra == {"exact": 0, "name": 1, "keys": 0, "values": 1, "neutral_values": 1}


def test_language_neutral_values_are_equal_in_any_digits_and_exact_match_is_not():
    found = values("[f(n='৫')]", "[f(n='5')]", "bn")
    assert (found["neutral_values"], found["exact"]) == (1, 0)


def test_without_a_neutral_value_in_the_gold_the_metric_asks_for_the_name_alone():
    assert values("[f(a='x')]", "[f(a='y')]")["neutral_values"] == 1
    assert values("[g(a='y')]", "[f(a='y')]")["neutral_values"] == 0
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


DATA = Path(__file__).parents[2].parent / "shared" / "data" / "api_bank"


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
