"""Lines of an exploration for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crosslift.exploring.goal import Limits
from crosslift.exploring.journal import Entry
from crosslift.recommendation.recommend import POINTS
from crosslift.recommendation.summary import amounts_text


def belief_line(entry: Entry) -> str:
    """What is believed after so many runs, in one line."""
    after = f"{entry.num_finished} runs"
    if entry.expected is None or entry.low is None or entry.high is None:
        return f"{after}: cannot tell: {entry.undecided}"
    name = f"{entry.mixture}: " if entry.mixture else ""
    return (
        f"{after}: {name}{amounts_text(entry.amounts)}, expected {POINTS * entry.expected:.1f} "
        f"[{POINTS * entry.low:.1f}, {POINTS * entry.high:.1f}], within {_points(entry)} of the best "
        f"with probability {entry.probability:.2f}"
    )


def batch_lines(entry: Entry, runs: Sequence[str]) -> Iterator[str]:
    """The runs that are executed next: those of a new batch, or the unfinished ones of an earlier one."""
    if not entry.batch:
        yield f"Continuing a batch: {', '.join(runs)}"
        return
    for one in entry.batch:
        yield (
            f"  next: {one.run} ({amounts_text(one.amounts)}), expected gain {POINTS * one.expected_gain:.2f} points"
        )


def result_lines(entry: Entry, limits: Limits) -> Iterator[str]:
    """How the exploration ended."""
    spent = f"{entry.num_explored} runs and {entry.hours:.2g} hours of workers (limit: {limits})"
    if entry.decided:
        yield f"Decided after {spent}: {entry.stop}."
    else:
        yield f"Cannot tell after {spent}: {entry.stop}."
        if entry.undecided:
            yield f"  {entry.undecided}"
        elif entry.probability is not None:
            yield (
                f"  the mixture that is expected to be best is within {_points(entry)} of the best "
                f"with probability {entry.probability:.2f}; asked for was {entry.wanted:g}"
            )


def _points(entry: Entry) -> str:
    points = POINTS * entry.margin
    return f"{points:g} point" if points == 1 else f"{points:g} points"
