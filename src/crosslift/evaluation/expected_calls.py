"""Gold answers of API calling: the expected calls and the accepted values of their arguments.

A gold answer is either a written call, `[Order(item='tea', count='5')]`, with one correct value per argument, compared
without types; or the possible answers of BFCL (Berkeley function-calling leaderboard) in JSON,

    [{"order": {"item": ["tea", "green tea"], "count": [5], "unit": ["cups", ""]}}]

with a list of accepted values per argument. An argument is optional if its list is empty or contains "". Types are
compared as in BFCL's checker: a float accepts an integer, an integer accepts no float, and there is no other
conversion. Strings are compared without case, spaces and the characters ,./-_*^. An object has a list of accepted
values for each key. `[]` expects no call.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from crosslift.evaluation.calls import Call, canonical, fold_neutral, is_neutral, parse_calls
from crosslift.untrusted.json_text import parse_json


@dataclass(frozen=True, kw_only=True)
class AcceptedValues:
    """The accepted values of one argument."""

    values: tuple[Any, ...]
    typed: bool
    """True: JSON values, compared with their types. False: one value in canonical form."""
    optional: bool = False
    """Whether the argument may be omitted."""

    @property
    def neutral(self) -> bool:
        """Whether the value is language-neutral (see `calls.is_neutral`)."""
        return bool(self.values) and is_neutral(canonical(str(self.values[0])) if self.typed else self.values[0])

    def accepts(self, call: Call, key: str, *, any_digits: bool = False) -> bool:
        """Whether the call has an accepted value for the argument `key`.

        Args:
            call: the predicted call.
            key: name of the argument.
            any_digits: treat the digits of all scripts as equal.
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
class ExpectedCall:
    """One expected call."""

    name: str
    arguments: dict[str, AcceptedValues]

    def has_keys(self, call: Call) -> bool:
        """Whether the call has all required keys and no unknown one."""
        given = {key for key, _ in call.arguments}
        return given <= self.arguments.keys() and all(
            key in given or accepted.optional for key, accepted in self.arguments.items()
        )

    def match_arguments(self, call: Call | None) -> list[bool]:
        """For each expected argument, whether the call has an accepted value; all False without a call."""
        return [call is not None and accepted.accepts(call, key) for key, accepted in self.arguments.items()]


def parse_expected_calls(answer: str) -> list[ExpectedCall]:
    """Parse the expected calls of a gold answer.

    Raises:
        ValueError: the answer is neither a written call nor a list of possible answers.
    """
    if answer.strip().startswith(("[{", "[]")):
        return _possible_answers(answer)
    calls = parse_calls(answer)
    if not calls:
        raise ValueError(f"{answer!r} is not an API call. Write gold answers like [Name(key='value')].")
    return [
        ExpectedCall(
            name=call.name,
            arguments={key: AcceptedValues(values=(value,), typed=False) for key, value in call.arguments},
        )
        for call in calls
    ]


def _possible_answers(answer: str) -> list[ExpectedCall]:
    try:
        found = parse_json(answer)
        return [
            ExpectedCall(
                name=name,
                arguments={
                    key: AcceptedValues(values=tuple(values), typed=True, optional=not values or "" in values)
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
