"""Exactly parallel corpora written by the grammar of the pocket world: tasks math and api_calling, fourteen languages.

Splits are disjoint by construction (`pocket.pools`) and the first n items are the same however many are asked for.
Items that are the same problem under other names (the same numbers, the same tool and values) share a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.fingerprint import fingerprint
from crosslift.pocket import calls, grammar, pools, stories
from crosslift.pocket.grammar import Grammar
from crosslift.pocket.pools import Pool

OPTIONS: dict[str, type] = {}
NEEDS_PATH = False
DEFAULT_ITEMS = 1000
WORLD = 1
"""Version of the grammar's rules; a change of the words is seen by their hash."""

LARGEST = {"math": 50_000, "api_calling": 50_000}
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class _Item:
    problem: str
    cluster: str
    plan: stories.Story | calls.Call

    def render(self, language: Grammar) -> tuple[str, str, str]:
        """Prompt, completion, gold answer."""
        if isinstance(self.plan, stories.Story):
            return (
                stories.problem(self.plan, language),
                stories.solution(self.plan, language),
                str(self.plan.answer),
            )
        answer = calls.answer(self.plan, language)
        return calls.prompt(self.plan, language), answer, answer


def _plans(task: str, split: Pool) -> Iterator[_Item]:
    """Endless items, each problem in the same words only once."""
    seen: set[str] = set()
    if task == "math":
        for story in pools.draw(stories.make, stories.skeleton, split):
            cluster = stories.skeleton(story)
            problem = f"{cluster}|{story.people}|{story.thing}" if split == "train" else cluster
            if problem not in seen:
                seen.add(problem)
                yield _Item(problem=problem, cluster=cluster, plan=story)
    else:
        for call in pools.draw(calls.maker(grammar.grammar("en")), calls.skeleton, split):
            cluster = calls.skeleton(call)
            problem = f"{cluster}|{'|'.join(map(str, call.tools))}|{call.wording}"
            if problem not in seen:
                seen.add(problem)
                yield _Item(problem=problem, cluster=cluster, plan=call)


def read(source: Source) -> ParallelCorpus:
    """Write `max_items` items (1,000 unless told) of a split in the languages asked for.

    Raises:
        CorpusError: a task, split or language that the pocket world does not have.
    """
    place = source.place
    problems = []
    if source.task not in LARGEST:
        problems.append(f"{place}: the pocket world has no task '{source.task}'. It has: {', '.join(LARGEST)}.")
    if source.split not in _SPLITS:
        problems.append(f"{place}: the pocket world has no split '{source.split}'. It has: {', '.join(_SPLITS)}.")
    problems += [
        f"{place}: the pocket world does not speak '{tag}'. It speaks: {', '.join(grammar.tags())}."
        for tag in source.languages
        if tag not in grammar.tags()
    ]
    num_items = source.max_items or DEFAULT_ITEMS
    if not problems and num_items > LARGEST[source.task]:
        problems.append(f"{place}: max_items is {num_items}; the pocket world goes to {LARGEST[source.task]}.")
    if problems:
        raise CorpusError("\n".join(problems))
    languages = [grammar.grammar(tag) for tag in source.languages]
    columns: dict[str, list[object]] = {name: [] for name in ROWS.names()}
    for number, item in zip(range(num_items), _plans(source.task, cast(Pool, source.split)), strict=False):
        item_id = f"{source.task}-{source.split}-{number:05}"
        for language in languages:
            prompt, completion, answer = item.render(language)
            columns["item_id"].append(item_id)
            columns["language"].append(language.tag)
            columns["messages"].append(
                [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
            )
            columns["answer"].append(answer)
            columns["cluster"].append(fingerprint(item.cluster))
            columns["origin"].append("grammar")
    words = fingerprint([[language.words, language.sentences, language.counting] for language in languages])
    return ParallelCorpus.build(
        source,
        pl.DataFrame(columns, schema=ROWS),
        licence="Apache-2.0",
        revision=f"pocket world {WORLD}, words {words}",
    )
