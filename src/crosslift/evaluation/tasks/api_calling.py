"""Calling an API as a dialogue asks for it (API-Bank, arXiv 2304.08244).

Exact match is the number that arXiv 2604.13286 publishes: name, all keys and all values, as written. In a translated
test set it mixes two skills, for "when appropriate" values were translated too, and a right call with another
translation is wrong. Four more metrics take it apart:

    exact           1 where the calls are the gold calls (several calls in any order, keys in any order)
    name            1 where the called names are the gold names
    keys            1 where every call has the keys of its gold call
    values          share of the gold's arguments whose value is right
    neutral_values  the same, over arguments that no translation changes: numbers, dates, ids (`calls.is_neutral`);
                    digits of any script are equal here

Each part is judged by itself, so that a wrong name spoils the name and not the values: gold and made calls are paired
by what they share. Gold arguments without a call to look at are wrong. A gold call without arguments has nothing more
to get wrong: `values` is 1 where there is a call, and so is `neutral_values` where the gold has no language-neutral
argument. A null would mean "error" instead, and dropping the row would give this metric another set of items.

What a gold answer accepts, one value or several, typed or not, is told in `expected_calls`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosslift.evaluation.calls import Call, parse_calls
from crosslift.evaluation.expected_calls import Expected, read_expected
from crosslift.evaluation.task import Message, Outcome, as_written
from crosslift.extras import optional
from crosslift.languages.language import Language

METRICS = ("exact", "name", "keys", "values", "neutral_values")
PROMPTS = ("bare",)
MAX_TOKENS = 256


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as the corpus holds it: instruction, tools and dialogue are the prompt already.

    Raises:
        EvaluationError: no such form, or no question.
    """
    return as_written(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """All metrics of one answer; "unparsed" where a call is expected and none can be read.

    Raises:
        ValueError: the gold answer is not a call.
    """
    gold = read_expected(answer)
    made = parse_calls(text)
    if not gold:  # nothing offered helps: silence, or prose, is right
        return Outcome(values=dict.fromkeys(METRICS, float(not made)), status="scored", parsed=_shown(made))
    if not made:
        return Outcome(values=dict.fromkeys(METRICS, 0.0), status="unparsed")
    pairs = _pair(gold, made)
    name = sorted(right.name for right in gold) == sorted(call.name for call in made)
    keys = len(gold) == len(made) and all(call is not None and right.has_keys(call) for right, call in pairs)
    hits = [hit for right, call in pairs for hit in right.hits(call)]
    neutral = [
        call is not None and accepted.holds(call, key, any_digits=True)
        for right, call in pairs
        for key, accepted in right.arguments.items()
        if accepted.neutral
    ]
    values = {
        "exact": float(name and keys and all(hits) and all(call and call.name == right.name for right, call in pairs)),
        "name": float(name),
        "keys": float(keys),
        "values": _share(hits),
        "neutral_values": _share(neutral),
    }
    return Outcome(values=values, status="scored", parsed=_shown(made))


def _shown(calls: list[Call]) -> str:
    return f"[{', '.join(map(str, calls))}]"


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else 1.0


def _pair(gold: list[Expected], made: list[Call]) -> list[tuple[Expected, Call | None]]:
    """Each gold call with the made call that has most in common with it, taken together; None where calls lack."""
    with optional():
        from scipy.optimize import linear_sum_assignment

    likeness = np.array([[_likeness(right, call) for call in made] for right in gold])
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [(right, made[chosen[index]] if index in chosen else None) for index, right in enumerate(gold)]


def _likeness(right: Expected, call: Call) -> float:
    """Name first, then values, then keys; a call that is right in everything beats all others."""
    hits = right.hits(call)
    return 4 * (right.name == call.name) + 2 * _share(hits) + right.has_keys(call)
