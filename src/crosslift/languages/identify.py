"""Is an answer in the language of its question?

Fine-tuned models often answer a Swahili question rightly, in English. That is a property of the model worth its own
number, so the test must not confuse it with what any right answer contains: digits, equations, calls and code are
taken out first. Then two stages: the script decides between languages that do not share one, and py3langid between
those that do, choosing among the languages of crosslift only.

In doubt for the model: a text with too little to tell, or a verdict without confidence, counts as in the language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.languages.language import Language, language

MIN_BYTES = 12
"""UTF-8 bytes of letters below which nothing is said: four Han characters, a dozen Latin letters."""
MIN_CONFIDENCE = 0.9
"""Probability, among the languages of the script, that another language must reach to overrule the asked one."""
MIN_KANA_SHARE = 0.1
"""Share of kana among the letters that makes a text in Han characters Japanese."""

RIVALS = ("ar", "bn", "de", "en", "es", "fr", "ja", "ko", "pt", "ru", "sw", "te", "th", "zh")
"""Languages that a model slips into, those of the two studies. Every further one makes short texts harder to tell: who
asks for Malay is better served by "not English" than by a guess between Malay and Indonesian."""

_NEIGHBOURS = {"bar": "de", "gsw": "de"}
"""Languages that py3langid does not know -> the one that their texts are taken for."""

_MIXTURES = {  # ISO 15924 codes that stand for several of Unicode's scripts
    "Jpan": ("HIRAGANA", "KATAKANA", "CJK"),
    "Kore": ("HANGUL", "CJK"),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
}
_NAMES = {  # ISO 15924 -> how Unicode names the characters
    "Latn": "LATIN", "Cyrl": "CYRILLIC", "Grek": "GREEK", "Arab": "ARABIC", "Hebr": "HEBREW", "Deva": "DEVANAGARI",
    "Beng": "BENGALI", "Guru": "GURMUKHI", "Gujr": "GUJARATI", "Orya": "ORIYA", "Taml": "TAMIL", "Telu": "TELUGU",
    "Knda": "KANNADA", "Mlym": "MALAYALAM", "Sinh": "SINHALA", "Thai": "THAI", "Laoo": "LAO", "Mymr": "MYANMAR",
    "Khmr": "KHMER", "Tibt": "TIBETAN", "Geor": "GEORGIAN", "Armn": "ARMENIAN", "Ethi": "ETHIOPIC",
}  # fmt: skip

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)"  # code
    r"|`[^`]*`"
    r"|<<[^<>]*>>"  # GSM8K's calculator
    r"|\\[a-zA-Z]+"  # LaTeX commands
    # What follows begins where a word does, and gives nothing back (*+): on one endless word the time would otherwise
    # grow with the square of its length.
    r"|(?<!\w)\w++://\S+"
    r"|(?<![A-Za-z_])[A-Za-z_][\w.]{0,200}+\([^()]*\)"  # calls
    r"|(?:(?<![A-Za-z])[A-Za-z]++)?\d[A-Za-z\d]*"  # digits and what is written on to them: "5kg", "x2"
    r"|(?<![^\W\d_])[A-Za-z](?![^\W\d_])",  # single Latin letters: variables
    re.DOTALL,
)


def in_language(text: str, asked: Language) -> bool:
    """False only where the prose of the text is clearly in another language.

    Raises:
        CrossliftError: two languages must be told apart and py3langid is not installed.
    """
    prose = _NOT_PROSE.sub(" ", text)
    scripts = _count_scripts(prose)
    if sum(scripts.values()) < MIN_BYTES:
        return True
    if not _mostly(_own_scripts(asked.script), scripts):
        return False
    if "CJK" in _own_scripts(asked.script):
        return _is_right_mixture(scripts, asked.script)
    rivals = _sharing(asked)
    if len(rivals) == 1:
        return True
    best, probability = _classifier(rivals).classify(" ".join(prose.split()))
    return bool(best == _judged_as(asked) or probability < MIN_CONFIDENCE)


def in_script(text: str, asked: Language) -> bool:
    """Whether half of all letters, code too, are in the language's script, however few; True where there are none."""
    return _mostly(_own_scripts(asked.script), _count_scripts(text))


def likely_language(text: str) -> str:
    """The likeliest of all languages that py3langid knows (ISO 639-1); "" where there is no prose.

    Raises:
        CrossliftError: py3langid is not installed.
    """
    prose = " ".join(_NOT_PROSE.sub(" ", text).split())
    return str(_classifier(()).classify(prose)[0]) if prose else ""


def _mostly(own: tuple[str, ...], scripts: Counter[str]) -> bool:
    return sum(scripts[name] for name in own) >= sum(scripts.values()) / 2


def _is_right_mixture(scripts: Counter[str], script: str) -> bool:
    """Japanese, Chinese and Korean share Han characters and differ in what stands between them."""
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    japanese = kana >= MIN_KANA_SHARE * (kana + scripts["CJK"])
    if script == "Jpan":
        return japanese
    if script == "Kore":
        return scripts["HANGUL"] >= scripts["CJK"]
    return not japanese


def _own_scripts(script: str) -> tuple[str, ...]:
    if script in _MIXTURES:
        return _MIXTURES[script]
    if script not in _NAMES:
        raise CrossliftError(f"The script '{script}' is not known. Add it to _NAMES in languages/identify.py.")
    return (_NAMES[script],)


def _count_scripts(prose: str) -> Counter[str]:
    """UTF-8 bytes of letters per script."""
    counts: Counter[str] = Counter()
    for character, number in Counter(prose).items():
        if name := _script(character):
            counts[name] += number * len(character.encode())
    return counts


@cache
def _script(character: str) -> str:
    """The first word of a letter's or vowel sign's Unicode name, which is its script; "" for anything else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    return unicodedata.name(character, "").split(" ")[0]


@cache
def _sharing(asked: Language) -> tuple[str, ...]:
    """The rivals in the script, as py3langid writes them, and the asked language."""
    same = {tag for tag in RIVALS if language(tag).script == asked.script}
    return tuple(sorted(same | {_judged_as(asked)}))


def _judged_as(asked: Language) -> str:
    tag = asked.tag.split("-")[0]
    return _NEIGHBOURS.get(tag, tag)


@cache
def _classifier(candidates: tuple[str, ...]) -> Any:
    """py3langid restricted to some languages (to none: all), giving probabilities."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]
    except ImportError:
        raise CrossliftError(
            f"Telling {', '.join(candidates) or 'languages'} apart needs py3langid. Install it: pip install "
            "'crosslift[train]'"
        ) from None
    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if candidates:
        classifier.set_languages(list(candidates))
    return classifier
