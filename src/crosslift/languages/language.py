"""Properties of languages. Each language has one file in `data/`; a new file adds a language."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Literal

from crosslift.errors import UnknownName, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Language:
    """Properties of one language that prompts, scoring and reports use."""

    tag: str
    """BCP 47 tag in its shortest form: "sw", "zh", "sr-Latn"."""
    iso639_3: str
    """ISO 639-3 code; of the individual language if the tag is a macrolanguage: sw -> swh, ar -> arb, zh -> cmn."""
    name: str
    """English name."""
    family: str
    script: str
    """ISO 15924 code: "Latn", "Beng"; "Jpan" and "Kore" are combinations of scripts."""
    direction: Literal["ltr", "rtl"]
    resource: Literal["high", "low"]
    """Label of arXiv 2604.13286; for other languages "high" from class 3 of Joshi et al. (2020) upwards."""
    digits: str
    """The ten native digits in order; ASCII digits if the language uses them."""
    decimal_mark: str
    group_mark: str
    step_by_step: str
    """"Let's think step by step." in the language, as the prompts of mCoT-MATH use it."""
    answer_cue: str
    """"The answer is" in the language; scoring first searches for a number after it."""
    answer_words: tuple[str, ...]
    """Words that precede an answer and a colon: "Answer", "Result"."""
    summarize: str
    """"Summarise the text in one sentence." in the language."""
    scales: dict[str, int] = field(hash=False)
    """Words that multiply a preceding number in digits: "thousand", "lakh". Units in characters are in `han`."""
    further_cues: tuple[str, ...] = ()
    """Variants of `answer_cue`: "The final answer is"."""
    leading_scales: dict[str, int] = field(default_factory=dict, hash=False)
    """Words that multiply the number after them: Swahili "elfu 5" is five thousand."""


@cache
def tags() -> tuple[str, ...]:
    """Tags of all languages that have a data file, sorted."""
    folder = resources.files("crosslift.languages") / "data"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def language(tag: str) -> Language:
    """Load one language.

    Raises:
        UnknownName: no data file exists for the tag.
    """
    if tag not in tags():
        raise UnknownName(
            f"'{tag}' is not a known language tag.{did_you_mean(tag, tags())} See: crosslift list languages"
        )
    text = (resources.files("crosslift.languages") / "data" / f"{tag}.toml").read_text(encoding="utf-8")
    facts = tomllib.loads(text)
    lists = {name: tuple(facts.get(name, ())) for name in ("answer_words", "further_cues")}
    return Language(tag=tag, **facts | lists)
