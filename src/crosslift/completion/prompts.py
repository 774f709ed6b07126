"""The prompts that are asked, in order. They are examined one by one, when the next one is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from crosslift.completion.recipe import CompletionRecipe
from crosslift.corpora.corpus import ParallelCorpus, taken_in_order
from crosslift.discover import member
from crosslift.errors import CorpusError
from crosslift.languages.identify import identified, in_language
from crosslift.languages.language import language

Reasons = Counter[tuple[str, str]]
"""(language, reason) -> number of prompts or completions that were dropped."""
OTHER = ""
"""In counts, the language of prompts that are in none of the requested languages."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A request to the model."""

    prompt_id: str
    """Id in the source."""
    language: str
    messages: tuple[tuple[str, str], ...]
    """Pairs of role and content; the last one is the user's."""

    @property
    def text(self) -> str:
        """The user's message."""
        return self.messages[-1][1]


Unit = tuple[Prompt, ...]
"""Prompts that are kept or dropped together: one, or the same item in all languages."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """All prompts of a source."""

    corpora: dict[str, ParallelCorpus]
    """Language -> its prompts. If languages are identified, "" -> all prompts."""
    order: dict[str, list[str]]
    """The same keys -> ids of prompts in the order in which they are asked."""
    identified: dict[str, str | None] = field(default_factory=dict)
    """Id of a prompt -> its language as far as it was identified before; None: in none of the languages."""

    @property
    def licence(self) -> str:
        """Licence of the prompts."""
        return "; ".join(dict.fromkeys(corpus.licence for corpus in self.corpora.values()))

    @property
    def revision(self) -> str:
        """Revision of the source."""
        return " ".join(dict.fromkeys(corpus.revision for corpus in self.corpora.values()))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader left out."""
        return tuple(dict.fromkeys(note for corpus in self.corpora.values() for note in corpus.notes))


def read_prompts(recipe: CompletionRecipe) -> Prompts:
    """Read the prompts of the source, each language by itself, because open prompts are rarely parallel.

    Raises:
        CorpusError: the source cannot be read, or lacks a language.
    """
    source = recipe.source
    reader = member("reader", source.reader)
    is_mixed = recipe.prompt_languages == "identified"
    corpora: dict[str, ParallelCorpus] = {}
    for tag in source.languages[:1] if is_mixed else source.languages:
        corpora[OTHER if is_mixed else tag] = reader.read(replace(source, languages=(tag,), incomplete="drop"))
    order = {tag: taken_in_order(source, corpus.item_ids).to_list() for tag, corpus in corpora.items()}
    return Prompts(corpora=corpora, order=order)


@dataclass(kw_only=True)
class Queues:
    """Prompts that can still be asked, and how many were dropped on the way."""

    units: dict[str, Iterator[Unit]]
    """Name of the queue (a language; "" for items in all languages) -> its next units."""
    dropped: Reasons = field(default_factory=Counter)
    """Prompts that were left out before they were asked."""


def queues_of(recipe: CompletionRecipe, prompts: Prompts) -> Queues:
    """Arrange prompts in queues: one per language, or one of items in all languages.

    Args:
        recipe: the recipe.
        prompts: the prompts of its source.
    """
    tags = recipe.source.languages
    found = Queues(units={})
    if recipe.pairing == "item":
        found.units[OTHER] = _items(recipe, prompts, found.dropped)
    elif recipe.prompt_languages == "identified":
        spoken = _Identified(recipe, prompts, found.dropped)
        found.units = {tag: spoken.of(tag) for tag in tags}
    else:
        found.units = {tag: _of_language(recipe, prompts, tag, found.dropped) for tag in tags}
    return found


def _of_language(recipe: CompletionRecipe, prompts: Prompts, tag: str, dropped: Reasons) -> Iterator[Unit]:
    find, fault = _finder(prompts.corpora[tag], tag), _Faults(recipe)
    for prompt in map(find, prompts.order[tag]):
        if reason := fault(prompt):
            dropped[tag, reason] += 1
        else:
            yield (prompt,)


