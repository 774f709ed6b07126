"""The plain text that base models are pretrained on.

It holds the *knowledge* that the tasks need and never their format: stories with their outcome, arithmetic, parallel
sentences, worked steps mostly in high-resource languages, requests beside records or calls of what they ask for, calls
beside the signature they follow, tales with their gist, lists of words. SFT then has something to elicit and to
transfer. A prompt of SFT asks a question or offers two tools to choose from; no document here does either.
Everything comes from the pretraining pool (`pools`), so no held-out item is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from crosslift.pocket import calls, stories, tales, wordlists
from crosslift.pocket.grammar import Grammar, capitalised, grammar
from crosslift.pocket.pools import pool
from crosslift.streams import stream

SHARES = {
    "en": 0.20,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.075),
    **dict.fromkeys(("pt", "ar", "ko"), 0.055),
    **dict.fromkeys(("th", "bn", "sw"), 0.05),
    "te": 0.035,
}
"""Share of documents per language, falling from high- to low-resource languages. Sums to 1."""

REASONED = {
    "en": 0.5,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.4),
    **dict.fromkeys(("pt", "ar", "ko"), 0.3),
    **dict.fromkeys(("th", "bn", "sw", "te"), 0.2),
}
"""Share of a language's documents that show how it is done: stories with their steps, requests with their record or
call, tales with their gist, lists with what was asked for."""


class _Writer:
    """Writes documents; every kind of document is a method."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.grammars: dict[str, Grammar] = {tag: grammar(tag) for tag in SHARES}
        self.kinds = {
            self.arithmetic: 0.11,
            self.story: 0.41,
            self.parallel: 0.12,
            self.request: 0.16,
            self.code: 0.05,
            self.tale: 0.08,
            self.words: 0.07,
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

    def unseen_wordlist(self) -> wordlists.WordList:
        while True:
            wordlist = wordlists.make(self.rng, self.grammars["en"])
            if pool(wordlists.skeleton(wordlist)) == "pretraining":
                return wordlist

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
        if self.chance(0.5):
            text = [
                f"{sentence} {total}." if total else sentence
                for sentence, total in zip(text, story.totals, strict=True)
            ]
        return language.join([*text, stories.outcome(story, language)])

    def _sentence(self) -> Callable[[Grammar], str]:
        """Something to say, for any language to say it."""
        kind = self.pick(6)
        if kind == 0:
            call = self.unseen_call()
            return lambda language: calls.request(call, language)
        if kind == 1:
            tale = self.unseen_tale()
            return lambda language: tales.story(tale, language)
        if kind == 2:
            gist = self.unseen_tale()
            return lambda language: tales.summary(gist, language)
        if kind == 3:
            wordlist = replace(self.unseen_wordlist(), emphasis=False)  # the one demand that scripts say differently
            return lambda language: wordlists.prompt(wordlist, language)
        story = self.unseen_story()
        if kind == 4:
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
        """A request and, in a share of the text, the record of what it asks for or a call that does it."""
        tool = list(calls.TOOLS)[self.pick(len(calls.TOOLS))]
        if tool == "song":
            asked, values = calls.signature(tool, self.rng), calls.values(tool, self.rng, language)
        else:
            call = self.unseen_call()
            asked, values = call.asked, call.values
        text = language.render("api", asked.tool, calls.slots(values, language), self.pick(2))
        if not self.chance(REASONED[language.tag]):
            return text
        if self.chance(0.6):
            lines = [text, calls.written(asked, values, language)]
            return "\n".join([str(asked), *lines] if self.chance(0.5) else lines)
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
            lines += [str(asked), calls.written(asked, values, language)]
        return "\n".join(lines)

    def tale(self, language: Grammar) -> str:
        tale = self.unseen_tale()
        text = tales.story(tale, language)
        if self.chance(REASONED[language.tag]):
            return language.join([text, language.labels["in_short"] + " " + tales.summary(tale, language)])
        return text

    def words(self, language: Grammar) -> str:
        """A list of words of one kind, in a share of the text with what was asked for, or words in capitals."""
        wordlist = self.unseen_wordlist()
        if self.chance(0.2) and language.emphasis == "capitals":
            chosen = [language.cite(wordlist.section, concept) for concept in wordlist.concepts]
            return "\n".join(f"{word}: {wordlists.stressed(word, language)}" for word in chosen)
        heading = language.labels[wordlist.section]
        if self.chance(REASONED[language.tag]):
            heading = wordlists.prompt(wordlist, language)
        elif self.chance(0.5):
            heading += f" ({len(wordlist.concepts)})"
        return f"{heading}\n{wordlists.answer(wordlist, language)}"


def documents(seed: int, part: int) -> Iterator[str]:
    """Endless documents; parts of one seed are independent, so that text can be written in parallel."""
    writer = _Writer(stream(seed, "pocket", "text", part))
    while True:
        yield writer.document()
