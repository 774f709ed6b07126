"""Command explore: executes the most informative runs, in batches, until a mixture can be recommended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.arguments import Folder, SiteFile, open_site, open_study, site_file
from crosslift.cli.printing import say
from crosslift.exploring.goal import EXAMPLE

if TYPE_CHECKING:
    from crosslift.api.running import Watch
    from crosslift.execution.folder.step_graph import StepGraph


def explore(
    folder: Folder,
    *,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Most runs to execute, those of earlier calls included.")
    ] = None,
    gpu_hours: Annotated[
        float | None, typer.Option(help="Most hours of workers (one GPU or core each), earlier calls included.")
    ] = None,
    until: Annotated[str, typer.Option(help="How sure the choice must be.")] = EXAMPLE,
    batch: Annotated[int | None, typer.Option(min=1, help="Runs per batch. Default: one per worker.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of workers. Default: one per GPU or core.")] = None,
    site: SiteFile = None,
    evaluation: Annotated[
        str | None,
        typer.Option(
            help="Evaluation to optimise. This and the following options are those of recommend.",
            autocompletion=completion.evaluations,
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of the study.")] = None,
    budget: Annotated[
        float | None, typer.Option(min=1, help="Maximum cost of a mixture. Default: that of the largest mixture.")
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
) -> None:
    """Execute the most informative runs in batches until the choice of a mixture is as sure as asked. Safe to call
    again at any time."""
    from crosslift.api.recommending import explore_graph, option_problems, recommendation_request, write_advice
    from crosslift.cli.commands.recommending import language_numbers
    from crosslift.cli.display import Watcher
    from crosslift.errors import StudyError
    from crosslift.execution.workers.executors.local import default_workers
    from crosslift.exploring.goal import Certainty, Limits, goal_problems, parse_certainty
    from crosslift.exploring.summary import result_lines

    problems: list[str] = []
    costs = language_numbers("cost", cost, problems, positive=True)
    weights = language_numbers("weight", weight, problems, positive=False)
    problems += option_problems(
        unit=unit,
        objective=objective,
        budget=budget,
        costs=costs,
        weights={} if any(one.startswith("--weight") for one in problems) else weights,
        prefix="--",
    )
    limits, certainty = Limits(runs=runs, gpu_hours=gpu_hours), Certainty()
    problems += goal_problems(certainty, limits, prefix="--")
    try:
        certainty = parse_certainty(until)
    except StudyError as error:
        problems += [f"--{one}" for one in str(error).splitlines()]
    if problems:
        raise StudyError(problems)
    place = open_site(folder, site, num_workers=workers)
    graph = open_study(folder, site=place)
    request = recommendation_request(
        evaluation=evaluation,
        model=model,
        budget=budget,
        unit=unit,  # type: ignore[arg-type]
        languages=languages.split(",") if languages else (),
        costs=costs,
        objective=objective,  # type: ignore[arg-type]
        weights=weights,
        english_at_least=english_at_least,
    )
    num_workers = default_workers(place)

    @contextlib.contextmanager
    def watch(now: StepGraph) -> Iterator[Watch]:
        with Watcher(now, num_workers=num_workers) as watcher:
            yield watcher.watch

    found, report = explore_graph(
        graph,
        request,
        certainty=certainty,
        limits=limits,
        batch_size=batch,
        site=place,
        site_file=site_file(folder, site),
        say=say,
        watch=watch,
    )
    for run, message in found.failed.items():
        say(f"{run} failed: {message}", err=True)
    for line in result_lines(found.entry, limits):
        say(line)
    page = write_advice(found.graph, found.advice)
    for shown in (page, report):
        if shown is not None:
            say(shown)
    if found.failed:
        raise typer.Exit(1)
