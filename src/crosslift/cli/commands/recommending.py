"""Command recommend: recommends a mixture and the next runs to train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import question as asking
from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say


def recommend(
    folder: Folder,
    others: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[STUDY]...", help="Further studies with the same evaluation to learn from."),
    ] = None,
    *,
    question: asking.QuestionFile = None,
    evaluation: asking.Evaluations = None,
    model: asking.ModelName = None,
    budget: asking.Budget = None,
    unit: asking.BudgetUnit = None,
    languages: asking.Languages = "",
    cost: asking.Costs = None,
    fixed_cost: asking.FixedCosts = None,
    existing: asking.Existing = None,
    translatable: asking.Translatable = None,
    objective: asking.ObjectiveName = None,
    weight: asking.Weights = None,
    at_least: asking.AtLeast = None,
    english_at_least: asking.EnglishAtLeast = None,
    next_runs: Annotated[
        int,
        typer.Option("--next", min=0, help="Number of most informative further runs to name, missing or new."),
    ] = 3,
) -> None:
    """Recommend a mixture under a budget from the finished runs, with its uncertainty, and the next runs to train."""
    from crosslift.api.recommending import advise_graph, write_advice
    from crosslift.recommendation.summary import summary_lines

    asked = asking.question_from(
        question,
        evaluation=evaluation,
        model=model,
        budget=budget,
        unit=unit,
        languages=languages,
        cost=cost,
        fixed_cost=fixed_cost,
        existing=existing,
        translatable=translatable,
        objective=objective,
        weight=weight,
        at_least=at_least,
        english_at_least=english_at_least,
    )
    graph = open_study(folder, data="optional")
    advised = advise_graph(graph, asked, num_next_runs=next_runs, others=others or ())
    report_damage(graph.store)
    for line in summary_lines(advised):
        say(line)
    page = write_advice(graph, advised)
    if page is not None:
        say(page)
