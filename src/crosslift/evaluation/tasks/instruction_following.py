"""Verifiable instructions in the style of IFEval (arXiv 2311.07911): lists of words under constraints.

The gold answer is a JSON object of constraints. A key that is null or absent sets no constraint:

    words      the words of the topic: every word of the list is one of them, without repetition
    number     number of words
    layout     "commas": in one line, separated by commas; "numbered": one word per line, numbered from 1
    emphasis   "capitals", or "brackets" around each word
    first      first word of the list
    without    a word that the list must not contain

Metrics:

    constraints       share of satisfied constraints (instruction-level accuracy); the primary metric, because small
                      models rarely satisfy all constraints of a prompt
    all_constraints   1 if every constraint is satisfied (prompt-level accuracy, strict)
    in_language

An answer without any word of the topic satisfies no constraint, because any word at all would satisfy a layout. Formats
without a constraint are free: spaces, full-width and Arabic commas, "1." or "1)", case, a final full stop.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import regex

from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, present_unchanged
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.untrusted.json_text import parse_json

METRICS = ("constraints", "all_constraints", LANGUAGE_METRIC)
PROMPTS = ("bare",)
MAX_TOKENS = 128

_NUMBER = regex.compile(r"^\s*(\p{Nd}+)\s*[.)．）、:]\s*")
_COMMA = regex.compile(r"[,，、،﹐､]")
_BRACKETS = regex.compile(r"^[(（\[［【](.*)[)）\]］】]$")


@dataclass(frozen=True, kw_only=True)
class WordList:
    """A parsed answer."""

    words: tuple[str, ...]
    """The words as written, without numbers and separators."""
    layout: Literal["commas", "numbered", "lines"]


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus, which already contains the instructions.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one completion; the status is "unparsed" if it contains no word.

    Raises:
        ValueError: the gold answer is not a JSON object of constraints.
    """
    demands = _demands(answer)
    spoken = float(in_language(text, language))
    found = parse(text)
    if found is None:
        return Outcome(values={**dict.fromkeys(METRICS, 0.0), LANGUAGE_METRIC: spoken}, status="unparsed")
    topic = {_folded(word) for word in demands.get("words", ())}
    if topic and not topic & {_folded(word) for word in found.words}:
        met = [False] * len(demands)
    else:
        met = [CHECKS[name](found, demand) for name, demand in demands.items()]
    values = {"all_constraints": float(all(met)), "constraints": sum(met) / len(met), LANGUAGE_METRIC: spoken}
    return Outcome(values=values, status="scored", parsed=" | ".join(found.words))


def parse(text: str) -> WordList | None:
    """Parse the list of words; None if the text contains no letter."""
    lines = [line.strip() for line in unicodedata.normalize("NFC", text).splitlines() if line.strip()]
    if not any(regex.search(r"\p{L}", line) for line in lines):
        return None
    numbers = [_NUMBER.match(line) for line in lines]
    if all(numbers):
        counted = [int(match[1]) for match in numbers if match]
        words = tuple(_bare(_NUMBER.sub("", line)) for line in lines)
        return WordList(words=words, layout="numbered" if counted == list(range(1, len(lines) + 1)) else "lines")
    if len(lines) > 1:
        return WordList(words=tuple(map(_bare, lines)), layout="lines")
    words = tuple(word for part in _COMMA.split(lines[0]) if (word := _bare(part)))
    return WordList(words=words, layout="commas")


def _bare(word: str) -> str:
    return word.strip().rstrip(".。।؟!").strip()


def _folded(word: str) -> str:
    inside = _BRACKETS.match(word)
    return unicodedata.normalize("NFKC", inside[1] if inside else word).strip().casefold()


def _of_topic(found: WordList, words: Sequence[str]) -> bool:
    said = [_folded(word) for word in found.words]
    return len(set(said)) == len(said) and set(said) <= {_folded(word) for word in words}


def _emphasised(found: WordList, how: str) -> bool:
    if how == "brackets":
        return all(_BRACKETS.match(word) for word in found.words)
    return all(word == word.upper() and word != word.lower() for word in found.words)


CHECKS: Mapping[str, Callable[[WordList, Any], bool]] = {
    "words": _of_topic,
    "number": lambda found, number: len(found.words) == number,
    "layout": lambda found, layout: found.layout == layout,
    "emphasis": _emphasised,
    "first": lambda found, word: _folded(found.words[0]) == _folded(word),
    "without": lambda found, word: _folded(word) not in map(_folded, found.words),
}


def _demands(answer: str) -> dict[str, Any]:
    try:
        demands = parse_json(answer)
    except ValueError:
        demands = None
    if not isinstance(demands, dict) or set(demands) - set(CHECKS) or not any(v is not None for v in demands.values()):
        raise ValueError(f"{answer!r} is not a JSON object of constraints. Known keys: {', '.join(CHECKS)}.")
    return {name: demand for name, demand in demands.items() if demand is not None}
