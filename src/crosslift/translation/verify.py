"""Is a translation usable? The first reason why it is not, in words that a model can act on."""

from __future__ import annotations

from crosslift.languages import han
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.numerals import fold, numbers, write
from crosslift.translation.protect import MARK, Masked, unmask

MAX_FACTOR = 6.0
"""How many times longer or shorter, in characters, a translation may be: Chinese is a third of English, Tamil 1.5."""
MIN_LENGTH = 20


def verified(
    translation: str, masked: Masked, source: Language, target: Language, *, is_whole: bool
) -> tuple[str, str]:
    """The translation with everything protected in its place, and why it is refused ("" where it is not)."""
    text, reason = unmask(translation.strip(), masked)
    if not is_whole:
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
    """Numbers of the original that the translation lacks, by value."""
    original, translation = (MARK.sub(" ", text) for text in (original, translation))
    there = {
        value for tongue in (target, source) for number in numbers(translation, tongue) for value in number.readings
    }
    lacking = [number for number in numbers(original, source) if not there & set(number.readings)]
    if lacking and target.script in ("Hans", "Hant", "Jpan", "Kore"):
        there |= han.all_values(fold(translation))
        lacking = [number for number in lacking if not there & set(number.readings)]
    return [write(number.value) for number in lacking]
