"""Sentence and word counts that follow the published checkers of IFEval and M-IFEval.

Sentences are segmented by Punkt (T. Kiss and J. Strunk 2006, https://doi.org/10.1162/coli.2006.32.4.485), in nltk's
implementation. The published checkers for English and French load trained Punkt parameters, which must be downloaded
and differ between installations. Here Punkt uses only the abbreviations below, so that a score depends on the code
alone. The published checker for Spanish uses spaCy; for Spanish a line break also ends a sentence, and list markers are
removed.
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
"""Tokens of spaCy's Spanish tokenizer that are not punctuation."""


def num_sentences(text: str, tag: str) -> int:
    """Number of sentences of a text; `tag` is "en", "es" or "fr"."""
    if tag != "es":
        return len(_punkt(tag).tokenize(text))
    lines = (line for line in _LIST_MARK.sub("", text).splitlines() if line.strip())
    return sum(len(_punkt(tag).tokenize(line)) for line in lines)


def num_words(text: str, tag: str) -> int:
    """Number of words of a text; in Spanish without list markers."""
    return len(_SPANISH_WORD.findall(_LIST_MARK.sub("", text)) if tag == "es" else _PLAIN_WORD.findall(text))


def words(text: str, tag: str) -> list[str]:
    """Words for checks of their letters: a hyphenated word is one word (in Spanish as in `num_words`)."""
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
