"""What calls a gold answer accepts.

A gold answer is a call in writing, `[Order(item='tea', count='5')]`, where every value has one right form and types do
not count; or the possible answers of BFCL (Berkeley function-calling leaderboard) as JSON,

    [{"order": {"item": ["tea", "green tea"], "count": [5], "unit": ["cups", ""]}}]

where each argument lists what is accepted; "" among it, or nothing, means that it may be left out. Types count as in
BFCL's checker: a float accepts whole numbers, an integer no float, nothing else changes its type; texts are compared
without case, spaces and the marks ,./-_*^; an object in a value holds a list of accepted values per key again. `[]`
expects no call at all.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from crosslift.evaluation.calls import Call, canonical, fold_neutral, is_neutral, parse_calls
from crosslift.untrusted.json_text import parse_json


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What one argument may be."""

    values: tuple[Any, ...]
    typed: bool
    """Values of JSON with their types; else one canonical value."""
    optional: bool = False

    @property
    def neutral(self) -> bool:
        """Is it the same in every language?"""
        return bool(self.values) and is_neutral(canonical(str(self.values[0])) if self.typed else self.values[0])

    def holds(self, call: Call, key: str, *, any_digits: bool = False) -> bool:
        """Does the call give an accepted value?

        Args:
            any_digits: digits of all scripts are equal.
        """
        written = dict(call.arguments)
        if key not in written:
            return self.optional
        if self.typed:
            given = call.typed[key]
            given = fold_neutral(given) if any_digits and isinstance(given, str) else given
            return any(_matches(given, value) for value in self.values) or (self.optional and given in ("", []))
        (value,) = self.values
        return bool(
            fold_neutral(written[key]) == fold_neutral(value) if any_digits and self.neutral else written[key] == value
        )


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One call that is expected."""

    name: str
    arguments: dict[str, Accepted]

    def has_keys(self, call: Call) -> bool:
        """All keys that must be there and none that is unknown?"""
        given = {key for key, _ in call.arguments}
        return given <= self.arguments.keys() and all(
            key in given or accepted.optional for key, accepted in self.arguments.items()
        )

    def hits(self, call: Call | None) -> list[bool]:
        """Argument by argument, whether the value is accepted; nothing is where there is no call."""
        return [call is not None and accepted.holds(call, key) for key, accepted in self.arguments.items()]


def read_expected(answer: str) -> list[Expected]:
    """The calls that a gold answer expects.

    Raises:
        ValueError: it is neither a call nor possible answers.
    """
    if answer.strip().startswith(("[{", "[]")):
        return _possible_answers(answer)
    calls = parse_calls(answer)
    if not calls:
        raise ValueError(f"{answer!r} is not an API call. Write gold answers like [Name(key='value')].")
    return [
        Expected(
            name=call.name,
            arguments={key: Accepted(values=(value,), typed=False) for key, value in call.arguments},
        )
        for call in calls
    ]


def _possible_answers(answer: str) -> list[Expected]:
    try:
        found = parse_json(answer)
        return [
            Expected(
                name=name,
                arguments={
                    key: Accepted(values=tuple(values), typed=True, optional=not values or "" in values)
                    for key, values in arguments.items()
                    if isinstance(values, list) or _refuse(answer)
                },
            )
            for call in found
            for name, arguments in call.items()
        ]
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f'{answer!r:.200} is not a list of possible answers. Write them like [{{"name": {{"key": [1, 2]}}}}].'
        ) from error


def _refuse(answer: str) -> bool:
    raise ValueError(answer)


_IGNORED = re.compile(r"[ ,./\-_*^]")


def _standard(text: str) -> str:
    return _IGNORED.sub("", unicodedata.normalize("NFC", text)).lower().replace("'", '"')


def _matches(given: Any, accepted: Any) -> bool:
    if isinstance(given, bool) or isinstance(accepted, bool) or accepted is None:
        return type(given) is type(accepted) and given == accepted
    match accepted:
        case str():
            return isinstance(given, str) and _standard(given) == _standard(accepted)
        case int():
            return isinstance(given, int) and given == accepted
        case float():
            return isinstance(given, (int, float)) and given == accepted
        case list():
            same = isinstance(given, (list, tuple)) and len(given) == len(accepted)
            return same and all(map(_matches, given, accepted))
        case _:
            return isinstance(given, dict) and _matches_object(given, accepted)


def _matches_object(given: dict[str, Any], accepted: dict[str, list[Any]]) -> bool:
    return given.keys() <= accepted.keys() and all(
        any(_matches(given[key], value) for value in values) if key in given else "" in values
        for key, values in accepted.items()
    )
