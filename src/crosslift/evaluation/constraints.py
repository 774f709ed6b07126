"""Checkers of the verifiable instructions of IFEval (arXiv 2311.07911) and M-IFEval (arXiv 2502.04688).

Each checker tests what the published checker for English, Spanish or French tests, including its peculiarities:
keywords and postscripts are regular expressions, and "P.S." may occur anywhere in a line. No models are loaded:
sentences and words are segmented by rules (`segments`), and languages are identified by `languages.identify` instead of
langdetect. `benchmarks/instructions.py` compares both implementations. An instruction is named
`<language>:<group>:<name>`; names and arguments are those of the publications.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from crosslift.evaluation.segments import num_sentences, num_words, words
from crosslift.languages.identify import in_language, in_script, likely_language
from crosslift.languages.language import language, tags
from crosslift.untrusted.json_text import parse_json

Arguments = Mapping[str, Any]
Checker = Callable[[str, Arguments, str], bool]
"""Function of the response, the arguments of the instruction and the language tag of the prompt."""

_AT_LEAST = ("at least", "al menos", "au moins")
_LESS_THAN = ("less than", "moins de")
_AT_MOST = ("at most", "como máximo", "au plus")
_OPTIONS = {
    "en": ("My answer is yes.", "My answer is no.", "My answer is maybe."),
    "es": ("Sí.", "No.", "Quizás."),
    "fr": ("Oui.", "Non.", "Peut-être."),
}
_QUOTES = {"en": ['""'], "es": ['""'], "fr": ['""', "''", "«»"]}
_ACCENTED = re.compile("[àáâãäåçèéêëìíîïñòóôõöùúûüýÿ]", re.IGNORECASE)
_INFORMAL = re.compile(r"\b(?:tu|te|toi|ton|ta|tes|t')\b", re.IGNORECASE)


def is_followed(name: str, arguments: Arguments, response: str, *, loose: bool = False) -> bool:
    """Whether a response follows an instruction.

    Args:
        name: `<language>:<group>:<name>` of the instruction.
        arguments: its arguments, under their published names.
        response: the response of the model.
        loose: accept the response also without its first or last line, or without asterisks (IFEval's loose accuracy).

    Raises:
        KeyError: the instruction is unknown.
        ValueError: an argument has an unknown value.
    """
    tag, group, kind = name.split(":")
    checker = CHECKERS[group, kind.replace({"en": "english", "es": "spanish", "fr": "french"}[tag] + "_", "own_")]
    given = {key: value for key, value in arguments.items() if value is not None}
    variants = _variants(response) if loose else [response]
    return any(bool(variant.strip()) and checker(variant, given, tag) for variant in variants)


def _variants(response: str) -> list[str]:
    lines = response.split("\n")
    cut = [response, "\n".join(lines[1:]), "\n".join(lines[:-1]), "\n".join(lines[1:-1])]
    cut = [variant if number == 0 else variant.strip() for number, variant in enumerate(cut)]
    return [*cut, *(variant.replace("*", "") for variant in cut)]


def _compared(number: int, wanted: Any, relation: Any) -> bool:
    threshold = int(wanted)
    if relation in _AT_LEAST:
        return number >= threshold
    if relation in _LESS_THAN:
        return number < threshold
    if relation in _AT_MOST:
        return number <= threshold
    raise ValueError(f"'{relation}' is not a known relation. Known: {', '.join((*_AT_LEAST, *_LESS_THAN, *_AT_MOST))}.")


def _in(text: str, tag: str) -> bool:
    if tag not in tags():
        return likely_language(text) == tag
    return in_script(text, language(tag)) and in_language(text, language(tag))


def _paragraphs(text: str, given: Arguments, tag: str) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = parts[1:-1]
    if any(not part.strip() for part in inner):
        return False
    return sum(bool(part.strip()) for part in parts) == int(given["num_paragraphs"])


def _nth_paragraph(text: str, given: Arguments, tag: str) -> bool:
    parts = text.split("\n\n")
    filled = sum(bool(part.strip()) for part in parts)
    place = int(given["nth_paragraph"])
    if place > filled or not parts[place - 1].strip():
        return False
    wanted = given["first_word"].lower()
    return filled == given["num_paragraphs"] and _begins_with(parts[place - 1].split(), wanted, tag)


def _begins_with(found: list[str], wanted: str, tag: str) -> bool:
    if tag == "es":  # the first "word" may be several words; punctuation is removed from each
        bare = [word.translate(str.maketrans("", "", string.punctuation)).lower() for word in found]
        return bare[: len(wanted.split())] == wanted.split()
    first = found[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", first, maxsplit=1)[0].lower() == wanted


def _highlights(text: str, given: Arguments, tag: str) -> bool:
    single = [found for found in re.findall(r"\*[^\n*]*\*", text) if found.strip("*").strip()]
    double = [found for found in re.findall(r"\*\*[^\n*]*\*\*", text) if found[2:-2].strip()]
    return len(single) + len(double) >= int(given["num_highlights"])


_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\.", "P.D.": r"p\.\s?d\."}


def _postscript(text: str, given: Arguments, tag: str) -> bool:
    marker = given["postscript_marker"].strip()
    # As in the published checkers, any other marker is itself the pattern: "P.-S." also matches "p.-s :".
    return bool(re.search(_POSTSCRIPTS.get(marker, marker.lower()), text.lower()))


def _json(text: str, given: Arguments, tag: str) -> bool:
    text = re.sub(r"^```(?:json)?", "", text.strip(), flags=re.IGNORECASE).removesuffix("```").strip()
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


def _two_responses(text: str, given: Arguments, tag: str) -> bool:
    parts = text.split("******")
    if any(not part.strip() for part in parts[1:-1]):
        return False
    filled = [part.strip() for part in parts if part.strip()]
    return len(filled) == 2 and filled[0] != filled[1]


def _accents(text: str, given: Arguments, tag: str) -> bool:
    wanted = given["word_to_accentuate"]
    return all(wanted.get(_bare(word), word) == word for word in re.findall(r"\b\w+\b", text.lower()))


def _bare(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def _quoted(text: str, given: Arguments, tag: str) -> bool:
    text = text.strip()
    return len(text) > 1 and any(text[0] == pair[0] and text[-1] == pair[-1] for pair in _QUOTES[tag])


def _with_mark(opening: str, closing: str) -> Checker:
    return lambda text, given, tag: any(found.strip("¿?¡! \n") for found in _spans(text, opening, closing))


def _title(text: str, given: Arguments, tag: str) -> bool:
    for line in text.split("\n"):  # <<[^\n]+>> takes a time that grows with the square of the line's length
        first, last = line.find("<<"), line.rfind(">>")
        if 0 <= first < last - 2 and line[first : last + 2].strip("<>").strip():
            return True
    return False


def _placeholders(text: str, given: Arguments, tag: str) -> bool:
    found = sum(len(_spans(line, "[", "]")) for line in text.split("\n"))
    return found >= int(given["num_placeholders"])


def _spans(text: str, opening: str, closing: str) -> list[str]:
    """What the pattern `opening.*?closing` finds, in a time that grows with the length alone."""
    spans, place = [], 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start + 1)) >= 0:
        place = end + 1
        spans.append(text[start:place])
    return spans


_SPACE = 200
_LONG_SPACE = re.compile(rf"\s{{{_SPACE},}}")
"""Runs of white space are cut to this: the pattern of a bullet begins again at each of its lines."""


def _bullets(text: str, given: Arguments, tag: str) -> bool:
    text = _LONG_SPACE.sub(lambda match: match.group()[:_SPACE], text)
    stars = re.findall(r"^\s*\*[^*].*$", text, re.MULTILINE)
    dashes = [] if tag == "es" else re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == int(given["num_bullets"])


def _sections(text: str, given: Arguments, tag: str) -> bool:
    mark = re.escape(given["section_spliter"].strip())
    return len(re.split(rf"\s?{mark}\s?\d+\s?", text)) - 1 >= int(given["num_sections"])


def _capital_words(text: str, given: Arguments, tag: str) -> bool:
    number = sum(word.isupper() for word in words(text, tag))
    return _compared(number, given["capital_frequency"], given["capital_relation"])


def _capital(text: str, given: Arguments, tag: str) -> bool:
    return text.isupper() and _in(text.lower(), tag)


def _lowercase(text: str, given: Arguments, tag: str) -> bool:
    return text.islower() and _in(text, tag)


def _ends_with(text: str, given: Arguments, tag: str) -> bool:
    text = text.strip().strip('"').lower()
    return (text.removesuffix(".") if tag == "es" else text).endswith(given["end_phrase"].strip().lower())


def _counted(letter: str) -> Checker:
    """Checks the exact number of words that contain a letter."""
    return lambda text, given, tag: sum(letter in word.lower() for word in words(text, tag)) == given["let_frequency"]


CHECKERS: Mapping[tuple[str, str], Checker] = {
    ("change_case", "capital_word_frequency"): _capital_words,
    ("change_case", "own_capital"): _capital,
    ("change_case", "own_lowercase"): _lowercase,
    ("combination", "repeat_prompt"): lambda text, given, tag: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    ("combination", "two_responses"): _two_responses,
    ("detectable_content", "informal_address"): lambda text, given, tag: bool(_INFORMAL.search(text)),
    ("detectable_content", "no_digits"): lambda text, given, tag: not re.search(r"\d", text),
    ("detectable_content", "number_placeholders"): _placeholders,
    ("detectable_content", "postscript"): _postscript,
    ("detectable_format", "constrained_response"): lambda text, given, tag: any(
        option in text.strip() for option in _OPTIONS[tag]
    ),
    ("detectable_format", "json_format"): _json,
    ("detectable_format", "multiple_sections"): _sections,
    ("detectable_format", "number_bullet_lists"): _bullets,
    ("detectable_format", "number_highlighted_sections"): _highlights,
    ("detectable_format", "title"): _title,
    ("keywords", "existence"): lambda text, given, tag: all(
        re.search(word, text, re.IGNORECASE) for word in given["keywords"]
    ),
    ("keywords", "forbidden_words"): lambda text, given, tag: (
        not any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in given["forbidden_words"])
    ),
    ("keywords", "frequency"): lambda text, given, tag: _compared(
        len(re.findall(given["keyword"].strip(), text, re.IGNORECASE)), given["frequency"], given["relation"]
    ),
    ("keywords", "letter_frequency"): lambda text, given, tag: _compared(
        text.lower().count(given["letter"].strip().lower()), given["let_frequency"], given["let_relation"]
    ),
    ("language", "response_language"): lambda text, given, tag: _in(text, given["language"]),
    ("length_constraints", "nth_paragraph_first_word"): _nth_paragraph,
    ("length_constraints", "number_paragraphs"): _paragraphs,
    ("length_constraints", "number_sentences"): lambda text, given, tag: _compared(
        num_sentences(text, tag), given["num_sentences"], given["relation"]
    ),
    ("length_constraints", "number_words"): lambda text, given, tag: _compared(
        num_words(text, tag), given["num_words"], given["relation"]
    ),
    ("punctuation", "exclamation_marks"): _with_mark("¡", "!"),
    ("punctuation", "no_comma"): lambda text, given, tag: "," not in text,
    ("punctuation", "question_marks"): _with_mark("¿", "?"),
    ("special_character", "accents"): _accents,
    ("special_character", "dieresis"): _counted("ü"),
    ("special_character", "enie"): _counted("ñ"),
    ("special_character", "ethel_or_cedilla"): lambda text, given, tag: (
        given["forbidden_char"].lower() not in text.lower()
    ),
    ("special_character", "no_accents"): lambda text, given, tag: not _ACCENTED.search(text),
    ("special_character", "tildes"): lambda text, given, tag: _compared(
        sum(bool(set(word) & set("áéíóúÁÉÍÓÚ")) for word in words(text, tag)), given["num_words"], given["relation"]
    ),
    ("startend", "end_checker"): _ends_with,
    ("startend", "quotation"): _quoted,
}
