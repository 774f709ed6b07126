"""A served stand-in for the models that are paid: a word-by-word translator, answers to open prompts, and a judge.

The translator replaces every word by one of the target language, always the same: by its Spanish translation where it
is one of API-Bank's commonest words, else by a word of the pocket world. Marks and numbers stay. Quality is not the
point; the texts are in their languages, so that all checks of translations and answers are made for real.
"""

from __future__ import annotations

import re
import tomllib
import zlib
from functools import cache
from importlib import resources
from pathlib import Path

import regex
from endpoints import FaultyServer

NAMES = {
    "Arabic": "ar", "Bengali": "bn", "Chinese": "zh", "English": "en", "French": "fr", "German": "de", "Japanese": "ja",
    "Korean": "ko", "Portuguese": "pt", "Russian": "ru", "Spanish": "es", "Swahili": "sw", "Telugu": "te", "Thai": "th",
}  # fmt: skip
WITHOUT_SPACES = ("ja", "th", "zh")
KOREAN_SCALES = "만억조천백십"
"""After digits they multiply: "32 만나요" would begin with 320,000."""
SPANISH = dict(
    line.split("=") for line in Path(__file__).with_name("api_bank_words.txt").read_text(encoding="utf-8").splitlines()
)
"""API-Bank's commonest words."""


@cache
def words(tag: str) -> tuple[str, ...]:
    """The words of the pocket world in a language."""
    raw = tomllib.loads((resources.files("crosslift.pocket") / "data" / f"{tag}.toml").read_text("utf-8"))
    texts: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                if key not in ("g", "counting", "stop", "comma", "emphasis"):
                    walk(one)
        elif isinstance(value, str):
            texts.append(regex.sub(r"\{[^}]*\}", " ", value))

    walk(raw)
    found = {word for text in texts for word in regex.findall(r"[\p{L}\p{M}]+", text)}
    least = 1 if tag in WITHOUT_SPACES else 2
    return tuple(sorted(word for word in found if len(word) > least and word[0] not in KOREAN_SCALES))


def word(english: str, tag: str) -> str:
    """The translation of a word, always the same."""
    low = english.lower()
    if tag == "es" and low in SPANISH:
        return SPANISH[low].replace("_", " ")
    pool = words(tag)
    return pool[zlib.crc32(low.encode()) % len(pool)] + ("の" if tag == "ja" else "")


def translate(text: str, tag: str) -> str:
    """Replace every word; marks, numbers, punctuation and lines stay."""

    def replaced(match: regex.Match[str]) -> str:
        found = match.group()
        if found.startswith("<"):
            return found
        before = text[match.start() - 1 : match.start()]
        return (" " if before.isdigit() else "") + word(found, tag)

    # Texts without spaces, of a translation back, are cut into pieces of a few letters.
    found = regex.sub(r"<\s*\d+\s*>|\p{Latin}[\p{Latin}\p{M}']*+(?!\d)|(?!\p{Latin})[\p{L}\p{M}]{1,6}", replaced, text)
    return regex.sub(r"(?<=[\p{L}\p{M}]) (?=[\p{L}\p{M}])", "", found) if tag in WITHOUT_SPACES else found


def answer(asked: str) -> str:
    """Reply to a prompt of a translation or a judge; else answer in the words of the prompt."""
    if (found := re.match(r"Translate into ([A-Z]\w+)\.", asked)) is not None:
        text = asked.partition("\n\n")[2]
        return translate(re.sub(r"\n\n\(An earlier translation .*\Z", "", text, flags=re.DOTALL), NAMES[found[1]])
    if "Rating:" in asked:
        return f"It is an answer.\nRating: {1 + zlib.crc32(asked.encode()) % 5}"
    return f"{asked[:300]} {asked[:300]}"


class StandIn(FaultyServer):
    """Serves `answer`. After `dies_after` new requests, it rejects every further one, as if the key had expired."""

    dies_after: int | None = None

    def handle(self, request) -> None:
        if self.dies_after is not None and self._number >= self.dies_after:
            request.rfile.read(int(request.headers["content-length"]))
            self.send(request, 401, {"error": {"message": "the credit is used up"}})
            return
        super().handle(request)
