"""Language identification of answers.

Fine-tuned models often answer a Swahili question correctly, but in English. This language fidelity has its own metric,
which must not depend on content that is the same in all languages: digits, equations, calls and code are removed first.
Identification then has two stages: the script distinguishes languages with different scripts, and py3langid
distinguishes the languages that share one, among a restricted set of candidates.

Uncertain cases count as correct: a text that is too short, or a classification below the confidence threshold, is taken
to be in the expected language. Of a language that py3langid does not know, only English is told apart, which models
write by mistake: its texts would be classified as a neighbour, Neapolitan as Italian.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any

import regex

from crosslift.errors import CrossliftError
from crosslift.languages.language import Language, language
from crosslift.languages.similarity import find_facts

MIN_BYTES = 12
"""Minimum UTF-8 bytes of letters for identification: four Han characters, or a dozen Latin letters."""
MIN_CONFIDENCE = 0.9
"""Minimum probability of another language, among the candidates of the script, to reject the expected one."""
MIN_KANA_SHARE = 0.1
"""Minimum share of kana among the kana and Han characters of a Japanese text, in UTF-8 bytes."""

CANDIDATE_LANGUAGES = ("ar", "bn", "de", "en", "es", "fr", "ja", "ko", "pt", "ru", "sw", "te", "th", "zh")
"""Languages that models switch to, namely those of the two reference studies. Every further candidate makes short texts
harder to classify: for a Malay question the relevant test is "not English", not Malay against Indonesian."""

_CLASSIFIED_AS = {"bar": "de", "gsw": "de", "nb": "no", "fil": "tl", "ff": "fuv", "gn": "gug", "ki": "kik"}
"""Language unknown to py3langid -> the language as which py3langid classifies its texts."""
_ENGLISH_GROUP = "Macro-English"
"""Glottolog's group of English and of the creoles that are based on it, which are not told apart from it."""

_MIXTURES = {  # ISO 15924 codes that combine several Unicode scripts
    "Jpan": ("HIRAGANA", "KATAKANA", "CJK"),
    "Kore": ("HANGUL", "CJK"),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
}
_NAMES = {  # ISO 15924 code -> first word of the characters' Unicode names
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
    r"|(?:(?<![A-Za-z])[A-Za-z]++)?\d[A-Za-z\d]*"  # digits and adjacent letters: "5kg", "x2"
    r"|(?<![^\W\d_])[A-Za-z](?![^\W\d_])",  # single Latin letters: variables
    re.DOTALL,
)


def in_language(text: str, asked: Language) -> bool:
    """Whether the prose of a text is in the expected language; False only if it is clearly in another one.

    Args:
        text: the text to classify.
        asked: the expected language.

    Raises:
        CrossliftError: the decision needs py3langid, and it is not installed.
    """
    prose = _NOT_PROSE.sub(" ", text)
    scripts = _count_scripts(prose)
    if sum(scripts.values()) < MIN_BYTES:
        return True
    if asked.script and not _is_majority(_own_scripts(asked.script), scripts):
        return False
    if "CJK" in _own_scripts(asked.script):
        return _is_right_mixture(scripts, asked.script)
    if not can_be_classified(asked):
        return not _is_english(" ".join(prose.split()), asked)
    candidates = _candidates(asked)
    if len(candidates) == 1:
        return True
    best, probability = _classifier(candidates).classify(" ".join(prose.split()))
    return bool(best == _classifier_tag(asked) or probability < MIN_CONFIDENCE)


def share_of_lines_in_language(text: str, asked: Language) -> float:
    """Share of the lines of a text that are in the expected language; 1 if no line is long enough to be identified.

    Args:
        text: the text to classify.
        asked: the expected language.

    Raises:
        CrossliftError: the decision needs py3langid, and it is not installed.
    """
    lines = [line for line in text.splitlines() if sum(_count_scripts(_NOT_PROSE.sub(" ", line)).values()) >= MIN_BYTES]
    return sum(in_language(line, asked) for line in lines) / len(lines) if lines else 1.0


@cache
def can_be_classified(asked: Language) -> bool:
    """Whether py3langid knows the language, or one as which it classifies its texts.

    Raises:
        CrossliftError: py3langid is not installed.
    """
    return _classifier_tag(asked) in _classifier(()).nb_classes and asked.script == _usual_script(asked.tag)


def _usual_script(tag: str) -> str:
    return language(tag.split("-", maxsplit=1)[0]).script


