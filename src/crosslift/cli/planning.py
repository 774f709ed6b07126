"""Output of `crosslift plan`: one screen for a study of any size, and every run on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from crosslift.api.making.data import plan_data
from crosslift.api.running import memory_lines, plan_of
from crosslift.cli.printing import cell, console, say
from crosslift.errors import StoreError
from crosslift.execution.definitions.changes import changes, sentences
from crosslift.execution.definitions.provisional import ProvisionalGraph
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.inspection.status import Status, quick_status
from crosslift.studies.parsing.problems import some
from crosslift.studies.planning.plan import Plan
from crosslift.studies.planning.token_estimate import (
    BYTES_PER_TOKEN,
    NUM_SAMPLED,
    TokenEstimate,
)
from crosslift.studies.site import Site
from crosslift.transfer.design.power import DISCORDANCE, RUN_NOISE

FEW_RUNS = 30
"""Maximum number of runs that are listed without `--runs`."""


def show_plan(graph: StepGraph, *, folder: Path, runs: bool, site: Site | None = None) -> None:
    """Print the plan of a study.

    Args:
        graph: the steps of the study.
        folder: the folder as given by the user, for messages.
        runs: list every run.
        site: the site, whose devices are compared with what the models need; None for this machine.
    """
    prepared = graph.store.lock_file.is_file()
    planned, estimate = plan_of(graph)
    found = {one.run: one for one in quick_status(graph)}
    screen = console()
    if runs or len(planned.runs) <= FEW_RUNS:
        screen.print(_every_run(planned, found))
        say()
    states = Counter(one.what for one in found.values())
    base = sum(not run.tasks for run in planned.runs)
    for line in _edited(graph):
        say(line)
    number = f"{len(planned.runs) - base} runs" + (f" and {base} base model{'s' * (base > 1)}" if base else "")
    say(f"{number}: " + ", ".join(f"{count} {what}" for what, count in states.items()))
    say(_evaluations(planned))
    say(_cost(planned))
    say(_shared(graph, planned))
    for line in memory_lines(graph, site, planned):
        say(line)
    if estimate is not None:
        for line in _estimated(planned, estimate):
            say(line)
        say(f"For exact numbers of tokens and of items without max_items, run: crosslift prepare {folder}")
    for title, table in (
        ("Steps of a run by number of trained languages", _steps(planned)),
        (
            "Smallest detectable difference in points (80 % power, 5 % level, "
            f"{DISCORDANCE:.0%} of the items discordant): two runs in one language; two mixtures of one "
            f"model over all languages, where runs differ by {100 * RUN_NOISE:.0f} points",
            _differences(planned),
        ),
        ("Arms", _arms(planned)),
        ("Mixtures of designs", _compositions(planned)),
    ):
        if table.row_count:
            say(f"\n{title}")
            screen.print(table)
    say()
    for line in _data(folder):
        say(line)
    for line in graph.store.damage_lines():
        say(line)
    for absent in graph.study.absent:
        say(f"missing: {absent}")
    for note in planned.notes:
        say(f"note: {note}")
    for warning in [*planned.warnings, *_outdated(graph, prepared)]:
        say(f"warning: {warning}")


def _data(folder: Path) -> list[str]:
    """Return the steps that make the data of the study, with time and price; none if all are done."""
    planned = plan_data(folder if folder.is_dir() else folder.parent)
    if planned.is_done:
        return []
    return [f"Data to make before, by crosslift data {folder}:", *(f"  {line}" for line in planned.lines()), ""]


def _edited(graph: StepGraph) -> list[str]:
    """Return a sentence about what an edit of the study file changes."""
    try:
        found = sentences(changes(ProvisionalGraph(graph)))
    except StoreError:  # damage, which is listed below
        return []
    return [f"study.toml has changed since it was last prepared: {', '.join(found)}."] if found else []


def _estimated(planned: Plan, estimate: TokenEstimate) -> list[str]:
    """Return a line that states where estimated tokens come from; none if no number of the plan is an estimate."""
    if not any(run.tokens_are_estimated for run in planned.runs):
        return []
    line = f"~ marks estimates from the first {NUM_SAMPLED} items of each corpus, without the markup of templates"
    if estimate.by_bytes:
        line += (
            f"; {BYTES_PER_TOKEN:g} bytes per token where the tokenizer is not on this disk: {some(estimate.by_bytes)}"
        )
    return [line]


def _every_run(planned: Plan, found: Mapping[str, Status]) -> Table:
    table = _table("run", "examples", "tokens", "steps", "evaluations", "state")
    for run in planned.runs:
        tokens = f"{'~' if run.tokens_are_estimated else ''}{_count(run.num_tokens)}"
        steps, evaluations = _count(run.num_steps), _count(len(run.evaluations))
        table.add_row(run.name, _count(run.num_examples), tokens, steps, evaluations, found[run.name].what)
    return table


def _evaluations(planned: Plan) -> str:
    base = sum(len(run.evaluations) for run in planned.runs if not run.tasks)
    of_runs = planned.num_evaluations - base
    return f"{of_runs:,} evaluations of trained models in one language" + (
        f" + {base:,} of base models" if base else ""
    )


def _cost(planned: Plan) -> str:
    from crosslift.studies.planning.volume import PEAK_FLOPS, TOKENS_PER_EXAMPLE, UTILISATION, gpu_hours

    steps = f"{_count(planned.num_steps)} training steps" if planned.num_steps is not None else "unknown steps"
    disk = "unknown" if planned.disk_bytes is None else f"about {_rounded(planned.disk_bytes / 1e9)} GB"
    if planned.flops is None:
        return f"{steps}; checkpoints {disk}"
    tokens = any(run.num_tokens is None for run in planned.runs)
    assumed = f", assuming {TOKENS_PER_EXAMPLE} tokens per example" if tokens else ""
    return (
        f"{steps}; checkpoints {disk}; training {planned.flops:.2g} FLOPs: {_rounded(gpu_hours(planned.flops))} GPU-"
        f"hours ({PEAK_FLOPS / 1e12:.0f} TFLOP/s at {UTILISATION:.0%}{assumed})"
    )


def _rounded(number: float) -> str:
    """Format a number with three significant digits, and large numbers without an exponent: 1,350; 0.334; 0.0016."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _shared(graph: StepGraph, planned: Plan) -> str:
    corpora = len(graph.trained_on())
    shared = f"Computed once for all runs: tokens of {corpora} {'corpus' if corpora == 1 else 'corpora'} per tokenizer"
    if not planned.same:
        return shared
    pairs = [f"{name} = {other}" for name, other in planned.same.items()]
    return f"{shared}; {len(pairs)} runs with the same training as another: {some(pairs)}"


