"""What several studies have in common before anything is estimated: evaluations, languages and test items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from crosslift.comparing.left_out import leave_out
from crosslift.comparing.name_map import NameMap
from crosslift.comparing.pooled.composition import items_fingerprint
from crosslift.comparing.result_set import ResultSet


def common_evaluations(
    sets: Sequence[ResultSet], names: NameMap, left_out: list[dict[str, Any]]
) -> Iterator[tuple[str, dict[int, str]]]:
    """Yield each evaluation of at least two studies, with {place of the study: its own name}."""
    found: dict[str, dict[int, str]] = {}
    for place, one in enumerate(sets):
        for own in one.study.evaluations:
            if one.scores.filter(evaluation=own).height:
                name = names.names.get("evaluation", {}).get(own, own) if place else own
                found.setdefault(name, {})[place] = own
    for name, users in found.items():
        task = sets[min(users)].task(users[min(users)])
        same = {}
        for place, own in users.items():
            if sets[place].task(own) == task:
                same[place] = own
                continue
            cells = sets[place].cells.filter(evaluation=own).height
            left_out.append(
                leave_out("evaluation", name, sets[place].label, f"other task: not {task}", num_cells=cells)
            )
        if len(same) > 1:
            yield name, same
            continue
        for place, own in same.items():
            cells = sets[place].cells.filter(evaluation=own).height
            left_out.append(leave_out("evaluation", name, sets[place].label, "in no other study", num_cells=cells))


def common_languages(
    sets: Sequence[ResultSet], users: dict[int, str], left_out: list[dict[str, Any]], evaluation: str
) -> list[str]:
    """Return the languages that all studies evaluate; a mean over other languages would be another quantity."""
    tags = {place: set(sets[place].scores.filter(evaluation=own)["language"].unique()) for place, own in users.items()}
    common = set.intersection(*tags.values())
    for place, own in users.items():
        for tag in sorted(tags[place] - common):
            cells = sets[place].cells.filter(evaluation=own, language=tag).height
            left_out.append(
                leave_out(
                    "language", f"{tag} of {evaluation}", sets[place].label, "not in every study", num_cells=cells
                )
            )
    return sorted(common)


def overlaps(sets: Sequence[ResultSet], users: dict[int, str], evaluation: str, tags: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each pair of studies whose test items are the same in part."""
    known = {place: sets[place].test_items(own) for place, own in users.items()}
    groups = {place: items_fingerprint(sets[place], own, tags) for place, own in users.items()}
    for place in users:
        for other in users:
            one, two = known[place], known[other]
            if other <= place or one is None or two is None or groups[place] == groups[other]:
                continue
            tag = pl.col("language") == tags[0]
            shared = one.filter(tag).join(two.filter(tag), on="content", how="semi").height
            if shared:
                yield (
                    f"{evaluation}: {shared} test items of {sets[place].label} and {sets[other].label} are the same, "
                    "the others are not. The errors of both studies on these items are taken as fully dependent, so "
                    "the intervals are rather too wide than too narrow."
                )
