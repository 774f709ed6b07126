"""Execution of a study with its report, for Python and the command line alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.api.reports import update_report
from crosslift.errors import EndpointError

if TYPE_CHECKING:
    from crosslift.execution.folder.progress import TotalProgress
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.judging.judge import Judge
    from crosslift.studies.planning.plan import Plan
    from crosslift.studies.planning.token_estimate import TokenEstimate
    from crosslift.studies.site import Site

Say = Callable[[str], None]
"""Receives lines of progress, such as "Tokenising corpus train for qwen"."""
Watch = Callable[[Sequence[str]], Callable[[], None]]


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """Result of executing a study."""

    num_runs: int
    """Runs of the study."""
    num_started: int
    """Runs that were not finished before."""
    failed: Mapping[str, str]
    """Run -> error message, for runs that failed."""
    report: Path | None
    """The HTML page of the report; None if nothing has been evaluated."""
    unrated: Mapping[str, str] = field(default_factory=dict)
    """Evaluation -> why answers have no rating of the judge."""

    @property
    def good(self) -> bool:
        """Whether no run failed, and every answer that a judge was to rate has a rating."""
        return not self.failed and not self.unrated


def nothing(line: str) -> None:
    """Discard a line of progress."""


def run_graph(graph: StepGraph, site: Site, *, site_file: Path | None, say: Say, watch: Watch) -> RunOutcome:
    """Execute the missing work of a study and write its report.

    Args:
        graph: the steps of the study.
        site: where and how the work is executed.
        site_file: the site's file, passed on to the workers.
        say: receives lines of progress.
        watch: creates the callback that observes the workers.

    Returns:
        Numbers of runs, failures and the report.

    Raises:
        MissingPackage: an extra that training or the report needs is not installed; nothing has been started.
        CrossliftError: the study cannot be prepared, or the workers cannot run.
    """
    from crosslift.execution.folder.result_tables import rebuild_result_tables
    from crosslift.execution.workers import launch
    from crosslift.extras import require

    require("transformers", "scipy", "altair", "vl_convert")  # the last three are first used by the report
    judge = judge_of(graph, site_file)  # before the work starts, so that a mistake in [judge] is found first
    outcome = launch.run(graph, site, site_file=site_file, say=say, watch=watch)
    unrated, tables = {}, outcome.tables
    if judge is not None and outcome.num_evaluated:
        unrated = rate_answers(graph, judge, say=say)
        tables = rebuild_result_tables(graph, graph.states())
    return RunOutcome(
        num_runs=outcome.num_runs,
        num_started=outcome.num_started,
        failed=outcome.failed,
        report=update_report(graph, tables, say=say) if outcome.num_evaluated else None,
        unrated=unrated,
    )


def queue_graph(graph: StepGraph, site: Site, *, site_file: Path | None, say: Say) -> str:
    """Queue the missing work of a study without waiting for it.

    Args:
        graph: the steps of the study.
        site: where and how the work is executed.
        site_file: the site's file, passed on to the workers.
        say: receives lines of progress.

    Returns:
        What is queued, in words.

    Raises:
        MissingPackage: an extra that training or the report needs is not installed; nothing has been queued.
        CrossliftError: the study cannot be prepared, or the work cannot be queued.
    """
    from crosslift.execution.workers import launch
    from crosslift.extras import require

    require("transformers", "scipy", "altair", "vl_convert")
    return launch.run_detached(graph, site, site_file=site_file, say=say)


def judge_of(graph: StepGraph, site_file: Path | None) -> Judge | None:
    """Load the judge of a site, if the study wants answers rated.

    Args:
        graph: the steps of the study.
        site_file: the site's file.

    Returns:
        The judge; None if the site names none, or no evaluation is rated.

    Raises:
        StudyError: the table [judge] is invalid, or an evaluation names a prompt that does not exist.
        MissingPackage: the judge needs the package openai.
    """
    from crosslift.extras import require
    from crosslift.judging.judge import load_judge
    from crosslift.judging.study import prompt_of, rated_evaluations
    from crosslift.studies.parsing.toml_file import read_toml

    if site_file is None or not rated_evaluations(graph):
        return None
    if "judge" not in read_toml(site_file, remedy="Correct the path, or omit --site to run on this machine."):
        return None
    for name in rated_evaluations(graph):
        prompt_of(graph.study, name)
    require("openai")
    return load_judge(site_file)


def rate_answers(graph: StepGraph, judge: Judge, *, say: Say) -> dict[str, str]:
    """Let the judge rate the answers that it has not rated yet.

    Args:
        graph: the steps of the study.
        judge: the judge.
        say: receives lines of progress.

    Returns:
        Evaluation -> why ratings are missing. The results of the runs stay, and the next `crosslift run` asks the judge
        again.
    """
    from crosslift.judging.study import judge_study, rated_evaluations

    failed = {}
    for name in rated_evaluations(graph):
        try:
            missing = judge_study(graph, name, judge, baseline=None, say=say, only_missing=True)
        except EndpointError as error:
            failed[name] = str(error)
            continue
        if missing:
            failed[name] = f"{missing} answers have no rating, because there was no reply or the reply contained none."
    return failed


def watcher(graph: StepGraph, observe: Callable[[TotalProgress], None] | None, *, site: Site) -> Watch:
    """Return the `watch` of `run_graph` that passes the total progress to a callback about twice a second.

    Args:
        graph: the steps of the study.
        observe: the callback; None to observe nothing.
        site: the site, whose number of workers divides the remaining time.
    """

    def watch(missing: Sequence[str]) -> Callable[[], None]:
        if observe is None:
            return lambda: None
        from crosslift.execution.inspection.status import StatusPoller, overall_progress
        from crosslift.execution.workers.pool import available_cores

        num_workers = site.num_workers or available_cores()
        poller = StatusPoller(graph, [graph.runs[name] for name in missing])
        return lambda: observe(overall_progress(poller.look(), num_workers=num_workers))

    return watch


def plan_of(graph: StepGraph) -> tuple[Plan, TokenEstimate | None]:
    """Plan a study: exactly if it is prepared, else with estimated tokens.

    Args:
        graph: the steps of the study.

    Returns:
        The plan, and the estimate of tokens; None if the study is prepared.
    """
    from crosslift.studies.planning.plan import plan
    from crosslift.studies.planning.token_estimate import estimate_tokens

    if not graph.store.lock_file.is_file():
        estimate = estimate_tokens(graph.study)
        return plan(graph.study, estimate=estimate), estimate
    corpora = graph.store.lock()["corpora"]
    items = {name: int(corpus["num_items"]) for name, corpus in corpora.items() if "num_items" in corpus}
    return plan(graph.study, manifests=graph.store.manifests(), num_items=items), None


def check_graph(graph: StepGraph, *, say: Say, site: Site | None = None) -> Counter[str]:
    """Check the data of a study, and say whether its models fit the devices of the site.

    Args:
        graph: the steps of the study.
        say: called with each line of the report.
        site: the site; None for this machine.

    Returns:
        As `execution.phases.preflight.preflight`.

    Raises:
        StudyError: contains every problem found.
    """
    from crosslift.execution.phases.preflight import preflight

    errors = preflight(graph, say=say)
    for line in memory_lines(graph, site):
        say(line)
    return errors


def memory_lines(graph: StepGraph, site: Site | None = None, planned: Plan | None = None) -> list[str]:
    """Say what a training run of each model needs on each device, whether it fits, and what to change.

    Args:
        graph: the steps of the study.
        site: the site; None for this machine.
        planned: the plan, which tells the length of examples; None assumes `max_length`.

    Returns:
        One sentence per model that is trained.
    """
    from crosslift.execution.workers.resources import adapters_at_once, given_devices, with_devices
    from crosslift.studies.planning.devices import devices_here, needs
    from crosslift.studies.site import Site

    site = site or Site()
    devices = site.devices or devices_here(site.device)
    lengths: dict[str, int] = {}
    for run in planned.runs if planned is not None else ():
        if run.num_tokens and run.num_examples:
            model = graph.runs[run.name].model.name
            lengths[model] = max(lengths.get(model, 0), math.ceil(run.num_tokens / run.num_examples))
    found = needs(graph.study, devices, num_devices=given_devices(graph.study, site), mean_lengths=lengths)
    lines = [need.sentence(devices) for need in found]
    if site.adapters_at_once != 1:
        completed, num_workers = with_devices(graph.study, site), workers_of(site)
        for need in found:
            number, reason = adapters_at_once(graph.study, completed, need.model, num_workers=num_workers)
            state = f"up to {number} runs are trained together" if reason is None else f"trained one by one: {reason}"
            lines.append(f"models.{need.model}: {state}")
    return lines


def workers_of(site: Site) -> int:
    """Return the number of workers of a site: as it says, else the default of its executor.

    Args:
        site: the site.
    """
    from crosslift.execution.workers.executors.local import default_workers
    from crosslift.execution.workers.resources import NUM_WORKERS

    return site.num_workers or (default_workers(site) if site.executor == "local" else NUM_WORKERS)
