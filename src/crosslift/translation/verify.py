"""Verification of translations: placeholders, length, numbers and language.

The reason of a rejection is written for the translation model, because retries include it in the prompt.
"""

from __future__ import annotations

from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.numbers import han
from crosslift.languages.numbers.numerals import fold, numbers, write
from crosslift.translation.protect import PLACEHOLDER, MaskedText, unmask

MAX_FACTOR = 6.0
"""Maximum ratio of the lengths of translation and original, in characters. For comparison, Chinese text has a third of
the length of English, Tamil 1.5 times the length."""
MIN_LENGTH = 20
"""Minimum length in characters, of the longer text, for the length check."""


def verify_translation(
    translation: str, masked: MaskedText, source: Language, target: Language, *, is_complete: bool
) -> tuple[str, str]:
    """Replace the placeholders of a translation and verify it.

    Args:
        translation: the raw translation.
        masked: the text that was translated.
        source: language of the original.
        target: language of the translation.
        is_complete: False if the translation was truncated.

    Returns:
        The translation without placeholders, and the reason of its rejection ("" if it is valid).
    """
    text, reason = unmask(translation.strip(), masked)
    if not is_complete:
        reason = "it was cut off"
    elif not reason:
        reason = _fault(translation.strip(), masked.text, source, target)
    return text, reason


def _fault(translation: str, original: str, source: Language, target: Language) -> str:
    longer, shorter = max(len(translation), len(original)), max(1, min(len(translation), len(original)))
    if not translation:
        return "it is empty"
    if longer > MIN_LENGTH and longer > MAX_FACTOR * shorter:
        return "its length is far from the original's"
    if lost := missing_numbers(original, translation, source, target):
        return f"the numbers {', '.join(lost)} are missing"
    return "" if in_language(translation, target) else f"it is not in {target.name}"


def missing_numbers(original: str, translation: str, source: Language, target: Language) -> list[str]:
    """Numbers of the original that are missing in the translation, compared by value."""
    original, translation = (PLACEHOLDER.sub(" ", text) for text in (original, translation))
    there = {
        value for tongue in (target, source) for number in numbers(translation, tongue) for value in number.readings
    }
    lacking = [number for number in numbers(original, source) if not there & set(number.readings)]
    if lacking and target.script in ("Hans", "Hant", "Jpan", "Kore"):
        there |= han.all_values(fold(translation))
        lacking = [number for number in lacking if not there & set(number.readings)]
    return [write(number.value) for number in lacking]
