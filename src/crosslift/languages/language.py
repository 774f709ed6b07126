"""What crosslift knows of a language. One file in `data/` each; adding a language is adding a file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Literal

from crosslift.errors import UnknownName, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Language:
    """Facts about one language, as far as prompts, scoring and reports need them."""

    tag: str
    """BCP 47, the shortest form: "sw", "zh", "sr-Latn"."""
    iso639_3: str
    """The individual language where the tag names a macrolanguage: sw -> swh, ar -> arb, zh -> cmn."""
    name: str
    """English name."""
    family: str
    script: str
    """ISO 15924 code, as in Unicode's Script property: "Latn", "Beng"; "Jpan" and "Kore" are the usual mixtures."""
    direction: Literal["ltr", "rtl"]
    resource: Literal["high", "low"]
    """As arXiv 2604.13286 labels it; elsewhere high from class 3 of Joshi et al. (2020) upwards."""
    digits: str
    """The ten native digits in order; ASCII where the language uses them."""
    decimal_mark: str
    group_mark: str
    step_by_step: str
    """"Let's think step by step." in the language, as the prompts of mCoT-MATH use it."""
    answer_cue: str
    """"The answer is" in the language; scoring looks for the number behind it first."""
    answer_words: tuple[str, ...]
    """Words that announce an answer before a colon: "Answer", "Result"."""
    summarize: str
    """"Summarise the text in one sentence." in the language."""
    scales: dict[str, int] = field(hash=False)
    """Words that multiply a number in digits before them: "thousand", "lakh". Units in characters are in `han`."""
    further_cues: tuple[str, ...] = ()
    """Other ways to say `answer_cue`: "The final answer is"."""
    leading_scales: dict[str, int] = field(default_factory=dict, hash=False)
    """Words that multiply the number behind them: Swahili "elfu 5" is five thousand."""


@cache
def tags() -> tuple[str, ...]:
    """All known tags, sorted."""
    folder = resources.files("crosslift.languages") / "data"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def language(tag: str) -> Language:
    """Read one language.

    Raises:
        UnknownName: there is no file for the tag.
    """
    if tag not in tags():
        raise UnknownName(
            f"'{tag}' is not a known language tag.{did_you_mean(tag, tags())} See: crosslift list languages"
        )
    text = (resources.files("crosslift.languages") / "data" / f"{tag}.toml").read_text(encoding="utf-8")
    facts = tomllib.loads(text)
    lists = {name: tuple(facts.get(name, ())) for name in ("answer_words", "further_cues")}
    return Language(tag=tag, **facts | lists)
