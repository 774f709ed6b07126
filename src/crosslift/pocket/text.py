"""The plain text that base models are pretrained on.

It holds the *knowledge* that the tasks need and never their format: stories with their outcome, arithmetic, parallel
sentences, worked steps mostly in high-resource languages, requests beside records of what they ask for, calls beside
the signature they follow, tales with their gist, lists of words. SFT then has something to elicit and to transfer.
Everything comes from the pretraining pool (`pools`), so no held-out item is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from crosslift.pocket import calls, stories, tales
from crosslift.pocket.grammar import Grammar, capitalised, grammar
from crosslift.pocket.pools import pool
from crosslift.streams import stream

SHARES = {
    "en": 0.22,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.08),
    **dict.fromkeys(("pt", "ar", "ko"), 0.05),
    **dict.fromkeys(("th", "bn", "sw"), 0.04),
    "te": 0.03,
}
"""Share of documents per language, falling from high- to low-resource languages. Sums to 1."""

REASONED = {
    "en": 0.5,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.35),
    **dict.fromkeys(("pt", "ar", "ko"), 0.25),
    **dict.fromkeys(("th", "bn", "sw", "te"), 0.1),
}
"""Share of a language's stories that show their steps, and of its requests that come with their record."""

_LISTS = ("animals", "colours", "foods", "cities", "days")


class _Writer:
    """Writes documents; every kind of document is a method."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.grammars: dict[str, Grammar] = {tag: grammar(tag) for tag in SHARES}
        self.kinds = {
            self.arithmetic: 0.14,
            self.story: 0.38,
            self.parallel: 0.14,
            self.request: 0.13,
            self.code: 0.09,
            self.tale: 0.07,
            self.words: 0.05,
        }
        self.make_call = calls.maker(self.grammars["en"])

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, length: int) -> int:
        return int(self.rng.integers(length))

    def language(self) -> Grammar:
        return self.grammars[str(self.rng.choice(list(SHARES), p=list(SHARES.values())))]

    def unseen_story(self) -> stories.Story:
        while True:
            story = stories.make(self.rng)
            if pool(stories.skeleton(story)) == "pretraining":
                return story

    def unseen_call(self) -> calls.Call:
        while True:
            call = self.make_call(self.rng)
            if pool(calls.skeleton(call)) == "pretraining":
                return call

    def unseen_tale(self) -> tales.Tale:
        while True:
            tale = tales.make(self.rng, self.grammars["en"])
            if pool(tales.skeleton(tale)) == "pretraining":
                return tale

    def document(self) -> str:
        methods = list(self.kinds)
        return methods[int(self.rng.choice(len(methods), p=list(self.kinds.values())))](self.language())

    def arithmetic(self, language: Grammar) -> str:
        """Bare equations, alike in all languages."""
        equations: list[str] = []
        while len(equations) < 6:
            sign = "+-*/"[self.pick(4)]
            left = int(self.rng.integers(3, 100))
            right = int(self.rng.integers(3, 41 if sign in "+-" else 10))
            if sign == "*":
                left = int(self.rng.integers(3, 34))
            if sign == "/":
                left = right * int(self.rng.integers(3, 34))
            result = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[sign]
            if 3 <= result <= 99 and left <= 99:
                equations.append(f"{left} {sign} {right} = {result}")
        return ", ".join(equations)

    def story(self, language: Grammar) -> str:
        """A story and how it ends; with its steps, in a share of the text, or with running totals."""
        story = self.unseen_story()
        text = stories.sentences(story, language)
        if self.chance(REASONED[language.tag]):
            return language.join([*text, capitalised(stories.reasoning(story, language))])
        if self.chance(0.3):
            text = [
                f"{sentence} {total}." if total else sentence
                for sentence, total in zip(text, story.totals, strict=True)
            ]
        return language.join([*text, stories.outcome(story, language)])

    def _sentence(self) -> Callable[[Grammar], str]:
        """Something to say, for any language to say it."""
        kind = self.pick(4)
        if kind == 0:
            call = self.unseen_call()
            return lambda language: calls.request(call, language)
        if kind == 1:
            tale = self.unseen_tale()
            return lambda language: tales.story(tale, language)
        story = self.unseen_story()
        if kind == 2:
            return lambda language: stories.outcome(story, language)
        position = self.pick(len(story.sentences))
        return lambda language: stories.sentences(story, language)[position]

    def parallel(self, language: Grammar) -> str:
        """The same sentence in two languages, one of them mostly English."""
        say = self._sentence()
        other = self.grammars["en"] if self.chance(0.7) else self.language()
        while other is language:
            other = self.language()
        pair = [say(language), say(other)]
        if self.chance(0.5):
            pair.reverse()
        return " = ".join(pair)

    def request(self, language: Grammar) -> str:
        """A request and, in a share of the text, the record of what it asks for."""
        tool = list(calls.TOOLS)[self.pick(len(calls.TOOLS))]
        if tool == "song":
            values = calls.values(tool, self.rng, language)
        else:
            call = self.unseen_call()
            tool, values = call.asked.tool, call.values
        text = language.render("api", tool, calls.slots(values, language), self.pick(2))
        if not self.chance(REASONED[language.tag]):
            return text
        labels = self.grammars["en"].labels if self.chance(0.3) else language.labels
        record = "; ".join(f"{labels[key]}: {calls.cite(key, value, language)}" for key, value in values.items())
        return f"{text} {record}"

    def code(self, language: Grammar) -> str:
        """Signatures and calls that follow them; no request."""
        lines = []
        for _ in range(2):
            call = self.unseen_call()
            asked = call.asked if self.chance(0.9) else calls.signature("song", self.rng)
            values = call.values if asked is call.asked else calls.values("song", self.rng, language)
            arguments = ", ".join(
                f"{key}='{calls.cite(name, values[name], language)}'" for name, key in asked.keys.items()
            )
            lines += [str(asked), f"{asked.name}({arguments})"]
        return "\n".join(lines)

    def tale(self, language: Grammar) -> str:
        tale = self.unseen_tale()
        text = tales.story(tale, language)
        if self.chance(REASONED[language.tag]):
            return language.join([text, language.labels["in_short"] + " " + tales.summary(tale, language)])
        return text

    def words(self, language: Grammar) -> str:
        """A list of words of one kind: in a row, numbered, or in capitals where the script has them."""
        section = _LISTS[self.pick(len(_LISTS))]
        concepts = list(language.words[section])
        size = int(self.rng.integers(2, 6))
        chosen = [
            language.cite(section, concepts[index]) for index in self.rng.choice(len(concepts), size, replace=False)
        ]
        form = self.pick(3)
        if form == 1:
            return f"{language.labels[section]}\n" + "\n".join(
                f"{number}. {word}" for number, word in enumerate(chosen, 1)
            )
        if form == 2 and chosen[0].upper() != chosen[0]:
            return "\n".join(f"{word}: {word.upper()}" for word in chosen)
        return f"{language.labels[section]} ({size}): " + ", ".join(chosen)


def documents(seed: int, part: int) -> Iterator[str]:
    """Endless documents; parts of one seed are independent, so that text can be written in parallel."""
    writer = _Writer(stream(seed, "pocket", "text", part))
    while True:
        yield writer.document()
