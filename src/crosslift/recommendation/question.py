"""What is asked of a recommendation, before a study is looked at.

A question says what is wanted (scores, of which tasks and languages), what may be spent, what the data cost and what
exists already. The options of commands, the arguments of Python functions and the entries of a question file are
`QuestionOptions`. Names of evaluations and models are checked when a study answers the question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from crosslift.errors import StudyError, UnknownName
from crosslift.languages.tags import resolve
from crosslift.transfer.estimates.language_groups import ENGLISH

Unit = Literal["items", "tokens"]
ObjectiveKind = Literal["mean", "worst", "weighted"]
UNITS: tuple[Unit, ...] = ("items", "tokens")
OBJECTIVES: tuple[ObjectiveKind, ...] = ("mean", "worst", "weighted")
ALL = "all"
"""What is written for everything that exists."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of training data in one language."""

    amount: float = 1.0
    """Cost of one item or token, in any currency; above 0."""
    per: Literal["item", "token"] | None = None
    """What `amount` is the cost of; None: of one unit of the amounts."""
    fixed: float = 0.0
    """Cost that any new data in this language have once, such as finding a translator."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A minimum score. All floors together are kept with a probability of `objective.CONFIDENCE`."""

    language: str
    """Evaluation language."""
    minimum: float
    """Smallest score, as a share of the metric's range."""
    evaluation: str | None = None
    """Evaluation; None: every evaluation of the question that has the language."""

    @property
    def name(self) -> str:
        """The language, with its evaluation if the floor is for one evaluation: "en" or "math:en"."""
        return self.language if self.evaluation is None else f"{self.evaluation}:{self.language}"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a recommendation. None or empty means: taken from the study."""

    evaluations: Mapping[str, float] = field(default_factory=dict)
    """Evaluation -> weight of its objective; empty: the only one of the study."""
    model: str | None = None
    """Name of the model that is to be trained."""
    budget: float | None = None
    """Maximum cost; None: that of the most expensive mixture that was trained."""
    unit: Unit = "items"
    """Unit of the amounts."""
    languages: tuple[str, ...] = ()
    """Tags of the languages that a mixture may contain; empty: those of the study's trained mixtures."""
    costs: Mapping[str, Cost] = field(default_factory=dict)
    """Language -> cost; 1 per unit by default."""
    existing: Mapping[str, float] = field(default_factory=dict)
    """Language -> amount that exists already and costs nothing, in `unit`; infinite: everything exists."""
    translatable: float | None = None
    """Number of items that can be translated into each language; None: a mixture holds only what the corpora hold."""
    objective: ObjectiveKind = "mean"
    """Mean, minimum or weighted mean of the scores over evaluation languages."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Language -> weight in the objective "weighted", such as its number of users; empty: its number of speakers."""
    floors: tuple[Floor, ...] = ()
    """Minimum scores."""

    def cost(self, language: str) -> Cost:
        """The cost of a language."""
        return self.costs.get(language, Cost())


class QuestionOptions(TypedDict, total=False):
    """A question as options of a command or as arguments in Python. Language codes of data sets are understood."""

    evaluation: str | Mapping[str, float] | None
    """Name of the evaluation to optimise, or evaluation -> weight for several at once."""
    model: str | None
    budget: float | None
    unit: Unit
    languages: Iterable[str]
    costs: Mapping[str, float | Cost] | None
    """Language -> cost of one unit, or a `Cost`."""
    existing: Mapping[str, float | Literal["all"]] | None
    translatable: float | None
    objective: ObjectiveKind
    weights: Mapping[str, float] | None
    at_least: Mapping[str, float] | None
    """Language, or "evaluation:language" -> minimum score."""
    english_at_least: float | None
    """Minimum score in English; the same as `at_least = {"en": ...}`."""


def question_of(options: QuestionOptions, *, prefix: str = "") -> Question:
    """Build a question.

    Args:
        options: what is asked; missing entries have the defaults of `Question`.
        prefix: of the names of options in messages, such as "--" or "question.toml, ".

    Raises:
        StudyError: an option is invalid; all problems are listed.
    """
    problems = list(option_problems(options, prefix=prefix))
    if problems:
        raise StudyError(problems)
    asked = options.get("evaluation")
    evaluations = {asked: 1.0} if isinstance(asked, str) else {name: float(one) for name, one in (asked or {}).items()}
    floors = dict(options.get("at_least") or {})
    if (english := options.get("english_at_least")) is not None:
        floors.setdefault(ENGLISH, english)
    return Question(
        evaluations=evaluations,
        model=options.get("model"),
        budget=options.get("budget"),
        unit=options.get("unit", "items"),
        languages=tuple(dict.fromkeys(map(resolve, options.get("languages", ())))),
        costs={
            resolve(tag): one if isinstance(one, Cost) else Cost(amount=float(one))
            for tag, one in (options.get("costs") or {}).items()
        },
        existing={
            resolve(tag): math.inf if one == ALL else float(one) for tag, one in (options.get("existing") or {}).items()
        },
        translatable=options.get("translatable"),
        objective=options.get("objective", "mean"),
        weights={resolve(tag): float(one) for tag, one in (options.get("weights") or {}).items()},
        floors=tuple(_floor(name, minimum) for name, minimum in floors.items()),
    )


