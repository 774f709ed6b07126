"""Pretraining text of the pocket models.

The text contains the *knowledge* that the tasks need, but never their format: stories with their results, arithmetic,
parallel sentences, step-by-step solutions mostly in high-resource languages, requests with matching records or calls,
signatures with matching calls, tales with summaries, and lists of words. Fine-tuning can thus elicit and transfer this
knowledge. Prompts of fine-tuning ask a question or offer two tools to choose from; no document here does either.
All items are from the pretraining pool (`pools`), so the text contains no held-out item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from crosslift.pocket import calls, stories, tales, wordlists
from crosslift.pocket.grammar import Grammar, capitalize, grammar
from crosslift.pocket.pools import pool
from crosslift.streams import stream

LANGUAGE_SHARES = {
    "en": 0.20,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.075),
    **dict.fromkeys(("pt", "ar", "ko"), 0.055),
    **dict.fromkeys(("th", "bn", "sw"), 0.05),
    "te": 0.035,
}
"""Share of documents per language, falling from high- to low-resource languages. Sums to 1."""

DEMONSTRATION_SHARES = {
    "en": 0.5,
    **dict.fromkeys(("es", "fr", "de", "zh", "ru", "ja"), 0.4),
    **dict.fromkeys(("pt", "ar", "ko"), 0.3),
    **dict.fromkeys(("th", "bn", "sw", "te"), 0.2),
}
"""Share of a language's documents with demonstrations: stories with step-by-step solutions, requests with records or
calls, tales with summaries, lists with their instructions."""


class _Writer:
    """Samples documents; every kind of document is a method."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.grammars: dict[str, Grammar] = {tag: grammar(tag) for tag in LANGUAGE_SHARES}
        self.kinds = {
            self.arithmetic: 0.11,
            self.story: 0.41,
            self.parallel: 0.12,
            self.request: 0.16,
            self.code: 0.05,
            self.tale: 0.08,
            self.words: 0.07,
        }
        self.make_call = calls.call_sampler(self.grammars["en"])

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, length: int) -> int:
        return int(self.rng.integers(length))

    def language(self) -> Grammar:
        return self.grammars[str(self.rng.choice(list(LANGUAGE_SHARES), p=list(LANGUAGE_SHARES.values())))]

    def sample_story(self) -> stories.Story:
        while True:
            story = stories.make(self.rng)
            if pool(stories.skeleton(story)) == "pretraining":
                return story

    def sample_call(self) -> calls.Call:
        while True:
            call = self.make_call(self.rng)
            if pool(calls.skeleton(call)) == "pretraining":
                return call

    def sample_tale(self) -> tales.Tale:
        while True:
            tale = tales.make(self.rng, self.grammars["en"])
            if pool(tales.skeleton(tale)) == "pretraining":
                return tale

    def sample_wordlist(self) -> wordlists.WordList:
        while True:
            wordlist = wordlists.make(self.rng, self.grammars["en"])
            if pool(wordlists.skeleton(wordlist)) == "pretraining":
                return wordlist

    def document(self) -> str:
        methods = list(self.kinds)
        return methods[int(self.rng.choice(len(methods), p=list(self.kinds.values())))](self.language())

    def arithmetic(self, language: Grammar) -> str:
        """Equations without text, the same in all languages."""
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
        """A story and its result, partly with a step-by-step solution or with intermediate results."""
        story = self.sample_story()
        text = stories.sentences(story, language)
        if self.chance(DEMONSTRATION_SHARES[language.tag]):
            return language.join([*text, capitalize(stories.reasoning(story, language))])
        if self.chance(0.5):
            text = [
                f"{sentence} {total}." if total else sentence
                for sentence, total in zip(text, story.totals, strict=True)
            ]
        return language.join([*text, stories.outcome(story, language)])

    def _sentence(self) -> Callable[[Grammar], str]:
        """A function that renders one sentence or short text in any language."""
        kind = self.pick(6)
        if kind == 0:
            call = self.sample_call()
            return lambda language: calls.request(call, language)
        if kind == 1:
            tale = self.sample_tale()
            return lambda language: tales.story(tale, language)
        if kind == 2:
            summarized = self.sample_tale()
            return lambda language: tales.summary(summarized, language)
        if kind == 3:
            wordlist = replace(self.sample_wordlist(), emphasis=False)  # emphasis differs between scripts
            return lambda language: wordlists.prompt(wordlist, language)
        story = self.sample_story()
        if kind == 4:
            return lambda language: stories.outcome(story, language)
        position = self.pick(len(story.sentences))
        return lambda language: stories.sentences(story, language)[position]

    def parallel(self, language: Grammar) -> str:
        """The same text in two languages, one of which is mostly English."""
        say = self._sentence()
        other = self.grammars["en"] if self.chance(0.7) else self.language()
        while other is language:
            other = self.language()
        pair = [say(language), say(other)]
        if self.chance(0.5):
            pair.reverse()
        return " = ".join(pair)

    def request(self, language: Grammar) -> str:
        """A request, partly with a record of the requested values or with the matching call."""
        tool = list(calls.TOOLS)[self.pick(len(calls.TOOLS))]
        if tool == "song":
            requested, values = calls.sample_signature(tool, self.rng), calls.sample_values(tool, self.rng, language)
        else:
            call = self.sample_call()
            requested, values = call.requested, call.values
        text = language.render("api", requested.tool, calls.slots(values, language), self.pick(2))
        if not self.chance(DEMONSTRATION_SHARES[language.tag]):
            return text
        if self.chance(0.6):
            lines = [text, calls.render_call(requested, values, language)]
            return "\n".join([str(requested), *lines] if self.chance(0.5) else lines)
        labels = self.grammars["en"].labels if self.chance(0.3) else language.labels
        record = "; ".join(
            f"{labels[key]}: {calls.citation_form(key, value, language)}" for key, value in values.items()
        )
        return f"{text} {record}"

    def code(self, language: Grammar) -> str:
        """Signatures and matching calls, without requests."""
        lines = []
        for _ in range(2):
            call = self.sample_call()
            requested = call.requested if self.chance(0.9) else calls.sample_signature("song", self.rng)
            values = call.values if requested is call.requested else calls.sample_values("song", self.rng, language)
            lines += [str(requested), calls.render_call(requested, values, language)]
        return "\n".join(lines)

    def tale(self, language: Grammar) -> str:
        tale = self.sample_tale()
        text = tales.story(tale, language)
        if self.chance(DEMONSTRATION_SHARES[language.tag]):
            return language.join([text, language.labels["in_short"] + " " + tales.summary(tale, language)])
        return text

    def words(self, language: Grammar) -> str:
        """A list of words of one topic, partly with its instructions, or words with their capitalized forms."""
        wordlist = self.sample_wordlist()
        if self.chance(0.2) and language.emphasis == "capitals":
            chosen = [language.citation_form(wordlist.section, concept) for concept in wordlist.concepts]
            return "\n".join(f"{word}: {wordlists.emphasize(word, language)}" for word in chosen)
        heading = language.labels[wordlist.section]
        if self.chance(DEMONSTRATION_SHARES[language.tag]):
            heading = wordlists.prompt(wordlist, language)
        elif self.chance(0.5):
            heading += f" ({len(wordlist.concepts)})"
        return f"{heading}\n{wordlists.answer(wordlist, language)}"


def documents(seed: int, part: int) -> Iterator[str]:
    """Yield documents without end. The parts of a seed are independent, so that they can be written in parallel."""
    writer = _Writer(stream(seed, "pocket", "text", part))
    while True:
        yield writer.document()
