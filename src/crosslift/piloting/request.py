"""What a pilot is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crosslift.corpora.corpus import Source
from crosslift.recommendation.question import Question

MIN_RUNS = 4
"""Fewest runs: a control, its second seed, and two further mixtures."""
MAX_RUNS = 60
MIN_LANGUAGES, MAX_LANGUAGES = 2, 24


@dataclass(frozen=True, kw_only=True)
class PilotRequest:
    """A question with the data and models that exist."""

    source: Source
    """The training data that exist; the first of its languages is the one to translate from, and the control."""
    test: Source | None
    """The test data that exist, in the same languages; None: a part of the training data is held out."""
    question: Question
    """Languages to consider, costs and budget; see `Question`."""
    model: str
    """Hub name or local path of the model of the pilot."""
    larger: str | None = None
    """The model that is to be trained in the end, for an arm that is switched on later."""
    num_runs: int = 10
    """Training runs, the second seed of the control included."""
    budget: float | None = None
    """Cost that the pilot's translations may have; None: PILOT_SHARE of the question's budget, if it has one."""
    num_test_items: int | None = None
    """Items to test with; None: a quarter of what the pilot uses."""
    seed: int = 0
    """Seed of the random candidates."""

    @property
    def pivot(self) -> str:
        """The language that is translated from, and the control."""
        return self.source.languages[0]

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the pilot: the pivot and those of the question, or those of the data."""
        asked = self.question.languages or self.source.languages
        return tuple(dict.fromkeys([self.pivot, *asked]))

    @property
    def missing(self) -> tuple[str, ...]:
        """Languages into which the data are to be translated."""
        return tuple(tag for tag in self.languages if tag not in self.source.languages)

    @property
    def translation_budget(self) -> float | None:
        """Cost that the translations may have; None: unlimited."""
        if self.budget is not None:
            return self.budget
        return None if self.question.budget is None else PILOT_SHARE * self.question.budget


PILOT_SHARE = 0.3
"""Share of the question's budget that a pilot may spend on translations by default."""


def request_problems(request: PilotRequest, *, prefix: str = "") -> Iterator[str]:
    """Check a request before the data are read.

    Args:
        request: the request.
        prefix: of the names of options in messages, such as "--".

    Yields:
        One message per problem.
    """
    if not MIN_RUNS <= request.num_runs <= MAX_RUNS:
        yield f"{prefix}runs {request.num_runs}: must be from {MIN_RUNS} to {MAX_RUNS}."
    if not MIN_LANGUAGES <= len(request.languages) <= MAX_LANGUAGES:
        yield (
            f"{prefix}languages {','.join(request.languages)}: a pilot compares {MIN_LANGUAGES} to {MAX_LANGUAGES} "
            f"languages, {request.pivot} included. Name the languages to consider."
        )
    if request.question.unit != "items":
        yield f"{prefix}unit {request.question.unit}: the mixtures of a pilot are counted in items. Leave it out."
    for tag in request.missing:
        if request.question.cost(tag).per == "token":
            yield (
                f"{prefix}cost {tag}: tokens are not known before the data are translated. Give the cost of one item."
            )
    for tag in request.question.existing:
        if tag in request.missing:
            yield (
                f"{prefix}existing {tag}: is not among the languages of the data "
                f"({', '.join(request.source.languages)}). Add its rows to the data and name it with "
                f"{prefix}data-languages, or leave it out."
            )
    if request.larger is not None and request.larger == request.model:
        yield f"{prefix}larger {request.larger}: is the model of the pilot. Name another, or leave it out."
    if request.budget is not None and request.budget < 0:
        yield f"{prefix}pilot-budget {request.budget:g}: must be at least 0."
    if request.num_test_items is not None and request.num_test_items < MIN_TEST:
        yield f"{prefix}test-items {request.num_test_items}: must be at least {MIN_TEST}."


MIN_TEST = 30
"""Fewest items to test with."""