def _is_english(prose: str, asked: Language) -> bool:
    """Whether prose in Latin script is English, for a language that py3langid does not know."""
    facts = find_facts(asked.tag)
    if facts is not None and _ENGLISH_GROUP in facts.lineage:
        return False
    best, probability = _classifier(()).classify(prose)
    return bool(best == "en" and probability >= MIN_CONFIDENCE)


def in_script(text: str, asked: Language) -> bool:
    """Whether at least half of all letters, code included, are in the language's script; True without letters."""
    return not asked.script or _is_majority(_own_scripts(asked.script), _count_scripts(text))


def is_likely(text: str, asked: Language) -> bool:
    """Whether a text is in a language and in none of the others that py3langid knows; stricter than `in_language`."""
    if not in_language(text, asked):
        return False
    return asked.script not in ("Latn", "Cyrl") or likely_language(text) in ("", _classifier_tag(asked))


def identified(text: str, among: Sequence[Language]) -> Language | None:
    """The one of several languages that a text is clearly in; stricter than `is_likely`.

    Args:
        text: the text to classify.
        among: the languages to choose from. Those that py3langid does not know are never found.

    Returns:
        None if the text is in none of them, or is too short to tell.

    Raises:
        CrossliftError: py3langid is not installed.
    """
    if sum(_count_scripts(_NOT_PROSE.sub(" ", text)).values()) < MIN_BYTES:
        return None
    scripts = [asked for asked in among if in_script(text, asked)]
    likely = likely_language(text) if scripts else ""
    for asked in scripts:
        is_same = likely == _classifier_tag(asked)
        if (is_same or asked.script not in ("Latn", "Cyrl")) and in_language(text, asked):
            return asked
    return None


def likely_language(text: str) -> str:
    """The most probable of all languages of py3langid (ISO 639-1 code); "" if the text has no prose.

    Raises:
        CrossliftError: py3langid is not installed.
    """
    prose = " ".join(_NOT_PROSE.sub(" ", text).split())
    return str(_classifier(()).classify(prose)[0]) if prose else ""


def _is_majority(own: tuple[str, ...], scripts: Counter[str]) -> bool:
    return sum(scripts[name] for name in own) >= sum(scripts.values()) / 2


def _is_right_mixture(scripts: Counter[str], script: str) -> bool:
    """Whether the mixture of scripts fits Japanese, Chinese or Korean, which share Han characters."""
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
    return (_NAMES.get(script) or _name_of_script(script),)


@cache
def _name_of_script(script: str) -> str:
    """The first word of the names of a script's characters; "" for a script that Unicode does not have."""
    try:
        letters = regex.compile(rf"[\p{{Script={script}}}&&\p{{L}}]", regex.VERSION1)
    except regex.error:
        return ""
    first = next((chr(point) for point in range(sys.maxunicode + 1) if letters.match(chr(point))), "")
    return unicodedata.name(first, "").split(" ")[0] if first else ""


def _count_scripts(prose: str) -> Counter[str]:
    """UTF-8 bytes of letters per script."""
    counts: Counter[str] = Counter()
    for character, number in Counter(prose).items():
        if name := _script(character):
            counts[name] += number * len(character.encode())
    return counts


@cache
def _script(character: str) -> str:
    """The script of a letter or vowel sign, which is the first word of its Unicode name; "" for other characters."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    return unicodedata.name(character, "").split(" ")[0]


@cache
def _candidates(asked: Language) -> tuple[str, ...]:
    """The candidate languages that share the script of the expected one, and the latter, as tags of py3langid."""
    same = {tag for tag in CANDIDATE_LANGUAGES if language(tag).script == asked.script}
    return tuple(sorted(same | {_classifier_tag(asked)}))


def _classifier_tag(asked: Language) -> str:
    tag = asked.tag.split("-")[0]
    return _CLASSIFIED_AS.get(tag, tag)


@cache
def _classifier(candidates: tuple[str, ...]) -> Any:
    """A py3langid classifier with probabilities, restricted to some languages; an empty tuple means all.

    Restricted ones share the model of the full one, which takes a second to load.
    """
    if candidates:
        restricted = copy(_classifier(()))
        restricted.set_languages(list(candidates))
        return restricted
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]
    except ImportError:
        raise CrossliftError(
            "Identifying languages needs py3langid. Install it: pip install 'crosslift[train]'"
        ) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
