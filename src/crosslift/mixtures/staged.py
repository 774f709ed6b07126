"""Amounts of mixtures with stages: curricula, and replay of earlier data.

A curriculum asks whether the order of the data matters, so that its mixtures differ in nothing else: the stages as
given, in reverse, and shuffled together as the control contain the same examples. In a replay family a share of every
later stage is data of the earlier ones, trained on again, in place of as much of its own (T. Scialom, T. Chakrabarty
and S. Muresan 2022, Fine-tuned language models are continual learners; A. Ibrahim et al. 2024, Simple and scalable
strategies to continually pre-train large language models), so that the amount of each stage stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crosslift.mixtures.mixture import Stage, largest_remainder

Cells = dict[tuple[str, str], int]
"""(corpus, language) -> amount."""


def stage_amounts(stages: Sequence[Mapping[str, float]], corpora: Sequence[str], total: int) -> list[Cells]:
    """Divide a total among the languages of the stages, equally over the corpora.

    Args:
        stages: language -> share of the total, per stage.
        corpora: names of the corpora.
        total: the total amount.

    Returns:
        The amounts of each stage; together they are exactly the total.
    """
    cells = [(number, corpus, tag) for number, stage in enumerate(stages) for corpus in corpora for tag in stage]
    shares = [stages[number][tag] for number, _, tag in cells]
    found: list[Cells] = [{} for _ in stages]
    for (number, corpus, tag), amount in zip(cells, _divided(total, shares), strict=True):
        found[number][corpus, tag] = amount
    return found


def with_replay(stages: Sequence[Cells], share: float) -> list[tuple[Cells, Cells]]:
    """Give a share of every later stage to data of the earlier ones, in proportion to their amounts.

    Args:
        stages: amounts of each stage without replay.
        share: share of the amount of a stage, from 0 to below 1.

    Returns:
        New and replayed amounts of each stage; the sum of both is that of the stage.
    """
    found: list[tuple[Cells, Cells]] = []
    earlier: Cells = {}
    for stage in stages:
        total = sum(stage.values())
        (num_new, num_again) = largest_remainder(total, [1 - share, share]) if earlier else (total, 0)
        new = dict(zip(stage, _divided(num_new, list(stage.values())), strict=True))
        again = dict(zip(earlier, _divided(num_again, list(earlier.values())), strict=True))
        found.append((new, {cell: amount for cell, amount in again.items() if amount}))
        for cell, amount in new.items():
            earlier[cell] = earlier.get(cell, 0) + amount
    return found


def replay_is_possible(stages: Sequence[tuple[Cells, Cells]]) -> bool:
    """Whether no stage replays more than the earlier stages have."""
    earlier: Cells = {}
    for new, again in stages:
        if any(amount > earlier.get(cell, 0) for cell, amount in again.items()):
            return False
        for cell, amount in new.items():
            earlier[cell] = earlier.get(cell, 0) + amount
    return True


def stages_of(parts: Sequence[tuple[Cells, Cells]]) -> tuple[Stage, ...]:
    """Convert new and replayed amounts to the stages of a mixture."""
    return tuple(Stage(amounts=_nested(new), replayed=_nested(again)) for new, again in parts)


def total_counts(parts: Sequence[tuple[Cells, Cells]]) -> dict[str, dict[str, int]]:
    """Sum the amounts of all stages: corpus -> language -> amount."""
    total: Cells = {}
    for cells in (cells for part in parts for cells in part):
        for cell, amount in cells.items():
            total[cell] = total.get(cell, 0) + amount
    return _nested(total)


def _nested(cells: Cells) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (corpus, tag), amount in cells.items():
        found.setdefault(corpus, {})[tag] = amount
    return found


def _divided(total: int, shares: Sequence[float]) -> list[int]:
    """Apportion by shares; where all are 0, which the rules reject, equally."""
    if not shares:
        return []
    return largest_remainder(total, shares if any(shares) else [1.0] * len(shares))
