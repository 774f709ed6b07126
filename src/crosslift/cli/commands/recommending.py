"""Commands recommend and explore: a mixture with the next runs to train, and the loop that trains them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosslift.cli import question as asking
from crosslift.cli.arguments import Folder, SiteFile, open_site, open_study, report_damage, site_file
from crosslift.cli.printing import say
from crosslift.exploring.goal import EXAMPLE

if TYPE_CHECKING:
    from crosslift.api.running import Watch
    from crosslift.execution.folder.step_graph import StepGraph


def recommend(
    folder: Folder,
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[STUDY]...",
            help="Further studies with the same evaluation to learn from, or folders of imported results.",
        ),
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
    from crosslift.api.questions.recommending import advise_graph, write_advice
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
    question: asking.QuestionFile = None,
    evaluation: asking.Evaluations = None,
    model: asking.ModelName = None,
    budget: asking.Budget = None,
    unit: asking.BudgetUnit = None,
    languages: asking.Languages = "",
    cost: asking.Costs = None,
    fixed_cost: asking.FixedCosts = None,
    existing: asking.Existing = None,
    objective: asking.ObjectiveName = None,
    weight: asking.Weights = None,
    at_least: asking.AtLeast = None,
    english_at_least: asking.EnglishAtLeast = None,
) -> None:
    """Execute the most informative runs in batches until the choice of a mixture is as sure as asked.

    Safe to call again at any time. The last options say what is asked, as in recommend.
    """
    from crosslift.api.questions.recommending import explore_graph, write_advice
    from crosslift.cli.display import Watcher
    from crosslift.errors import StudyError
    from crosslift.execution.workers.executors.local import default_workers
    from crosslift.exploring.goal import Certainty, Limits, goal_problems, parse_certainty
    from crosslift.exploring.summary import result_lines

    limits, certainty = Limits(runs=runs, gpu_hours=gpu_hours), Certainty()
    problems = goal_problems(certainty, limits, prefix="--")
    try:
        certainty = parse_certainty(until)
    except StudyError as error:
        problems += [f"--{one}" for one in error.problems]
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
        objective=objective,
        weight=weight,
        at_least=at_least,
        english_at_least=english_at_least,
        problems=problems,
    )
    place = open_site(folder, site, num_workers=workers)
    graph = open_study(folder, site=place)
    num_workers = default_workers(place)

    @contextlib.contextmanager
    def watch(now: StepGraph) -> Iterator[Watch]:
        with Watcher(now, num_workers=num_workers) as watcher:
            yield watcher.watch

    found, report = explore_graph(
        graph,
        asked,
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
