"""Question files: what is asked of a recommendation, as TOML, so that it need not be typed as options.

budget = 3000                                   # maximum cost
languages = ["en", "sw", "de", "th"]            # languages that a mixture may contain
objective = "weighted"                          # or mean (default), worst
weights = { sw = 100, de = 90 }                 # users per language
at_least = { en = 0.6 }                         # minimum scores; at_least.math = { en = 0.6 } for one evaluation
existing = { en = "all", de = 500 }             # what is there already and costs nothing
translatable = 5000                             # items that can be translated into each language
costs = { sw = 2.5, th = { per_token = 0.002, fixed = 200 } }
evaluations = { math = 2, api_calls = 1 }       # or evaluation = "math"
model = "qwen"
unit = "items"                                  # or tokens
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from crosslift.errors import StudyError
from crosslift.recommendation.question import ALL, Cost, option_problems
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Real, Share, Table, Text
from crosslift.studies.parsing.toml_file import read_toml

if TYPE_CHECKING:
    from crosslift.recommendation.question import Question, QuestionOptions

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CostTable(Table):
    per_unit: Real | None = Field(None, description="cost of one unit of the amounts")
    per_item: Real | None = Field(None, description="cost of one item")
    per_token: Real | None = Field(None, description="cost of one token")
    fixed: NotNegative = Field(0.0, description="cost that any new data in the language have once")


class QuestionTable(Table):
    """Schema of a question file, after `_normalised`."""

    evaluation: Text | None = Field(None, description="the evaluation to optimise")
    evaluations: dict[str, Real] | None = Field(None, description="evaluation -> weight, for several at once")
    model: Text | None = Field(None, description="model of the study")
    budget: Real | None = Field(None, description="maximum cost; default: that of the largest mixture")
    unit: Literal["items", "tokens"] | None = Field(None, description="unit of the amounts")
    languages: list[Text] | None = Field(None, description="languages that a mixture may contain")
    costs: dict[str, CostTable] | None = Field(None, description="language -> cost of one unit, or a table")
    existing: dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None, description='language -> amount that costs nothing, or "all"'
    )
    translatable: Real | None = Field(None, description="items that can be translated into each language")
    objective: Literal["mean", "worst", "weighted"] | None = Field(None, description="what is maximised")
    weights: dict[str, NotNegative] | None = Field(None, description="language -> weight, such as its users")
    at_least: dict[str, Share] | None = Field(None, description="language -> minimum score, as a share")


def options_of(file: Path) -> QuestionOptions:
    """Read a question file.

    Args:
        file: the TOML file.

    Returns:
        The entries of the file, which can be replaced by options before they become a question.

    Raises:
        StudyError: the file cannot be read, or entries are invalid; all problems are listed.
    """
    raw = _normalised(read_toml(file, remedy="Name the question file with --question"))
    problems = Problems(file.name)
    table: QuestionTable | None = problems.read(QuestionTable, raw, "", TypeAdapter(QuestionTable))
    if table is None:
        raise StudyError(problems)
    if table.evaluation is not None and table.evaluations is not None:
        problems.add("evaluation", "is given besides evaluations. Keep one.")
    costs: dict[str, float | Cost] = {}
    for tag, one in (table.costs or {}).items():
        costs[tag] = _cost(f"costs.{tag}", one, problems)
    given: dict[str, Any] = table.model_dump(exclude_none=True, exclude={"evaluations", "costs"})
    if table.evaluations is not None:
        given["evaluation"] = table.evaluations
    if costs:
        given["costs"] = costs
    options: QuestionOptions = given  # type: ignore[assignment]
    problems += option_problems(options, prefix=f"{file.name}, ")
    if problems:
        raise StudyError(problems)
    return options


def _normalised(raw: dict[str, Any]) -> dict[str, Any]:
    """One form of each entry: costs as tables, "all" as infinity, minimum scores by "evaluation:language"."""
    found = dict(raw)
    if isinstance(costs := raw.get("costs"), dict):
        found["costs"] = {tag: {"per_unit": one} if _is_number(one) else one for tag, one in costs.items()}
    if isinstance(existing := raw.get("existing"), dict):
        found["existing"] = {tag: math.inf if one == ALL else one for tag, one in existing.items()}
    if isinstance(floors := raw.get("at_least"), dict):
        flat: dict[str, Any] = {}
        for name, one in floors.items():
            flat |= {f"{name}:{tag}": value for tag, value in one.items()} if isinstance(one, dict) else {name: one}
        found["at_least"] = flat
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cost(place: str, table: CostTable, problems: Problems) -> Cost:
    given = {"unit": table.per_unit, "item": table.per_item, "token": table.per_token}
    named = [(per, amount) for per, amount in given.items() if amount is not None]
    if len(named) > 1:
        problems.add(place, f"has {' and '.join(f'per_{per}' for per, _ in named)}. Keep one.")
    per, amount = named[0] if named else ("unit", 1.0)
    return Cost(amount=amount, per=None if per == "unit" else per, fixed=table.fixed)  # type: ignore[arg-type]


def question_toml(question: Question) -> str:
    """A question as the text of a question file, with the entries that are not the default."""
    lines = []
    if len(question.evaluations) == 1:
        lines.append(f"evaluation = {json.dumps(next(iter(question.evaluations)))}")
    elif question.evaluations:
        lines.append(f"evaluations = {_table(question.evaluations)}")
    for name, value in (("model", question.model), ("budget", question.budget)):
        if value is not None:
            lines.append(f"{name} = {json.dumps(value)}")
    lines.append(f"unit = {json.dumps(question.unit)}")
    if question.languages:
        lines.append(f"languages = {json.dumps(list(question.languages))}")
    if question.costs:
        costs = ", ".join(f"{tag} = {_cost_text(cost)}" for tag, cost in question.costs.items())
        lines.append(f"costs = {{ {costs} }}")
    if question.existing:
        amounts = {tag: ALL if math.isinf(one) else one for tag, one in question.existing.items()}
        lines.append(f"existing = {_table(amounts)}")
    if question.translatable is not None:
        lines.append(f"translatable = {json.dumps(question.translatable)}")
    lines.append(f"objective = {json.dumps(question.objective)}")
    if question.weights:
        lines.append(f"weights = {_table(question.weights)}")
    if question.floors:
        lines.append(f"at_least = {_table({floor.name: floor.minimum for floor in question.floors})}")
    return "\n".join(lines) + "\n"


def _table(entries: Any) -> str:
    return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in entries.items()) + " }"


def _cost_text(cost: Cost) -> str:
    if cost.per is None and not cost.fixed:
        return json.dumps(cost.amount)
    return f"{{ per_{cost.per or 'unit'} = {json.dumps(cost.amount)}, fixed = {json.dumps(cost.fixed)} }}"
