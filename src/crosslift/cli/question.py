"""Options that several commands share: what is asked of a recommendation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crosslift.cli import completion

if TYPE_CHECKING:
    from crosslift.recommendation.question import Question, QuestionOptions

QuestionFile = Annotated[
    Path | None,
    typer.Option("--question", metavar="FILE", help="TOML file with what is asked; options replace its entries."),
]
Evaluations = Annotated[
    list[str] | None,
    typer.Option(
        "--evaluation",
        metavar="NAME[=WEIGHT]",
        help="Evaluation to optimise; several with weights, if repeated.",
        autocompletion=completion.evaluations,
    ),
]
ModelName = Annotated[str | None, typer.Option("--model", help="Model of the study.")]
Budget = Annotated[
    float | None, typer.Option("--budget", min=1, help="Maximum cost. Default: the cost of the largest mixture.")
]
BudgetUnit = Annotated[str | None, typer.Option("--unit", help="Unit of the budget: items (default) or tokens.")]
Languages = Annotated[
    str, typer.Option("--languages", help="Training languages, as en,sw. Default: those of the study.")
]
Costs = Annotated[
    list[str] | None,
    typer.Option(
        "--cost",
        metavar="TAG=COST",
        help="Cost of one unit in a language, or of one item or token: sw=0.002/token. Default: 1.",
    ),
]
FixedCosts = Annotated[
    list[str] | None,
    typer.Option("--fixed-cost", metavar="TAG=COST", help="Cost that any new data in a language have once."),
]
Existing = Annotated[
    list[str] | None,
    typer.Option("--existing", metavar="TAG=AMOUNT", help="What exists of a language and costs nothing, or TAG=all."),
]
Translatable = Annotated[
    float | None, typer.Option("--translatable", min=1, help="Items that can be translated into each language.")
]
ObjectiveName = Annotated[
    str | None, typer.Option("--objective", help="mean (default), worst or weighted (by speakers, or --weight).")
]
Weights = Annotated[
    list[str] | None, typer.Option("--weight", metavar="TAG=USERS", help="Weight of a language in the objective.")
]
AtLeast = Annotated[
    list[str] | None,
    typer.Option(
        "--at-least", metavar="TAG=SCORE", help="Minimum score in a language; math:en=0.6 for one evaluation."
    ),
]
EnglishAtLeast = Annotated[
    float | None, typer.Option("--english-at-least", min=0, max=1, help="Minimum score in English.")
]


def question_from(
    file: Path | None,
    *,
    evaluation: list[str] | None = None,
    model: str | None = None,
    budget: float | None = None,
    unit: str | None = None,
    languages: str = "",
    cost: list[str] | None = None,
    fixed_cost: list[str] | None = None,
    existing: list[str] | None = None,
    translatable: float | None = None,
    objective: str | None = None,
    weight: list[str] | None = None,
    at_least: list[str] | None = None,
    english_at_least: float | None = None,
    problems: Iterable[str] = (),
) -> Question:
    """Build the question of a command from its options and its question file.

    Args:
        file: question file; None if there is none.
        evaluation: as `NAME` or `NAME=WEIGHT`, several.
        model: name of the model.
        budget: maximum cost.
        unit: unit of the amounts.
        languages: comma-separated.
        cost: as `TAG=COST`, with `/item` or `/token` at the end if it is not of one unit.
        fixed_cost: as `TAG=COST`.
        existing: as `TAG=AMOUNT` or `TAG=all`.
        translatable: number of items.
        objective: mean, worst or weighted.
        weight: as `TAG=USERS`.
        at_least: as `TAG=SCORE` or `EVALUATION:TAG=SCORE`.
        english_at_least: minimum score in English.
        problems: problems of the command's other options, which are reported with those of the question.

    Raises:
        StudyError: options are invalid; all problems are listed.
    """
    from crosslift.api.questions.recommending import read_question
    from crosslift.errors import StudyError
    from crosslift.recommendation.question import ALL, Cost, option_problems, question_of

    found = list(problems)
    costs = _entries("cost", cost, found, _cost)
    fixed = _entries("fixed-cost", fixed_cost, found, _at_least_zero)
    given: dict[str, Any] = {
        "evaluation": dict(_evaluation(one, found) for one in evaluation or ()),
        "model": model,
        "budget": budget,
        "unit": unit,
        "languages": languages.split(",") if languages else (),
        "costs": {
            tag: Cost(
                amount=costs[tag].amount if tag in costs else 1.0,
                per=costs[tag].per if tag in costs else None,
                fixed=fixed.get(tag, 0.0),
            )
            for tag in {**costs, **fixed}
        },
        "existing": _entries("existing", existing, found, lambda text: ALL if text == ALL else _at_least_zero(text)),
        "translatable": translatable,
        "objective": objective,
        "weights": _entries("weight", weight, found, _at_least_zero),
        "at_least": _entries("at-least", at_least, found, _share),
        "english_at_least": english_at_least,
    }
    options: QuestionOptions = {  # type: ignore[assignment]
        name: value for name, value in given.items() if value is not None and value not in ({}, ())
    }
    if found:
        told = {one for one in found if one.startswith("--")}
        found += [one for one in option_problems(options, prefix="--") if one not in told]
        raise StudyError(found)
    return question_of(options, prefix="--") if file is None else read_question(file, options, prefix="--")


def _entries(
    option: str, given: list[str] | None, problems: list[str], value_of: Callable[[str], Any]
) -> dict[str, Any]:
    """Parse `TAG=VALUE` options; languages that are unknown and values that `value_of` rejects are problems."""
    from crosslift.errors import UnknownName
    from crosslift.languages.tags import resolve

    found: dict[str, Any] = {}
    for one in given or []:
        name, _, text = one.partition("=")
        evaluation, mark, code = name.rpartition(":") if option == "at-least" else ("", "", name)
        try:
            value = value_of(text)
            found[evaluation + mark + resolve(code)] = value
        except (ValueError, UnknownName) as error:
            problems.append(f"--{option} {one}: must be a language and a number, as sw=2.5 ({error}).")
    return found


def _evaluation(given: str, problems: list[str]) -> tuple[str, float]:
    name, mark, text = given.rpartition("=")
    if not mark:
        return given, 1.0
    try:
        return name, _number(text, positive=True)
    except ValueError as error:
        problems.append(f"--evaluation {given}: must be a name, or a name and a weight, as math=2 ({error}).")
        return name, 1.0


def _cost(text: str) -> Any:
    from crosslift.recommendation.question import Cost

    number, mark, per = text.partition("/")
    if mark and per not in ("item", "token"):
        raise ValueError("the cost of one item or one token is written 2.5/item or 0.002/token")
    return Cost(amount=_number(number, positive=True), per=per or None)  # type: ignore[arg-type]


def _at_least_zero(text: str) -> float:
    return _number(text, positive=False)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return value


def _number(text: str, *, positive: bool) -> float:
    import math

    value = float(text)
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError("a finite number " + ("above 0" if positive else "of at least 0"))
    return value
