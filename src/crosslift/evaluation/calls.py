"""Parser of API calls: `API-Request: [Name(key1='value1', key2='value2')]`, or JSON (`json_calls`).

Python's parser cannot be used: published gold calls nest quotes without escapes (`attendees='['John', 'Jane']'` in
API-Bank), and models omit quotes (`city=New York`). This parser only determines where a value ends: at the quote, or
the end of unquoted text, that is followed by `, key=` or by the closing parenthesis. Nothing is executed; only lists
and dictionaries are evaluated, by `ast.literal_eval`.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from dataclasses import dataclass, field
from typing import Any

from crosslift.evaluation.json_calls import find_calls

PREFIX = "API-Request:"

_CALL = re.compile(r"([^\W\d][\w.]*)\s*\(")
_KEY = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)\s*")
_BEHIND_VALUE = re.compile(r"\s*+(?:,\s*+(?=[^\W\d]\w*+\s*+=)|,?\s*+(?=\)))")
_SPACE = re.compile(r"\s*+")
_END = re.compile(r"\s*\)")
_OPENING, _CLOSING = "([{", ")]}"
_BRACKET = re.compile(r"\[\s*+(?=[^\W\d][\w.]*+\s*+\()")
_LINE_START = re.compile(r"(?:^|\n)[ \t]*(?=[^\W\d][\w.]*\()")


MAX_WORK = 2_000_000
"""Characters that are looked at for one answer, over all places where a call may begin: in half a second. An answer of
5,000 characters takes 10,000."""


class _Reading:
    """A text, and how much may still be looked at of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = MAX_WORK

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise _TooMuch


class _TooMuch(Exception):
    """The text begins calls over and over and ends none."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A parsed API call."""

    name: str
    arguments: tuple[tuple[str, Any], ...]
    """Keys and values in the written order; values in canonical form: strings, or lists and dictionaries of strings."""
    literals: tuple[Any, ...] = field(default=(), compare=False)
    """The values with their written types (5 and '5' differ), in the order of `arguments`."""

    @property
    def typed(self) -> dict[str, Any]:
        """Key -> value with its written type, or in canonical form if the type is unknown."""
        names = [key for key, _ in self.arguments]
        return dict(zip(names, self.literals or [value for _, value in self.arguments], strict=True))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.arguments)})"


def parse_calls(text: str) -> list[Call]:
    """Parse the calls of a completion.

    Calls are searched after the last `API-Request:`, else in JSON at the beginning of the text, else at the first
    `[Name(`, else at the first line that begins with `Name(`. Text after the closing bracket is ignored, because models
    continue with an invented result. Calls with positional arguments or repeated keys are invalid, and so
    is a text that is nested too deep or takes more than MAX_WORK.

    Returns:
        The calls in their written order; empty if there is none.
    """
    try:
        return _parsed(_Reading(text))
    except (_TooMuch, RecursionError):
        return []


def _parsed(reading: _Reading) -> list[Call]:
    text = reading.text
    if PREFIX in text:
        place = text.rindex(PREFIX) + len(PREFIX)
        return _calls_at(reading, place) or _from_json(text[place:])
    if calls := _from_json(text):
        return calls
    for match in _BRACKET.finditer(text):
        if calls := _calls_at(reading, match.start()):
            return calls
    for match in _LINE_START.finditer(text):
        if calls := _calls_at(reading, match.end()):
            return calls
    return []


def _from_json(text: str) -> list[Call]:
    return [
        Call(
            name=name,
            arguments=tuple((key, canonical_value(value)) for key, value in arguments.items()),
            literals=tuple(arguments.values()),
        )
        for name, arguments in find_calls(text)
    ]