def _floor(name: str, minimum: float) -> Floor:
    evaluation, _, code = name.rpartition(":")
    return Floor(language=resolve(code), minimum=float(minimum), evaluation=evaluation or None)


def option_problems(options: QuestionOptions, *, prefix: str = "") -> Iterator[str]:
    """Check everything about a question that can be checked without a study.

    Args:
        options: what is asked.
        prefix: of the names of options in messages.

    Yields:
        One message per problem.
    """
    if (unit := options.get("unit", "items")) not in UNITS:
        yield f"{prefix}unit {unit}: must be items or tokens."
    if (objective := options.get("objective", "mean")) not in OBJECTIVES:
        yield f"{prefix}objective {objective}: must be mean, worst or weighted."
    for name, value in (("budget", options.get("budget")), ("translatable", options.get("translatable"))):
        if value is not None and not _above_zero(value):
            yield f"{prefix}{name} {value}: must be a finite number above 0."
    yield from _language_problems(options, prefix)
    yield from _weight_problems(options, prefix)
    yield from _cost_problems(options, prefix)
    yield from _floor_problems(options, prefix)


def _language_problems(options: QuestionOptions, prefix: str) -> Iterator[str]:
    given: list[tuple[str, Any]] = [
        ("languages", list(options.get("languages", ()))),
        ("cost", options.get("costs")),
        ("existing", options.get("existing")),
        ("weight", options.get("weights")),
        ("at-least", [name.rpartition(":")[2] for name in options.get("at_least") or {}]),
    ]
    for name, codes in given:
        seen: dict[str, str] = {}
        for code in codes or ():
            try:
                tag = resolve(code)
            except UnknownName as error:
                yield f"{prefix}{name} {code}: {error}"
                continue
            if name in ("cost", "existing", "weight") and seen.setdefault(tag, code) != code:
                yield f"{prefix}{name} {code}: is the same language as {seen[tag]}. Keep one."


def _weight_problems(options: QuestionOptions, prefix: str) -> Iterator[str]:
    asked = options.get("evaluation")
    for name, weight in ({} if asked is None or isinstance(asked, str) else asked).items():
        if not _above_zero(weight):
            yield f"{prefix}evaluation {name}={weight:g}: must be a finite number above 0. Leave the evaluation out."
    weights = options.get("weights") or {}
    for tag, weight in weights.items():
        if not _at_least_zero(weight):
            yield f"{prefix}weight {tag}={weight:g}: must be a finite number of at least 0."
    if weights and not any(weights.values()):
        yield f"{prefix}weight: at least one language needs a weight above 0."


def _cost_problems(options: QuestionOptions, prefix: str) -> Iterator[str]:
    for tag, cost in (options.get("costs") or {}).items():
        one = cost if isinstance(cost, Cost) else Cost(amount=cost)
        if not _above_zero(one.amount):
            yield (
                f"{prefix}cost {tag}={one.amount:g}: must be a finite number above 0. Name data that cost nothing as "
                f"existing: {prefix}existing {tag}=all."
            )
        if not _at_least_zero(one.fixed):
            yield f"{prefix}fixed-cost {tag}={one.fixed:g}: must be a finite number of at least 0."
    for tag, amount in (options.get("existing") or {}).items():
        if amount != ALL and not (isinstance(amount, int | float) and amount >= 0):
            yield f"{prefix}existing {tag}={amount}: must be a number of at least 0, or all."


def _floor_problems(options: QuestionOptions, prefix: str) -> Iterator[str]:
    floors = options.get("at_least") or {}
    for name, minimum in floors.items():
        if not 0 <= minimum <= 1:
            yield f"{prefix}at-least {name}={minimum:g}: must be between 0 and 1."
    if (english := options.get("english_at_least")) is not None:
        if not 0 <= english <= 1:
            yield f"{prefix}english-at-least {english:g}: must be between 0 and 1."
        if ENGLISH in floors and floors[ENGLISH] != english:
            yield (
                f"{prefix}english-at-least {english:g}: differs from at-least {ENGLISH}={floors[ENGLISH]:g}. Keep one."
            )


def _above_zero(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _at_least_zero(value: float) -> bool:
    return math.isfinite(value) and value >= 0
