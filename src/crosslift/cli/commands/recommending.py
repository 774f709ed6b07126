"""Command recommend: recommends a mixture and the next runs to train."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say


def recommend(
    folder: Folder,
    others: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[STUDY]...", help="Further studies with the same evaluation to learn from."),
    ] = None,
    *,
    evaluation: Annotated[
        str | None, typer.Option(help="Evaluation to optimise.", autocompletion=completion.evaluations)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of the study.")] = None,
    budget: Annotated[
        float | None, typer.Option(min=1, help="Maximum cost. Default: the cost of the largest mixture.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of the budget: items or tokens.")] = "items",
    languages: Annotated[str, typer.Option(help="Training languages, as en,sw. Default: those of the study.")] = "",
    cost: Annotated[
        list[str] | None, typer.Option(metavar="TAG=COST", help="Cost of one unit in a language. Default: 1.")
    ] = None,
    objective: Annotated[str, typer.Option(help="mean, worst or weighted (by speakers, or --weight).")] = "mean",
    weight: Annotated[
        list[str] | None, typer.Option(metavar="TAG=USERS", help="Weight of a language in the objective.")
    ] = None,
    english_at_least: Annotated[float | None, typer.Option(min=0, max=1, help="Minimum score in English.")] = None,
    next_runs: Annotated[
        int,
        typer.Option("--next", min=0, help="Number of most informative further runs to name, missing or new."),
    ] = 3,
) -> None:
    """Recommend a mixture under a budget from the finished runs, with its uncertainty, and the next runs to train."""
    from crosslift.api.recommending import advise_graph, option_problems, write_advice
    from crosslift.errors import StudyError
    from crosslift.recommendation.summary import summary_lines

    problems: list[str] = []
    numbers = {
        "cost": language_numbers("cost", cost, problems, positive=True),
        "weight": language_numbers("weight", weight, problems, positive=False),
    }
    problems += option_problems(
        unit=unit,
        objective=objective,
        budget=budget,
        costs=numbers["cost"],
        weights={} if any(one.startswith("--weight") for one in problems) else numbers["weight"],
        prefix="--",
    )
    if problems:
        raise StudyError(problems)
    graph = open_study(folder, data="optional")
    advised = advise_graph(
        graph,
        evaluation=evaluation,
        model=model,
        budget=budget,
        unit=unit,  # type: ignore[arg-type]
        languages=languages.split(",") if languages else (),
        costs=numbers["cost"],
        objective=objective,  # type: ignore[arg-type]
        weights=numbers["weight"],
        english_at_least=english_at_least,
        num_next_runs=next_runs,
        others=others or (),
    )
    report_damage(graph.store)
    for line in summary_lines(advised):
        say(line)
    page = write_advice(graph, advised)
    if page is not None:
        say(page)


def language_numbers(option: str, given: list[str] | None, problems: list[str], *, positive: bool) -> dict[str, float]:
    """Parse `TAG=NUMBER` options; invalid, infinite, negative and disallowed zero values are added to `problems`."""
    from crosslift.errors import UnknownName
    from crosslift.languages.tags import resolve

    found = {}
    for one in given or []:
        tag, _, number = one.partition("=")
        try:
            value = float(number)
            if not math.isfinite(value) or value < 0 or (positive and value == 0):
                raise ValueError("a finite number " + ("above 0" if positive else "of at least 0"))
            found[resolve(tag)] = value
        except (ValueError, UnknownName) as error:
            problems.append(f"--{option} {one}: must be a language and a number, as sw=2.5 ({error}).")
    return found
