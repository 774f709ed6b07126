"""Exactly parallel corpora written by the grammar of the pocket world: four tasks in fourteen languages.

Splits are disjoint by construction (`pocket.pools`) and the first n items are the same however many are asked for.
Items that are the same problem under other names (the same numbers, the same tool and values) share a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.fingerprint import fingerprint
from crosslift.pocket import calls, grammar, pools, stories, tales, wordlists
from crosslift.pocket.grammar import Grammar
from crosslift.pocket.pools import Pool

OPTIONS: dict[str, type] = {}
NEEDS_PATH = False
DEFAULT_ITEMS = 1000
"""Where a split has so many."""
WORLD = 3
"""Version of the grammar's rules; a change of the words is seen by their hash."""

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How a task's items are made from a plan, whatever it is a plan of."""

    make: Callable[[np.random.Generator], Any]
    skeleton: Callable[[Any], str]
    largest: dict[str, int]
    """Items of each split; fewer than there are, so that they are found in reasonable time."""
    prompt: Callable[[Any, Grammar], str]
    completion: Callable[[Any, Grammar], str]
    answer: Callable[[Any, Grammar], str]


def _english() -> Grammar:
    return grammar.grammar("en")


def _make_tale(rng: np.random.Generator) -> tales.Tale:
    return tales.add_distractor(rng, tales.make(rng, _english()), _english())


def _make_list(rng: np.random.Generator) -> wordlists.WordList:
    return wordlists.canonical_order(wordlists.make(rng, _english()), _english())


def _make_call(rng: np.random.Generator) -> calls.Call:
    return calls.call_sampler(_english())(rng)


KINDS: dict[str, _Kind] = {
    "math": _Kind(
        make=stories.make,
        skeleton=stories.skeleton,
        largest={"train": 50_000, "validation": 2_000, "test": 4_000},
        prompt=stories.problem,
        completion=stories.solution,
        answer=lambda story, language: str(story.answer),
    ),
    "api_calling": _Kind(
        make=_make_call,
        skeleton=calls.skeleton,
        largest={"train": 50_000, "validation": 50_000, "test": 50_000},
        prompt=calls.prompt,
        completion=calls.answer,
        answer=calls.answer,
    ),
    "summarization": _Kind(
        make=_make_tale,
        skeleton=tales.skeleton,
        largest={"train": 5_000, "validation": 150, "test": 400},
        prompt=tales.story,
        completion=tales.summary,
        answer=tales.summary,
    ),
    "instruction_following": _Kind(
        make=_make_list,
        skeleton=wordlists.skeleton,
        largest={"train": 20_000, "validation": 150, "test": 400},
        prompt=wordlists.prompt,
        completion=wordlists.answer,
        answer=lambda wordlist, language: json.dumps(wordlists.constraints(wordlist, language), ensure_ascii=False),
    ),
}


def _plans(kind: _Kind, split: Pool) -> Iterator[tuple[str, Any]]:
    """Endless plans and their clusters: no item reads like another, and outside training no skeleton comes twice (calls
    apart, of which there are not enough)."""
    seen: set[str] = set()
    english = _english()
    for plan in pools.draw(kind.make, kind.skeleton, split):
        cluster = kind.skeleton(plan)
        texts = split == "train" or kind is KINDS["api_calling"]
        problem = kind.prompt(plan, english) + kind.completion(plan, english) if texts else cluster
        if problem not in seen:
            seen.add(problem)
            yield cluster, plan


def read(source: Source) -> ParallelCorpus:
    """Write `max_items` items (1,000 unless told) of a split in the languages asked for.

    Raises:
        CorpusError: a task, split or language that the pocket world does not have.
    """
    place = source.place
    problems = []
    if source.task not in KINDS:
        problems.append(f"{place}: the pocket world has no task '{source.task}'. It has: {', '.join(KINDS)}.")
    if source.split not in _SPLITS:
        problems.append(f"{place}: the pocket world has no split '{source.split}'. It has: {', '.join(_SPLITS)}.")
    problems += [
        f"{place}: the pocket world does not speak '{tag}'. It speaks: {', '.join(grammar.tags())}."
        for tag in source.languages
        if tag not in grammar.tags()
    ]
    largest = DEFAULT_ITEMS if problems else KINDS[source.task].largest[source.split]
    num_items = source.max_items or min(DEFAULT_ITEMS, largest)
    if num_items > largest:
        problems.append(f"{place}: max_items is {num_items}; this split of the pocket world goes to {largest}.")
    if problems:
        raise CorpusError("\n".join(problems))
    languages = [grammar.grammar(tag) for tag in source.languages]
    columns: dict[str, list[object]] = {name: [] for name in ROWS.names()}
    kind = KINDS[source.task]
    for number, (cluster, plan) in zip(range(num_items), _plans(kind, cast(Pool, source.split)), strict=False):
        item_id = f"{source.task}-{source.split}-{number:05}"
        for language in languages:
            columns["item_id"].append(item_id)
            columns["language"].append(language.tag)
            columns["messages"].append(
                [
                    {"role": "user", "content": kind.prompt(plan, language)},
                    {"role": "assistant", "content": kind.completion(plan, language)},
                ]
            )
            columns["answer"].append(kind.answer(plan, language))
            columns["cluster"].append(fingerprint(cluster))
            columns["origin"].append("grammar")
    words = fingerprint([[language.words, language.sentences, language.counting] for language in languages])
    return ParallelCorpus.build(
        source,
        pl.DataFrame(columns, schema=ROWS),
        licence="Apache-2.0",
        revision=f"pocket world {WORLD}, words {words}",
    )
