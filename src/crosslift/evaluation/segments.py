"""Sentences and words of a response, counted as the published checkers of IFEval and M-IFEval count them.

Sentences: Punkt (Kiss and Strunk 2006, https://doi.org/10.1162/coli.2006.32.4.485), in nltk's implementation. The
published checkers of English and French load Punkt's trained parameters, which must be downloaded and differ from one
installation to the next; here it runs with the abbreviations below and nothing else, so that a score depends on the
code alone. The Spanish checker parses with spaCy; there a line also ends a sentence, and list marks are taken away.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from crosslift.extras import optional

_ABBREVIATIONS = {
    "en": "mr mrs ms dr prof st jr sr inc ltd co corp vs etc e.g i.e u.s u.k u.n a.m p.m ph.d fig approx dept est gen "
    "col capt lt sgt rev hon gov sen rep jan feb mar apr jun jul aug sep sept oct nov dec p.s p.p.s b.c a.d d.c",
    "es": "sr sra srta sres dr dra d dña prof ud uds vd vds p.ej ej etc pág págs núm art ee.uu a.c d.c s.a s.l av avda "
    "tel p.d st approx vs",
    "fr": "m mr mm mme mmes mlle dr dre drs prof pr cap lt etc cf vs rép i.e c.-à-d ex e.g apr av j.c j.-c env janv "
    "fév avr juil sept oct nov déc adj q.v p resp tel tél v vol nb n.b p.s ps p.p.s p.-s p-s adm assoc min",
}
_LIST_MARK = re.compile(r"^\s*(?:\d+\.|[-*])\s*", re.MULTILINE)
_PLAIN_WORD = re.compile(r"\w+")
_SPANISH_WORD = re.compile(r"\w+(?:[-'’.,:/@_]+\w+)*|[€$£¥%°+=<>|^~№§©®™]")
"""What spaCy's tokenizer of Spanish takes for one word; signs that are no punctuation count too."""


def num_sentences(text: str, tag: str) -> int:
    """Sentences of a text in English, Spanish or French."""
    if tag != "es":
        return len(_punkt(tag).tokenize(text))
    lines = (line for line in _LIST_MARK.sub("", text).splitlines() if line.strip())
    return sum(len(_punkt(tag).tokenize(line)) for line in lines)


def num_words(text: str, tag: str) -> int:
    """Words of a text; in Spanish without the marks of a list."""
    return len(_SPANISH_WORD.findall(_LIST_MARK.sub("", text)) if tag == "es" else _PLAIN_WORD.findall(text))


def words(text: str, tag: str) -> list[str]:
    """Words as they are told apart for their letters: joined by hyphens they are one (in Spanish as `num_words`)."""
    return _SPANISH_WORD.findall(text) if tag == "es" else _treebank().tokenize(text)


@cache
def _punkt(tag: str) -> Any:
    with optional():
        from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer  # type: ignore[import-untyped]

    parameters = PunktParameters()
    parameters.abbrev_types.update(_ABBREVIATIONS[tag].split())
    return PunktSentenceTokenizer(parameters)


@cache
def _treebank() -> Any:
    with optional():
        from nltk.tokenize import NLTKWordTokenizer  # type: ignore[import-untyped]

    return NLTKWordTokenizer()
