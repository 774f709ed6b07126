"""API calling in a dialogue (API-Bank, arXiv 2304.08244).

arXiv 2604.13286 reports exact match: the name, all keys and all values. In a translated test set exact match mixes two
skills, because values were translated "when appropriate", and a correct call with another translation counts as wrong.
Four further metrics separate them:

    exact           1 if the calls equal the gold calls (in any order, with keys in any order)
    name            1 if the names of the calls equal those of the gold calls
    keys            1 if every call has the keys of its gold call
    values          share of the gold arguments with a correct value
    neutral_values  the same over language-neutral arguments: numbers, dates, ids (`calls.is_neutral`); the digits of
                    all scripts are equal

The metrics are independent: a wrong name affects `name` but not `values`. Gold calls and predicted calls are matched by
maximum similarity (the assignment problem). Arguments of a gold call without a matched call are wrong. If the gold
calls have no arguments, `values` is 1 for any call, and `neutral_values` is 1 if no gold argument is language-neutral:
a null would mean "error", and dropping the row would give this metric another set of items.

`expected_calls` defines gold answers and the comparison of values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosslift.evaluation.calls import Call, parse_calls
from crosslift.evaluation.expected_calls import ExpectedCall, parse_expected_calls
from crosslift.evaluation.task import Message, Outcome, present_unchanged
from crosslift.extras import optional
from crosslift.languages.language import Language

METRICS = ("exact", "name", "keys", "values", "neutral_values")
PROMPTS = ("bare",)
MAX_TOKENS = 256


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus, which already contains the instruction, the tools and the dialogue.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one completion; the status is "unparsed" if a call is expected and none can be parsed.

    Raises:
        ValueError: the gold answer is invalid.
    """
    gold = parse_expected_calls(answer)
    made = parse_calls(text)
    if not gold:  # no tool applies: any completion without a call is correct
        return Outcome(values=dict.fromkeys(METRICS, float(not made)), status="scored", parsed=_shown(made))
    if not made:
        return Outcome(values=dict.fromkeys(METRICS, 0.0), status="unparsed")
    pairs = _pair(gold, made)
    name = sorted(right.name for right in gold) == sorted(call.name for call in made)
    keys = len(gold) == len(made) and all(call is not None and right.has_keys(call) for right, call in pairs)
    hits = [hit for right, call in pairs for hit in right.match_arguments(call)]
    neutral = [
        call is not None and accepted.accepts(call, key, any_digits=True)
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


def _pair(gold: list[ExpectedCall], made: list[Call]) -> list[tuple[ExpectedCall, Call | None]]:
    """Match gold calls with predicted calls by maximum total similarity; None for gold calls without a match."""
    with optional():
        from scipy.optimize import linear_sum_assignment

    likeness = np.array([[_likeness(right, call) for call in made] for right in gold])
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [(right, made[chosen[index]] if index in chosen else None) for index, right in enumerate(gold)]


def _likeness(right: ExpectedCall, call: Call) -> float:
    """Similarity of two calls: the name counts most, then the values, then the keys."""
    hits = right.match_arguments(call)
    return 4 * (right.name == call.name) + 2 * _share(hits) + right.has_keys(call)