def _steps(planned: Plan) -> Table:
    rows = planned.steps_by_languages
    numbers = sorted({number for row in rows.values() for number in row})
    table = _table("task", *map(str, numbers))
    for task, row in rows.items():
        table.add_row(task, *(_range(row.get(number, ())) for number in numbers))
    return table


def _range(steps: tuple[int, ...]) -> str:
    """Format sorted numbers of steps: `120`, `36, 72`, or `16 to 94`."""
    return ", ".join(map(str, steps)) if len(steps) < 3 else f"{steps[0]} to {steps[-1]}"


def _differences(planned: Plan) -> Table:
    labels = list(next(iter(planned.buys.values()), {}))
    table = _table("evaluation", "two runs, one language", *(f"mixtures, {label}" for label in labels))
    for name, difference in planned.differences.items():
        bought = planned.buys.get(name, {})
        numbers = [difference, *(bought.get(label) for label in labels)]
        table.add_row(name, *("?" if number is None else f"{100 * number:.1f}" for number in numbers))
    return table


def _arms(planned: Plan) -> Table:
    table = _table("arm", "adds runs", "", "separates")
    for arm in planned.arms:
        table.add_row(arm.name, str(arm.num_runs), "on" if arm.enabled else "off", cell(arm.separates))
    return table


def _compositions(planned: Plan) -> Table:
    table = _table("mixture", "shares")
    for name, shares in planned.compositions.items():
        table.add_row(name, cell(shares))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "state", "separates") else "right")
    return table


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _outdated(graph: StepGraph, prepared: bool) -> list[str]:
    """Return warnings about scores of tasks that have changed."""
    from crosslift.execution.phases.run_records import task_revision

    if not prepared:
        return []
    warnings = []
    for task, revision in graph.store.lock()["tasks"].items():
        if task_revision(task) != revision:
            warnings.append(f"task {task} has changed since its scores were made. Run: crosslift score")
    return warnings