def _calls_at(reading: _Reading, place: int) -> list[Call]:
    """Parse `[call, call]` or a single call at this position; empty if it is invalid or incomplete."""
    text = reading.text
    place = _skip(text, place)
    bracketed = text[place : place + 1] == "["
    place = _skip(text, place + bracketed)
    calls: list[Call] = []
    while True:
        read = _call_at(reading, place)
        if read is None:
            return []
        call, place = read
        calls.append(call)
        if not bracketed:
            return calls
        place = _skip(text, place)
        if text[place : place + 1] == "]":
            return calls
        if text[place : place + 1] != ",":
            return []
        place = _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n`":
        place += 1
    return place


def _call_at(reading: _Reading, place: int) -> tuple[Call, int] | None:
    text = reading.text
    opening = _CALL.match(text, place)
    if opening is None:
        return None
    place = opening.end()
    arguments: dict[str, _Written] = {}
    while not (closing := _END.match(text, place)):
        key = _KEY.match(text, place)
        value = _value_at(reading, key.end()) if key else None
        if key is None or value is None or key.group(1) in arguments:
            return None
        arguments[key.group(1)], place = value
    return Call(
        name=opening.group(1),
        arguments=tuple((key, canonical(value.text)) for key, value in arguments.items()),
        literals=tuple(_literal(value) for value in arguments.values()),
    ), closing.end()


@dataclass(frozen=True, kw_only=True)
class _Written:
    text: str
    quoted: bool


def _literal(value: _Written) -> Any:
    if value.quoted:
        return value.text
    if value.text in _WORDS:
        return _WORDS[value.text]
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(value.text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return value.text


_WORDS = {"true": True, "false": False, "null": None}


def _value_at(reading: _Reading, place: int) -> tuple[_Written, int] | None:
    """The value that begins here, and the position after it and its comma."""
    quote = reading.text[place : place + 1]
    return _quoted(reading, place, quote) if quote in ("'", '"') else _bare(reading, place)


def _quoted(reading: _Reading, place: int, quote: str) -> tuple[_Written, int] | None:
    """A quoted value. If it contains a list with balanced brackets, it ends after the closing bracket."""
    opens = reading.text[place + 1 : place + 2] in tuple(_OPENING)
    if opens and (found := _closing_quote(reading, place, quote, balanced=True)):
        return found
    return _closing_quote(reading, place, quote, balanced=False)


def _closing_quote(reading: _Reading, place: int, quote: str, *, balanced: bool) -> tuple[_Written, int] | None:
    text, end, depth = reading.text, place + 1, 0
    while end < len(text):
        reading.spend(1)
        if text[end] == "\\":
            end += 2
            continue
        depth += balanced * ((text[end] in _OPENING) - (text[end] in _CLOSING))
        if text[end] == quote and not depth and (behind := _BEHIND_VALUE.match(text, end + 1)):
            inner = re.sub(r"\\(['\"\\])", r"\1", text[place + 1 : end])
            return _Written(text=inner, quoted=True), behind.end()
        end += 1
    return None


def _bare(reading: _Reading, place: int) -> tuple[_Written, int] | None:
    """An unquoted value, up to `, key=` or `)` outside its own brackets and quotes."""
    text, depth, quote, behind_space = reading.text, 0, "", 0
    for end in range(place, len(text)):
        character = text[end]
        reading.spend(1)
        if quote:
            quote = "" if character == quote else quote
        elif depth and character in "'\"":
            quote = character
        elif character in _OPENING:
            depth += 1
        elif depth and character in _CLOSING:
            depth -= 1
        elif not depth and end >= behind_space:
            if behind := _BEHIND_VALUE.match(text, end):
                written = text[place:end].strip()
                return (_Written(text=written, quoted=False), behind.end()) if written else None
            # What does not end a value behind white space does not from inside it either.
            behind_space = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    return None


def canonical(text: str) -> Any:
    """Canonical form of a written value: `5` and `'5'` are equal, and so are `['a', 'b']` and `"['a','b']"`.

    Strings are normalized to NFC and stripped; case is preserved. Lists, tuples, sets and dictionaries become lists and
    dictionaries of strings.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if text[:1] in ("[", "{", "("):
        try:
            with warnings.catch_warnings(action="ignore"):  # about invalid escapes in generated text
                return _as_text(ast.literal_eval(text))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return text  # plain text that begins with a bracket
    return text


def canonical_value(value: Any) -> Any:
    """Canonical form of a typed value, as parsed from JSON."""
    return canonical(value) if isinstance(value, str) else _as_text(value)


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_text(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_as_text(element) for element in value]
    if isinstance(value, set):
        return sorted((_as_text(element) for element in value), key=repr)
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip()
    return repr(value)


_NEUTRAL_WORD = re.compile(r"[^\W\d_]*[\d\W_]*\d[\w\W]*|\S+@\S+|\w+://\S+|true|false|none|null|[\W_]+", re.IGNORECASE)


def is_neutral(value: Any) -> bool:
    """Whether a value is language-neutral: numbers, dates, times, ids, addresses; no word consists of letters only.

    "2023-03-25 10:00", "J46801", "john@example.com" and "120/80" are language-neutral; "Room 1", "AAPL" and "new" are
    not. A list or dictionary is language-neutral if all its elements are.
    """
    if isinstance(value, dict):
        return all(is_neutral(element) for element in value.values())
    if isinstance(value, list):
        return all(is_neutral(element) for element in value)
    words = str(value).split()
    return bool(words) and all(_NEUTRAL_WORD.fullmatch(word) for word in words)


def fold_neutral(value: Any) -> Any:
    """Convert the decimal digits of all scripts in a value to ASCII: "৫" becomes "5"."""
    if isinstance(value, dict):
        return {key: fold_neutral(element) for key, element in value.items()}
    if isinstance(value, list):
        return [fold_neutral(element) for element in value]
    return "".join(
        character if (digit := unicodedata.decimal(character, None)) is None else str(digit) for character in str(value)
    )
