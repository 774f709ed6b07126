"""Short stories without numbers, and what they come to in one sentence.

The summary says who did what, where and when; the story tells these apart, among things that do not matter. It repeats
names instead of using pronouns, which keeps every language's rendering exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosslift.pocket.grammar import Grammar
from crosslift.pocket.stories import PEOPLE


@dataclass(frozen=True, kw_only=True)
class Tale:
    concepts: dict[str, str]
    """Slot -> concept: n, m (people), t (times), place, animal, food, weather."""
    events: tuple[str, ...]
    """Sentences of section "tale", in order; "weather" is a whole sentence."""
    gist: str
    """The event that the summary tells."""
    meanwhile: Tale | None = None
    """What others do at the same time: its gist is the event "meanwhile"."""


_SECTIONS = {"n": "people", "m": "people", "t": "times", "place": "places", "animal": "animals", "food": "foods"}


def make(rng: np.random.Generator, language: Grammar) -> Tale:
    def pick(section: str) -> str:
        concepts = list(language.words[section])
        return concepts[int(rng.integers(len(concepts)))]

    first, second = rng.choice(len(PEOPLE), size=2, replace=False)
    concepts = {slot: pick(section) for slot, section in _SECTIONS.items() if section != "people"}
    concepts |= {"n": PEOPLE[int(first)], "m": PEOPLE[int(second)], "weather": pick("weather")}
    gist = ("meet", "see", "buys")[int(rng.integers(3))]
    events = ["go", *(("weather",) if rng.random() < 0.5 else ()), gist]
    if gist == "meet" and rng.random() < 0.5:
        events.append("talk")
    if rng.random() < 0.5:
        events.append("back")
    return Tale(concepts=concepts, events=tuple(events), gist=gist)


def in_company(rng: np.random.Generator, tale: Tale, language: Grammar) -> Tale:
    """The same tale while others do something too, before or after what it comes to. The summary is about whoever is
    named first, so that it takes more than the sentence that looks like a gist."""
    while True:
        others = make(rng, language)
        if not {tale.concepts[slot] for slot in "nm"} & {others.concepts[slot] for slot in "nm"}:
            break
    place = tale.events.index(tale.gist) + int(rng.integers(2))
    return replace(tale, events=(*tale.events[:place], "meanwhile", *tale.events[place:]), meanwhile=others)


def skeleton(tale: Tale) -> str:
    """What makes it a problem: who meets, sees or buys whom or what, where and when."""
    slots = {"meet": ("n", "m"), "see": ("n", "animal"), "buys": ("n", "food")}[tale.gist]
    return tale.gist + ",".join(tale.concepts[slot] for slot in (*slots, "place", "t"))


def _sentence(tale: Tale, event: str, language: Grammar) -> str:
    if event == "meanwhile" and tale.meanwhile:
        return _sentence(tale.meanwhile, tale.meanwhile.gist, language)
    if event == "weather":
        return language.cite("weather", tale.concepts["weather"])
    slots = {slot: language.word(section, tale.concepts[slot]) for slot, section in _SECTIONS.items()}
    return language.render("tale", event, slots)


def story(tale: Tale, language: Grammar) -> str:
    return language.join([_sentence(tale, event, language) for event in tale.events])


def summary(tale: Tale, language: Grammar) -> str:
    return _sentence(tale, f"sum_{tale.gist}", language)
