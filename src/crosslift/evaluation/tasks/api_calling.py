"""Calling an API as a dialogue asks for it (API-Bank, arXiv 2304.08244).

Exact match is the number that arXiv 2604.13286 publishes: name, all keys and all values, as written. In a translated
test set it mixes two skills, for "when appropriate" values were translated too, and a right call with another
translation is wrong. Four more metrics take it apart:

    exact           1 where the calls are the gold calls (several calls in any order, keys in any order)
    name            1 where the called names are the gold names
    keys            1 where also the keys of every call are
    values          share of the gold's arguments that have the gold's value
    neutral_values  the same, over arguments that no translation changes: numbers, dates, ids (`calls.is_neutral`);
                    digits of any script are equal here

A call that fails at the name gets 0 on everything. A gold call without arguments has nothing more to get wrong:
`values` is 1 once the name is right, and so is `neutral_values` where the gold has no language-neutral argument. A null
would mean "error" instead, and dropping the row would give this metric another set of items than the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crosslift.evaluation.calls import Call, fold_neutral, is_neutral, parse_calls
from crosslift.evaluation.task import Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.language import Language

METRICS = ("exact", "name", "keys", "values", "neutral_values")
PROMPTS = ("bare",)
MAX_TOKENS = 256


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as the corpus holds it: instruction, tools and dialogue are the prompt already.

    Raises:
        EvaluationError: no such form, or no question.
    """
    check_prompt(prompt, PROMPTS)
    return rewrite_question(messages, messages[last_question(messages)]["content"])


def score(text: str, answer: str, language: Language) -> Outcome:
    """All metrics of one answer; "unparsed" where no call can be read.

    Raises:
        ValueError: the gold answer is not a call.
    """
    gold = parse_calls(answer)
    if not gold:
        raise ValueError(f"{answer!r} is not an API call. Write gold answers like [Name(key='value')].")
    made = parse_calls(text)
    if not made:
        return Outcome(values=dict.fromkeys(METRICS, 0.0), status="unparsed")
    pairs = _pair(gold, made)
    parsed = f"[{', '.join(map(str, made))}]"
    if pairs is None:
        return Outcome(values=dict.fromkeys(METRICS, 0.0), status="scored", parsed=parsed)
    keys = all(dict(right.arguments).keys() == dict(call.arguments).keys() for right, call in pairs)
    values = {
        "exact": float(all(_same(right, call) for right, call in pairs)),
        "name": 1.0,
        "keys": float(keys),
        "values": _share(pairs, lambda value: True, lambda value: value),
        "neutral_values": _share(pairs, is_neutral, fold_neutral),
    }
    return Outcome(values=values, status="scored", parsed=parsed)


def _same(right: Call, call: Call) -> bool:
    return dict(right.arguments) == dict(call.arguments)


def _pair(gold: list[Call], made: list[Call]) -> list[tuple[Call, Call]] | None:
    """Each gold call with one of the same name, an equal one where there is; None where the names differ."""
    if sorted(call.name for call in gold) != sorted(call.name for call in made):
        return None
    left = list(made)
    pairs: list[tuple[Call, Call]] = []
    late: list[Call] = []
    for right in gold:  # equal calls first, so that order cannot spoil an exact match
        equal = next((call for call in left if call.name == right.name and _same(right, call)), None)
        if equal is None:
            late.append(right)
        else:
            left.remove(equal)
            pairs.append((right, equal))
    for right in late:
        nearest = max((call for call in left if call.name == right.name), key=lambda call: _overlap(right, call))
        left.remove(nearest)
        pairs.append((right, nearest))
    return pairs


def _overlap(right: Call, call: Call) -> int:
    made = dict(call.arguments)
    return sum(made.get(key) == value for key, value in right.arguments)


def _share(pairs: list[tuple[Call, Call]], counts: Callable[[Any], bool], form: Callable[[Any], Any]) -> float:
    """Share of the gold's arguments (those that count) whose value was given; 1 where there is none."""
    hits = []
    for right, call in pairs:
        made = dict(call.arguments)
        for key, value in right.arguments:
            if counts(value):
                hits.append(key in made and form(made[key]) == form(value))
    return sum(hits) / len(hits) if hits else 1.0
