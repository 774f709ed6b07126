"""Recommendations of a study: options, advice and its page, and the model that is trained on the chosen mixture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.exploring.explore import Display, Explored
    from crosslift.exploring.goal import Certainty, Limits
    from crosslift.final.folder import FinalModel
    from crosslift.final.plan import FinalPlan
    from crosslift.recommendation.advice import Advice
    from crosslift.recommendation.observing.further_studies import FurtherStudy
    from crosslift.recommendation.question import Question, QuestionOptions, Unit
    from crosslift.studies.site import Site
    from crosslift.studies.study import Study
    from crosslift.transfer.model.observations import Observations


def advise_graph(
    graph: StepGraph, question: Question, *, num_next_runs: int = 3, others: Sequence[str | Path] = ()
) -> Advice:
    """Recommend a mixture and next runs.

    Args:
        graph: the steps of the study.
        question: what is asked.
        num_next_runs: number of next runs to propose.
        others: folders of further studies with the same evaluations, or of imported results.

    Returns:
        The advice.

    Raises:
        TransferError: there are too few results, or the study has no such evaluation or model.
    """
    from crosslift.recommendation.advice import advise

    further = _further_studies(graph, question.evaluations, others)
    return advise(graph.store, graph.study, question, num_next_runs=num_next_runs, others=further)


def read_question(file: Path, options: QuestionOptions | None = None, *, prefix: str = "") -> Question:
    """Read a question file; options given besides replace its entries.

    Args:
        file: TOML file, see docs/recommending.md.
        options: entries that replace those of the file.
        prefix: of the names of options in messages.

    Returns:
        The question.

    Raises:
        StudyError: the file or an option is invalid; all problems are listed.
    """
    from crosslift.errors import StudyError
    from crosslift.recommendation.observing.question_file import options_of
    from crosslift.recommendation.question import option_problems, question_of

    problems = list(option_problems(options or {}, prefix=prefix))
    found: QuestionOptions = {}
    try:
        found = options_of(file)
    except StudyError as error:
        problems += error.problems
    if problems:
        raise StudyError(problems)
    return question_of({**found, **(options or {})}, prefix=prefix)


def explore_graph(
    graph: StepGraph,
    question: Question,
    *,
    certainty: Certainty,
    limits: Limits,
    batch_size: int | None,
    site: Site,
    site_file: Path | None,
    say: Callable[[str], None],
    watch: Display,
) -> tuple[Explored, Path | None]:
    """Execute batches of runs until the decision is as sure as asked, and write the report.

    Args:
        graph: the steps of the study.
        question: what is asked.
        certainty: how sure the decision must be.
        limits: what may be spent, earlier calls included.
        batch_size: runs per batch; None: one per worker.
        site: where and how the runs are executed.
        site_file: the site's file, passed on to the workers.
        say: receives lines of progress.
        watch: creates the display of the progress of a batch, a context manager.

    Returns:
        The result, and the HTML page of the report; None if nothing has been evaluated.

    Raises:
        StudyError: an argument is out of range, or the site asks for a rehearsal.
        MissingPackage: an extra that training or the report needs is not installed; nothing has been started.
        CrossliftError: the study cannot be prepared or extended, or the workers cannot run.
    """
    from crosslift.api.reports import update_report
    from crosslift.errors import StudyError
    from crosslift.execution.folder.result_tables import rebuild_result_tables
    from crosslift.execution.workers.executors.local import default_workers
    from crosslift.exploring.decide import Ask
    from crosslift.exploring.explore import explore
    from crosslift.exploring.goal import goal_problems
    from crosslift.extras import require

    problems = goal_problems(certainty, limits)
    if graph.study.results is not None:
        problems.append("the site file asks for a rehearsal. Remove rehearsal from it to explore.")
    if question.translatable is not None:
        problems.append(
            "translatable: an exploration trains on what the corpora hold. Translate first, or leave it out."
        )
    if problems:
        raise StudyError(problems)
    require("transformers", "scipy", "altair", "vl_convert")  # the last three are first used by the report
    ask = Ask(question=question, certainty=certainty, limits=limits, batch_size=batch_size or default_workers(site))
    found = explore(graph.study, ask, site, site_file=site_file, say=say, watch=watch)
    states = found.graph.states()
    if not any(state.results for state in states.values()):
        return found, None
    tables = rebuild_result_tables(found.graph, states)
    return found, update_report(found.graph, tables, say=say, force=True)


def _further_studies(graph: StepGraph, evaluations: Iterable[str], folders: Sequence[str | Path]) -> list[FurtherStudy]:
    """Open further studies and imports, and check that the evaluations of the studies are the same."""
    from crosslift.recommendation.observing.further_studies import FurtherStudy
    from crosslift.recommendation.observing.imported import is_import

    places = [Path(folder) for folder in folders]
    imports = [place for place in places if is_import(place)]
    found = [FurtherStudy(label=place.resolve().name, read=_reader_of_import(place)) for place in imports]
    if len(imports) == len(places):
        return found
    from crosslift.api.opening import open_result_sets
    from crosslift.comparing.evaluations import require_same_evaluation

    first, *others = open_result_sets([graph.study.folder, *(place for place in places if place not in imports)])
    names: list[str | None] = [*evaluations] or [None]
    for evaluation in names:
        require_same_evaluation(first, others, evaluation)
    return [*(FurtherStudy(label=one.label, read=_reader_of_study(one.store, one.study)) for one in others), *found]


def _reader_of_import(folder: Path) -> Callable[[str, str, Unit], Observations]:
    from crosslift.recommendation.observing.imported import imported_observations

    def read(evaluation: str, metric: str, unit: Unit) -> Observations:
        return imported_observations(folder, evaluation=evaluation, metric=metric, unit=unit)

    return read


def _reader_of_study(store: Store, study: Study) -> Callable[[str, str, Unit], Observations]:
    from crosslift.recommendation.observing.runs import observe

    def read(evaluation: str, metric: str, unit: Unit) -> Observations:
        return observe(store, study, evaluation=evaluation, unit=unit).observations

    return read


def write_advice(graph: StepGraph, advice: Advice) -> Path | None:
    """Write the page of a recommendation, its mixture and the question; without a recommendation, an earlier page is
    removed.

    Args:
        graph: the steps of the study.
        advice: the recommendation.

    Returns:
        Path of the page; None if there is no recommendation.
    """
    from crosslift.recommendation.observing.question_file import question_toml
    from crosslift.reporting.questions.recommendation import write_recommendation
    from crosslift.system.files import remove, remove_leftovers, write_text
    from crosslift.system.leases import waiting_lease

    place = graph.store.report_folder / "recommendation"
    if advice.recommendation is None and not place.exists():
        return None
    with waiting_lease(place):
        remove_leftovers(place, below=True)
        page = write_recommendation(place, graph.study, advice)
        if page is None:
            remove(place / "question.toml")
        else:
            write_text(place / "question.toml", question_toml(advice.question), durable=False)
    if page is None:
        with contextlib.suppress(OSError):
            place.rmdir()  # empty, unless another process writes there
    return page


def final_plan(
    graph: StepGraph,
    *,
    mixture: str | None,
    advice: Advice | None,
    model: str | None = None,
    seed: int = 0,
    num_items: int | None = None,
    merge: bool = False,
    say: Callable[[str], None],
) -> FinalPlan:
    """Plan the training of a mixture at its full size; prepares the study if it has not been prepared.

    Args:
        graph: the steps of the study.
        mixture: name of the mixture; None with `advice`.
        advice: the recommendation to follow; None with `mixture`.
        model: name of the model; None for that of the recommendation or the study's only one.
        seed: training seed.
        num_items: examples in total; None for all that the corpora hold.
        merge: merge an adapter into full weights.
        say: receives lines of progress.

    Returns:
        The plan.

    Raises:
        StudyError: not exactly one of mixture and recommendation is given, or an argument is out of range.
        TransferError: the finished runs cannot tell which mixture is best.
        CrossliftError: the study is not as it was prepared, or the corpora hold too few items.
    """
    from crosslift.errors import StudyError
    from crosslift.execution.phases.prepare import prepare, require_prepared
    from crosslift.final.choice import named, recommended
    from crosslift.final.plan import make_plan

    problems = []
    if (mixture is None) == (advice is None):
        problems.append("choose either a mixture of the study or the recommended one.")
    if graph.study.results is not None:
        problems.append("the site file asks for a rehearsal. Remove rehearsal from it to train the final model.")
    if seed < 0:
        problems.append(f"seed {seed}: must be at least 0.")
    if num_items is not None and num_items < 1:
        problems.append(f"items {num_items}: must be at least 1.")
    if problems:
        raise StudyError(problems)
    if graph.store.lock_file.is_file():
        require_prepared(graph)
    prepare(graph, say=say)  # also restores damaged files
    graph.forget()
    chosen = recommended(graph, advice) if advice is not None else named(graph, mixture or "", model=model)
    return make_plan(graph, chosen, seed=seed, num_items=num_items, merge=merge)


def train_plan(
    graph: StepGraph, plan: FinalPlan, folder: Path, *, site: Site, say: Callable[[str], None]
) -> FinalModel:
    """Train a plan of `final_plan` in this process and write the model folder.

    Args:
        graph: the steps of the study.
        plan: what to train.
        folder: the model folder.
        site: the site, for the device and the options of generators.
        say: receives lines of progress.

    Returns:
        The finished model.

    Raises:
        MissingPackage: a package for training is not installed; nothing has been started.
        CrossliftError: the model cannot be trained, or the folder holds something else.
    """
    from crosslift.execution.workers.resources import num_devices, with_devices
    from crosslift.extras import require
    from crosslift.final.train import train_final

    require("transformers", "peft")
    return train_final(
        graph,
        plan,
        folder,
        device=site.device,
        num_devices=num_devices(with_devices(graph.study, site), plan.run.model.name),
        cpu_offload=site.cpu_offload,
        compile=site.compile,
        generators=site.generators,
        say=say,
    )
