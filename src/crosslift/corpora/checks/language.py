"""Check that the prompts of a row are in the row's language and script.

The script is determined by counting letters. For languages that share a script, the most frequent words of the
languages in the corpus select doubtful rows, which a language identifier classifies. Lines of JSON and code are
ignored. A language in which most sampled rows fail is skipped, because its prompts are not prose.
"""

from __future__ import annotations

import polars as pl
import regex

from crosslift.corpora.findings import Texts, as_findings, found_in, no_findings, prose
from crosslift.languages.identify import in_language
from crosslift.languages.language import language

SEVERITY = "error"
TITLE = "in another language"

SCRIPTS = {
    "Latn": r"\p{Latin}", "Cyrl": r"\p{Cyrillic}", "Grek": r"\p{Greek}", "Arab": r"\p{Arabic}", "Hebr": r"\p{Hebrew}",
    "Deva": r"\p{Devanagari}", "Beng": r"\p{Bengali}", "Telu": r"\p{Telugu}", "Taml": r"\p{Tamil}", "Thai": r"\p{Thai}",
    "Geor": r"\p{Georgian}", "Hans": r"\p{Han}", "Hant": r"\p{Han}", "Jpan": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Kore": r"[\p{Hangul}\p{Han}]",
}  # fmt: skip
MIN_LETTERS = 12
MOST = 0.5
NUM_COMMON = 30


class Check:
    def __init__(self, sample: Texts) -> None:
        prompts = {tag: prose(sample.prompts[tag]) for tag in sample.languages}
        self._scripted = {
            tag
            for tag in sample.languages
            if language(tag).script in SCRIPTS and _foreign(prompts[tag], tag).sum() < MOST * len(prompts[tag])
        }
        common = {tag: _common(text) for tag, text in prompts.items()}
        self._words: dict[str, tuple[str, str]] = {}
        for tag in self._scripted:
            rivals = {other for other in sample.languages if other != tag and _script(other) == _script(tag)}
            own = set(common[tag]) - {word for other in rivals for word in common[other]}
            foreign = {word for other in rivals for word in common[other]} - set(common[tag])
            if own and foreign:
                self._words[tag] = (_any(own), _any(foreign))

    def look(self, texts: Texts) -> pl.DataFrame:
        parts = []
        for tag in sorted(self._scripted):
            text = prose(texts.prompts[tag])
            foreign = _foreign(text, tag)
            if tag != texts.reference and foreign.any():
                foreign &= _foreign(_without_shared(text, texts.prompts[texts.reference], foreign), tag)
            parts.append(found_in(texts.frame().filter(foreign), tag, f"hardly a letter is in the script of {tag}"))
            if tag not in self._words:
                continue
            own, others = self._words[tag]
            doubtful = texts.frame(text=text, own=text.str.count_matches(own), others=text.str.count_matches(others))
            doubtful = doubtful.filter(~foreign & (pl.col("others") > pl.col("own")))
            judged = [not in_language(text, language(tag)) for text in doubtful["text"]]
            parts.append(
                found_in(doubtful.filter(pl.Series(judged, dtype=pl.Boolean)), tag, "reads like another language")
            )
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return no_findings()


def _script(tag: str) -> str:
    return language(tag).script


def _foreign(text: pl.Series, tag: str) -> pl.Series:
    letters = text.str.count_matches(r"\p{L}")
    own = text.str.count_matches(SCRIPTS[_script(tag)])
    return (letters >= MIN_LETTERS) & (own * 2 < letters)


def _without_shared(texts: pl.Series, reference: pl.Series, doubtful: pl.Series) -> pl.Series:
    """Remove words that also occur in the reference from doubtful texts, unless these are most of the words.

    Names, signatures of tools and formulas are the same in every language; an untranslated text shares most words.
    """
    kept = []
    for text, other, doubted in zip(texts, reference, doubtful, strict=True):
        words = _WORD.findall(text) if doubted else []
        own = [word for word in words if word not in other]
        kept.append(" ".join(own) if len(own) * 4 > len(words) else text)
    return pl.Series(kept, dtype=pl.String)


_WORD = regex.compile(r"[\p{L}\p{M}]+")


def _common(text: pl.Series) -> list[str]:
    """Return the `NUM_COMMON` words that occur in the most texts."""
    words = text.str.to_lowercase().str.extract_all(r"[\p{L}\p{M}]+").list.unique().explode().drop_nulls()
    if words.is_empty():
        return []
    counts = words.value_counts(sort=True, name="number")
    return [str(word) for word in counts.head(NUM_COMMON)[words.name]]


def _any(words: set[str]) -> str:
    return rf"(?i)\b(?:{'|'.join(sorted(words))})\b"