def _items(recipe: CompletionRecipe, prompts: Prompts, dropped: Reasons) -> Iterator[Unit]:
    tags = recipe.source.languages
    finders = {tag: _finder(prompts.corpora[tag], tag) for tag in tags}
    there = {tag: set(prompts.order[tag]) for tag in tags}
    faults = {tag: _Faults(recipe) for tag in tags}
    for prompt_id in prompts.order[tags[0]]:
        lacking = [tag for tag in tags if prompt_id not in there[tag]]
        dropped.update((tag, "no_prompt") for tag in lacking)
        if lacking:
            continue
        unit = tuple(finders[tag](prompt_id) for tag in tags)
        found = [(prompt.language, faults[prompt.language](prompt)) for prompt in unit]
        dropped.update(one for one in found if one[1])
        if not any(reason for _, reason in found):
            yield unit


class _Identified:
    """Prompts of a source that mixes languages, examined once and divided among the queues of the languages."""

    def __init__(self, recipe: CompletionRecipe, prompts: Prompts, dropped: Reasons) -> None:
        self._languages = [language(tag) for tag in recipe.source.languages]
        self._find = _finder(prompts.corpora[OTHER], OTHER)
        self._left = iter(prompts.order[OTHER])
        self._waiting: dict[str, list[Unit]] = {one.tag: [] for one in self._languages}
        self._fault, self._dropped, self._known = _Faults(recipe), dropped, prompts.identified

    def of(self, tag: str) -> Iterator[Unit]:
        """The prompts in a language. Those in other languages that are met on the way wait for their turn."""
        place = 0
        while True:
            while place == len(self._waiting[tag]):
                prompt_id = next(self._left, None)
                if prompt_id is None:
                    return
                self._examine(self._find(prompt_id))
            yield self._waiting[tag][place]
            place += 1

    def _examine(self, prompt: Prompt) -> None:
        if reason := self._fault(prompt):
            self._dropped[OTHER, reason] += 1
            return
        if prompt.prompt_id not in self._known:
            found = identified(prompt.text, self._languages)
            self._known[prompt.prompt_id] = None if found is None else found.tag
        spoken = self._known[prompt.prompt_id]
        if spoken is None:
            self._dropped[OTHER, "prompt_in_no_language"] += 1
        else:
            self._waiting[spoken].append((replace(prompt, language=spoken),))


class _Faults:
    """Finds out why a prompt is not asked; remembers the prompts that it has seen."""

    def __init__(self, recipe: CompletionRecipe) -> None:
        self._recipe = recipe
        self._seen: set[str] = set()

    def __call__(self, prompt: Prompt) -> str:
        """Reason, or "" for a prompt that is asked."""
        if prompt.prompt_id in self._recipe.exclude:
            return "excluded"
        if len(prompt.text) > self._recipe.max_prompt_characters:
            return "prompt_too_long"
        text = " ".join(prompt.text.casefold().split())
        if text in self._seen:
            return "prompt_repeated"
        self._seen.add(text)
        if prompt.language and not in_language(prompt.text, language(prompt.language)):
            return "prompt_in_another_language"
        return ""


def _finder(corpus: ParallelCorpus, tag: str) -> Callable[[str], Prompt]:
    """From an id to its prompt: the conversation up to its first question."""
    places = {item: place for place, item in enumerate(corpus.rows["item_id"])}

    def find(prompt_id: str) -> Prompt:
        messages = corpus.rows["messages"][places[prompt_id]].to_list()
        last = next((place for place, one in enumerate(messages) if one["role"] == "user"), None)
        if last is None:
            raise CorpusError(f"source: '{prompt_id}' has no question. Correct the data.")
        turns = tuple((one["role"], one["content"]) for one in messages[: last + 1])
        return Prompt(prompt_id=prompt_id, language=tag, messages=turns)

    return find
