"""Mathematical word problems with a number for an answer (GSM8K, MGSM).

The published rule is "the last number of the output". It breaks on "The answer is 42 (that is, 6 boxes of 7)." and on a
model that adds the year, so a number behind an explicit sign of an answer goes first: `\\boxed{}`, `####` (GSM8K), or
a cue ("The answer is", "Answer:") in the language of the question or in English, for models trained on English
solutions. Without any of them the last number counts that is not an operand: "18. Check: 3 x 6" ends in 18. A numeral
in characters (十八, 삼십오) counts where it follows a sign or is all that the last line says. Numbers are compared by
value, in any reading that the notation allows (see `numerals`); prefixes never count, "4" is not "42".

Prompt forms: "bare" is the question as it stands, "mcot" the form of mCoT-MATH that arXiv 2604.13286 trains and tests
with. A truncated answer counts as wrong even where the right number stands in it already: which number a model stands
by is known only when it has stopped.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache

from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language
from crosslift.languages.numerals import Number, fold, numbers, parse, spelled, write

METRICS = ("accuracy", LANGUAGE_METRIC)
PROMPTS = ("bare", "mcot")
MAX_TOKENS = 512

_MCOT = "Question:\n{question}\nAnswer:\n{step_by_step}\n"


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation with its last question in a published prompt form.

    Raises:
        EvaluationError: no such form, or no question.
    """
    check_prompt(prompt, PROMPTS)
    question = messages[last_question(messages)]["content"]
    if prompt == "mcot":
        question = _MCOT.format(question=question, step_by_step=language.step_by_step)
    return rewrite_question(messages, question)


def score(text: str, answer: str, language: Language) -> Outcome:
    """`accuracy` 1 where the final number equals the gold answer, and `in_language`.

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


def final_number(text: str, language: Language) -> Number | None:
    """The number that the answer commits to; None where the text holds no number."""
    text = fold(text)
    for tail in _tails(text, language):
        number = _committed(tail, language)
        if number is not None:
            return number
    text = text[-_LONGEST:]
    found = numbers(text, language)
    if not found:
        return _bare_numeral(text, language)
    results = [number for number in found if not _is_operand(text, number)]
    return (results or found)[-1]


_OPERATORS = (*"-+*/×÷·x", "\\times", "\\cdot", "\\div")


def _is_operand(text: str, number: Number) -> bool:
    """Is something multiplied by the number, added to it ..., and the result left out? "18. Check: 3 x 6" ends so."""
    return _behind_operator(text, number.start) or bool(
        _OPERATOR.match(text, number.end) and not _EQUALS.match(text, number.end)
    )


def _behind_operator(text: str, place: int) -> bool:
    """Does an operator with something before it stand before this place? Read backwards: a pattern would begin at the
    text's beginning for each of its numbers."""
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
    """A last line that is nothing but a numeral in characters and what is counted: 三十六个。"""
    line = text.strip().rpartition("\n")[2].strip(" .。*")
    found = spelled(line, language)
    return found if found and len(line) - found.end <= _MAX_COUNTER else None


_MAX_COUNTER = 3
"""Characters of a classifier or unit behind a numeral."""


_LONGEST = 50_000
"""Characters behind a sign, or at the end of a text without one, in which a number is looked for."""
_MAX_SIGNS = 50
"""So many signs of an answer are looked behind, from the last one: of a text that is nothing but signs not all."""


def _tails(text: str, language: Language) -> Iterator[str]:
    """What stands behind each sign of an answer, the last sign first: an answer may be corrected on the way."""
    for match in reversed(deque(_signs(language).finditer(text), maxlen=_MAX_SIGNS)):
        tail = text[match.end() : match.end() + _LONGEST]
        yield _inside_braces(tail) if match.group().endswith("{") else tail


@cache
def _signs(language: Language) -> re.Pattern[str]:
    spoken = (language, find_language("en"))
    cues = {cue for tongue in spoken for cue in (tongue.answer_cue, *tongue.further_cues)}
    words = {word for tongue in spoken for word in tongue.answer_words}
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


def _committed(tail: str, language: Language) -> Number | None:
    """The first number, or the result where an equation begins there: "is 3 × 14 = 42 apples" commits to 42."""
    found = numbers(tail, language)
    opening = len(tail) - len(tail.lstrip(_OPENING))
    word = spelled(tail[opening:], language)
    if word is not None and (not found or word.end > 1) and not (found and found[0].start <= opening):
        return word
    if not found:
        return None
    line = tail[: tail.find("\n", found[0].start)] if "\n" in tail[found[0].start :] else tail
    last_equals = line.rfind("=")
    if last_equals >= found[0].end and _OPERATOR.match(line, found[0].end):
        return next((number for number in found if number.start > last_equals), found[0])
    return found[0]
