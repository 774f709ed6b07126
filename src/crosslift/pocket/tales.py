"""Summarization: short stories without numbers and their summaries of one sentence.

The summary states who did what, where and when. The story gives these facts in separate sentences, among irrelevant
ones. It repeats names instead of using pronouns, so that the rendering is exact in every language.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosslift.pocket.grammar import Grammar
from crosslift.pocket.stories import PEOPLE


@dataclass(frozen=True, kw_only=True)
class Tale:
    """Language-independent plan of a short story."""

    concepts: dict[str, str]
    """Slot -> concept: n, m (people), t (times), place, animal, food, weather."""
    events: tuple[str, ...]
    """Sentences of section "tale", in order; "weather" is a complete sentence."""
    key_event: str
    """The event that the summary reports."""
    meanwhile: Tale | None = None
    """A distracting story about other persons; the sentence of the event "meanwhile" is its key event."""


_SECTIONS = {"n": "people", "m": "people", "t": "times", "place": "places", "animal": "animals", "food": "foods"}


def make(rng: np.random.Generator, language: Grammar) -> Tale:
    """Sample a tale; the concepts are those of the given language's data file."""

    def pick(section: str) -> str:
        concepts = list(language.words[section])
        return concepts[int(rng.integers(len(concepts)))]

    first, second = rng.choice(len(PEOPLE), size=2, replace=False)
    concepts = {slot: pick(section) for slot, section in _SECTIONS.items() if section != "people"}
    concepts |= {"n": PEOPLE[int(first)], "m": PEOPLE[int(second)], "weather": pick("weather")}
    key_event = ("meet", "see", "buys")[int(rng.integers(3))]
    events = ["go", *(("weather",) if rng.random() < 0.5 else ()), key_event]
    if key_event == "meet" and rng.random() < 0.5:
        events.append("talk")
    if rng.random() < 0.5:
        events.append("back")
    return Tale(concepts=concepts, events=tuple(events), key_event=key_event)


def add_distractor(rng: np.random.Generator, tale: Tale, language: Grammar) -> Tale:
    """Add an event of other persons before or after the key event.

    The summary is about the person who is named first, so that the model cannot simply copy a sentence that looks like
    a key event.
    """
    while True:
        others = make(rng, language)
        if not {tale.concepts[slot] for slot in "nm"} & {others.concepts[slot] for slot in "nm"}:
            break
    place = tale.events.index(tale.key_event) + int(rng.integers(2))
    return replace(tale, events=(*tale.events[:place], "meanwhile", *tale.events[place:]), meanwhile=others)


def skeleton(tale: Tale) -> str:
    """Key of the problem: the key event with its persons, object, place and time. Items with one key share a pool."""
    slots = {"meet": ("n", "m"), "see": ("n", "animal"), "buys": ("n", "food")}[tale.key_event]
    return tale.key_event + ",".join(tale.concepts[slot] for slot in (*slots, "place", "t"))


def _sentence(tale: Tale, event: str, language: Grammar) -> str:
    if event == "meanwhile" and tale.meanwhile:
        return _sentence(tale.meanwhile, tale.meanwhile.key_event, language)
    if event == "weather":
        return language.citation_form("weather", tale.concepts["weather"])
    slots = {slot: language.word(section, tale.concepts[slot]) for slot, section in _SECTIONS.items()}
    return language.render("tale", event, slots)


def story(tale: Tale, language: Grammar) -> str:
    """The text of a tale."""
    return language.join([_sentence(tale, event, language) for event in tale.events])


def summary(tale: Tale, language: Grammar) -> str:
    """The reference summary of a tale."""
    return _sentence(tale, f"sum_{tale.key_event}", language)
