"""Command recommend: recommends a mixture and the next runs to train."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say


def recommend(
    folder: Folder,
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
    from crosslift.errors import StudyError
    from crosslift.languages.similarity import known
    from crosslift.languages.tags import resolve_all
    from crosslift.recommendation.advice import RecommendationRequest, advise, summary_lines
    from crosslift.reporting.questions.recommendation import write_recommendation
    from crosslift.system.files import remove_leftovers
    from crosslift.system.leases import waiting_lease

    problems = []
    if unit not in ("items", "tokens"):
        problems.append(f"--unit {unit}: must be items or tokens.")
    if objective not in ("mean", "worst", "weighted"):
        problems.append(f"--objective {objective}: must be mean, worst or weighted.")
    if budget is not None and not math.isfinite(budget):
        problems.append(f"--budget {budget}: must be a finite number.")
    numbers = {
        "cost": _numbers("cost", cost, problems, positive=True),
        "weight": _numbers("weight", weight, problems, positive=False),
    }
    if weight and not any(numbers["weight"].values()) and not problems:
        problems.append("--weight: at least one language needs a weight above 0.")
    if problems:
        raise StudyError(problems)
    weights = numbers["weight"]
    if objective == "weighted" and not weights:
        weights = {tag: float(facts.speakers) for tag, facts in known().items() if facts.speakers}
    graph = open_study(folder, data="optional")
    advised = advise(
        graph.store,
        graph.study,
        RecommendationRequest(
            evaluation=evaluation,
            model=model,
            amount=budget,
            unit=unit,  # type: ignore[arg-type]
            languages=tuple(resolve_all(languages.split(",")).values()) if languages else (),
            costs=numbers["cost"],
            objective=objective,  # type: ignore[arg-type]
            weights=weights,
            english_at_least=english_at_least,
            num_next_runs=next_runs,
        ),
    )
    report_damage(graph.store)
    for line in summary_lines(advised):
        say(line)
    if advised.recommendation is None:
        return
    place = graph.store.report_folder / "recommendation"
    with waiting_lease(place):
        remove_leftovers(place, below=True)
        say(str(write_recommendation(place, graph.study, advised)))


def _numbers(option: str, given: list[str] | None, problems: list[str], *, positive: bool) -> dict[str, float]:
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
