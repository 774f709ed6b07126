"""Commands that execute and monitor a study: run, work, cancel, status, view, verify; and train-final."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli import question as asking
from crosslift.cli.arguments import Folder, SiteFile, open_site, open_study, report_damage, site_file
from crosslift.cli.printing import log_to_terminal, say
from crosslift.viewing.defaults import PORT


def run(
    folder: Folder,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Executor that starts workers. See: crosslift list executors",
            autocompletion=completion.members_of("executor"),
        ),
    ] = None,
    site: SiteFile = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of workers. Default: one per GPU or core.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the work is queued. For executors that queue work.")
    ] = False,
) -> None:
    """Execute the missing work of a study: prepare, train, evaluate, report. Safe to call again at any time."""
    from crosslift.api.running import queue_graph, run_graph
    from crosslift.cli.display import Watcher
    from crosslift.execution.workers.pool import available_cores

    place = open_site(folder, site, executor=executor, num_workers=workers)
    graph = open_study(folder, site=place)
    if detach:
        say(queue_graph(graph, place, site_file=site_file(folder, site), say=say))
        say(f"Next: crosslift status {folder}, or crosslift run {folder} to wait for the report.")
        return
    with Watcher(graph, num_workers=place.num_workers or available_cores()) as watcher:
        outcome = run_graph(graph, place, site_file=site_file(folder, site), say=say, watch=watcher.watch)
    for name, message in outcome.failed.items():
        say(f"{name} failed: {message}", err=True)
    for name, message in outcome.unrated.items():
        say(f"evaluations.{name} is not rated completely: {message} Next: crosslift run {folder}", err=True)
    if outcome.report is None:
        say("Nothing has been evaluated, so there is no report.", err=True)
        raise typer.Exit(1)
    if not outcome.num_started and outcome.good:
        say(f"Nothing to do: all {outcome.num_runs} runs are done. Report: {outcome.report}")
        return
    say(f"{outcome.num_runs - len(outcome.failed)} of {outcome.num_runs} runs are done. Report: {outcome.report}")
    if not outcome.good:
        raise typer.Exit(1)


def work(
    folder: Folder,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs to execute. Default: all missing runs.",
            autocompletion=completion.runs,
        ),
    ] = None,
    site: SiteFile = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only runs of this base model; may be repeated.")
    ] = None,
) -> None:
    """Execute missing runs, one after another, until none remain. Started by executors, or manually on any machine."""
    import os

    from crosslift.api.running import workers_of
    from crosslift.execution.workers.job import FIRST, GRACE, PARENT, PATIENT, SESSION, WORKERS
    from crosslift.execution.workers.worker import work as execute
    from crosslift.system.processes import end_with_parent

    if PARENT in os.environ:
        end_with_parent(int(os.environ[PARENT]))
    log_to_terminal()
    place = open_site(folder, site)
    graph = open_study(folder, site=place)
    good = execute(
        graph.study,
        runs or [],
        site=place,
        models=model or [],
        session=os.environ.get(SESSION, ""),
        grace_seconds=float(os.environ.get(GRACE, "0")),
        first=float(os.environ[FIRST]) if FIRST in os.environ else None,
        num_workers=int(os.environ[WORKERS]) if WORKERS in os.environ else workers_of(place),
        patient=os.environ.get(PATIENT, "0" if SESSION in os.environ else "1") == "1",
        say=say,
    )
    if not good:
        raise typer.Exit(1)


def cancel(folder: Folder, site: SiteFile = None) -> None:
    """End the queued and running jobs of a study. Finished work is kept; crosslift run continues."""
    from crosslift.execution.workers.queue import cancel as cancel_queue

    say(cancel_queue(open_study(folder, data="optional", site=open_site(folder, site)).store.folder))


def status(
    folder: Folder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show active runs, losses and the time left until all is done.")
    ] = False,
) -> None:
    """Print a table of all runs, read from disk."""
    if watch:
        from crosslift.cli.watching import watch_status

        watch_status(folder)
    else:
        from crosslift.cli.display import print_status

        print_status(open_study(folder, data="optional"))


def view(
    folder: Folder,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"Port of the page; 0: any free one. Default: {PORT}, or a free one."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in the web browser.")] = False,
) -> None:
    """Serve a page for this machine that follows a running study and contains its report. Only reads the folder."""
    from crosslift.errors import StoreError
    from crosslift.viewing.observer import Observer, open_read_only
    from crosslift.viewing.server import ViewServer

    observer = Observer(lambda: open_read_only(folder))
    try:
        server = ViewServer(observer, port=PORT if port is None else port)
    except StoreError:
        if port is not None:
            raise
        server = ViewServer(observer, port=0)
    say(f"{server.address} shows {folder}, for this machine only. Press Ctrl+C to end.")
    if browser:
        import webbrowser

        webbrowser.open(server.address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Ended. The study runs on.")


def verify(folder: Folder) -> None:
    """Read every file of a study and compare it with its checksum. Exit code 1: a file is damaged."""
    import sys
    import time

    from crosslift.cli.display import duration
    from crosslift.execution.inspection.verify import verify as verify_store

    last = time.monotonic()

    def tick(read: int, total: int, left: float) -> None:
        nonlocal last
        if time.monotonic() - last >= (1 if sys.stderr.isatty() else 60):
            last = time.monotonic()
            say(f"{read / 1e9:.1f} of {total / 1e9:.1f} GB read, {duration(left)} left", err=True)

    found = verify_store(open_study(folder, data="optional").store, tick=tick)
    for damage in found.damage:
        say(f"damaged: {damage}")
    for what, steps in (("not finished", found.unfinished), ("without checksums", found.unverifiable)):
        if steps:
            say(f"{what}: {len(steps)} steps ({', '.join(steps[:3])}{', ...' if len(steps) > 3 else ''})")
    size = f"{found.num_files:,} files, {found.num_bytes / 1e9:.2f} GB"
    if found.damage:
        say(f"{len(found.damage)} damaged; {size} read. Next: crosslift run {folder}")
        raise typer.Exit(1)
    say(f"{'No damage was found' if found.unverifiable else 'All files are intact'}: {size} read.")


def train_final(
    folder: Folder,
    *,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")],
    recommended: Annotated[bool, typer.Option("--recommended", help="Train the recommended mixture.")] = False,
    mixture: Annotated[str | None, typer.Option(metavar="NAME", help="Train this mixture of the study.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of the study. Default: its only one.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Training seed.")] = 0,
    items: Annotated[
        int | None, typer.Option(min=1, help="Examples in total. Default: all that the corpora hold in these shares.")
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Merge a LoRA adapter into full weights; always done for a local base model."),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be trained.")] = False,
    site: SiteFile = None,
    question: asking.QuestionFile = None,
    evaluation: asking.Evaluations = None,
    budget: asking.Budget = None,
    languages: asking.Languages = "",
    cost: asking.Costs = None,
    objective: asking.ObjectiveName = None,
    weight: asking.Weights = None,
    at_least: asking.AtLeast = None,
    english_at_least: asking.EnglishAtLeast = None,
) -> None:
    """Train the recommended or a named mixture at its full size, and write a model folder with a card.

    With --recommended, the last options say what is asked, as in recommend.
    """
    from crosslift.api.questions.recommending import advise_graph, final_plan, train_plan

    asked = asking.question_from(
        question,
        evaluation=evaluation,
        model=model,
        budget=budget,
        languages=languages,
        cost=cost,
        objective=objective,
        weight=weight,
        at_least=at_least,
        english_at_least=english_at_least,
        problems=["Choose either --recommended or --mixture NAME."] if recommended == (mixture is not None) else (),
    )
    place = open_site(folder, site)
    graph = open_study(folder, site=place)
    advice = advise_graph(graph, asked, num_next_runs=0) if recommended else None
    found = final_plan(
        graph, mixture=mixture, advice=advice, model=model, seed=seed, num_items=items, merge=merge, say=say
    )
    report_damage(graph.store)
    for line in found.lines():
        say(line)
    if plan:
        return
    done = train_plan(graph, found, output, site=place, say=say)
    say(f"{output} {'is finished already' if done.was_finished else 'is finished'}. Its card: {output / 'README.md'}")
