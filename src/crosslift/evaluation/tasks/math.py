"""Mathematical word problems with a numerical answer (GSM8K, MGSM).

The published rule takes the last number of the output. It fails on "The answer is 42 (that is, 6 boxes of 7)." and if
a model adds the year. A number after an explicit answer marker therefore has priority: `\\boxed{}`, `####` (GSM8K), or
a phrase ("The answer is", "Answer:") in the language of the question or in English, for models trained on English
solutions. Without a marker the answer is the last number that is not an operand: "18. Check: 3 x 6" gives 18. A numeral
in characters or words (十八, 삼십오, "eighteen") counts if it follows a marker, or if it ends a text without digits
(see `spelled`). Numbers are compared by value, in every reading that the notation allows (see `numerals`), and never by
prefix: "4" is not "42".

Prompt formats: "bare" is the question alone, "mcot" the format of mCoT-MATH, which arXiv 2604.13286 uses for training
and evaluation. A truncated completion counts as wrong even if it contains the correct number, because the model might
still have changed its answer.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache

from crosslift.evaluation.task import (
    LANGUAGE_METRIC,
    Message,
    Outcome,
    check_prompt,
    last_question,
    rewrite_question,
    words_of,
)
from crosslift.languages.identify import in_language, is_likely
from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language
from crosslift.languages.numbers.numerals import Number, fold, numbers, parse, parse_character_numeral, write
from crosslift.languages.numbers.spelled import numeral_at_end, numeral_at_start

METRICS = ("accuracy", LANGUAGE_METRIC)
PROMPTS = ("bare", "mcot")
MAX_TOKENS = 512

_MCOT = "Question:\n{question}\nAnswer:\n{step_by_step}\n"


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation with its last user message in a published prompt format.

    Raises:
        EvaluationError: the prompt format is unknown or has no words in the language, or there is no user message.
    """
    check_prompt(prompt, PROMPTS)
    question = messages[last_question(messages)]["content"]
    if prompt == "mcot":
        question = _MCOT.format(question=question, step_by_step=words_of(language, "step_by_step", prompt))
    return rewrite_question(messages, question)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one completion: `accuracy` is 1 if the final number equals the gold answer.

    Raises:
        ValueError: the gold answer is not a number.
    """
    gold = parse(answer)
    spoken = float(in_language(text, language))
    found = final_number(text, language)
    if found is None:
        return Outcome(values={"accuracy": 0.0, LANGUAGE_METRIC: spoken}, status="unparsed")
    accuracy = float(gold in found.readings)
    return Outcome(values={"accuracy": accuracy, LANGUAGE_METRIC: spoken}, status="scored", parsed=write(found.value))


def unparsed_reason(text: str, language: Language) -> str:
    """Why a completion has no final number, as the end of the sentence "the answer is ..."."""
    if _signs(language).search(fold(text)):
        return "announced, but no number follows the announcement"
    return "without a number, and without a phrase that announces an answer"


def final_number(text: str, language: Language) -> Number | None:
    """Extract the final answer of a completion; None if it contains no number."""
    text = fold(text)
    for tail, tongues in _tails(text, language):
        number = _committed(tail, language, tongues)
        if number is not None:
            return number
    text = text[-_LONGEST:]
    found = numbers(text, language)
    if not found:
        return _bare_numeral(text, language) or _last_words(text, language)
    results = [number for number in found if not _is_operand(text, number)]
    return (results or found)[-1]


_OPERATORS = (*"-+*/×÷·x", "\\times", "\\cdot", "\\div")


def _is_operand(text: str, number: Number) -> bool:
    """Whether the number is an operand of an expression without a result, as in "18. Check: 3 x 6"."""
    return _behind_operator(text, number.start) or bool(
        _OPERATOR.match(text, number.end) and not _EQUALS.match(text, number.end)
    )


def _behind_operator(text: str, place: int) -> bool:
    """Whether an operator with an operand precedes this position. The text is read backwards, because a pattern would
    search from its beginning for each number."""
    place = _before_space(text, place)
    operator = next((one for one in _OPERATORS if text.endswith(one, 0, place)), None)
    if operator is None:
        return False
    place = _before_space(text, place - len(operator))
    return place > 0 and (text[place - 1].isdecimal() or text[place - 1] in ")%")


def _before_space(text: str, place: int) -> int:
    while place and text[place - 1].isspace():
        place -= 1
    return place


_EQUALS = re.compile(r"\s*=")


def _bare_numeral(text: str, language: Language) -> Number | None:
    """The numeral of a last line that consists of a numeral in characters and a classifier: 三十六个。"""
    line = text.strip().rpartition("\n")[2].strip(" .。*")
    found = parse_character_numeral(line, language)
    return found if found and len(line) - found.end <= _MAX_COUNTER else None


_MAX_COUNTER = 3
"""Maximum length in characters of a classifier or unit after a numeral."""


def _last_words(text: str, language: Language) -> Number | None:
    """The numeral in words that ends a text in the language, or in English for models that answer in it."""
    for tongue in dict.fromkeys((language, find_language("en"))):
        whole = numeral_at_start(text.rstrip().rpartition("\n")[2].lstrip(_OPENING), tongue)
        value = numeral_at_end(text, tongue)
        if value is not None and (in_language(text, tongue) if whole else is_likely(text, tongue)):
            return Number(readings=(value,), start=0, end=len(text))
    return None


_LONGEST = 50_000
"""Characters behind a sign, or at the end of a text without one, in which a number is looked for."""
_MAX_SIGNS = 50
"""Maximum number of answer markers that are considered, from the last one backwards."""


def _tails(text: str, language: Language) -> Iterator[tuple[str, tuple[Language, ...]]]:
    """The text after each answer marker, the last one first, because a model may correct its answer, with the languages
    in which a number may be spelled there: only English after an English phrase ("on" is 10 in Turkish)."""
    english = find_language("en")
    own = _phrases(language)
    for match in reversed(deque(_signs(language).finditer(text), maxlen=_MAX_SIGNS)):
        tail = text[match.end() : match.end() + _LONGEST]
        phrase = match.group().casefold()
        only_english = phrase in _phrases(english) and phrase not in own
        tongues = (english,) if only_english else tuple(dict.fromkeys((language, english)))
        yield _inside_braces(tail) if match.group().endswith("{") else tail, tongues


@cache
def _phrases(language: Language) -> frozenset[str]:
    return frozenset(fold(cue).casefold() for cue in (language.answer_cue, *language.further_cues))


@cache
def _signs(language: Language) -> re.Pattern[str]:
    spoken = (language, find_language("en"))
    cues = {cue for tongue in spoken for cue in (tongue.answer_cue, *tongue.further_cues)}
    words = {word for tongue in spoken for word in tongue.answer_words}
    cues, words = cues - {""}, words - {""}
    signs = [
        r"\\boxed\s*\{",
        "####",
        *(rf"{re.escape(fold(word))}\W{{0,4}}[:=]" for word in sorted(words, key=len, reverse=True)),
        *(re.escape(fold(cue)) for cue in sorted(cues, key=len, reverse=True)),
    ]
    return re.compile("|".join(signs), re.IGNORECASE)


def _inside_braces(tail: str) -> str:
    depth = 1
    for place, character in enumerate(tail):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return tail[:place]
    return tail


_OPENING = " \t\n:*_`$¥€£「『“\"'("
_OPERATOR = re.compile(r"\s*(?:[-+*/×÷·=]|x(?=\s*\d)|\\times|\\cdot|\\div)")


def _committed(tail: str, language: Language, tongues: Sequence[Language]) -> Number | None:
    """The first number after a marker, or the result if an equation begins there: "is 3 × 14 = 42 apples" gives 42."""
    found = numbers(tail, language)
    opening = len(tail) - len(tail.lstrip(_OPENING))
    word = parse_character_numeral(tail[opening:], language)
    if word is not None and (not found or word.end > 1) and not (found and found[0].start <= opening):
        return word
    if not found or found[0].start > opening:
        for tongue in tongues:
            spelled = numeral_at_start(tail[opening : opening + _LONGEST_SENTENCE], tongue)
            if spelled is not None:
                value, end = spelled
                return Number(readings=(value,), start=opening, end=opening + end)
    if not found:
        return None
    line = tail[: tail.find("\n", found[0].start)] if "\n" in tail[found[0].start :] else tail
    last_equals = line.rfind("=")
    if last_equals >= found[0].end and _OPERATOR.match(line, found[0].end):
        return next((number for number in found if number.start > last_equals), found[0])
    return found[0]


_LONGEST_SENTENCE = 400
"""Characters of a sentence that begins with a numeral in words."""
