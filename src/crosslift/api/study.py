"""An opened study: everything that the commands do with the folder of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from crosslift.api.failures import user_errors
from crosslift.api.reading import StudyReader
from crosslift.api.running import RunOutcome, nothing

if TYPE_CHECKING:
    from crosslift.execution.folder.progress import TotalProgress
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.exploring.explore import Explored
    from crosslift.final.folder import FinalModel
    from crosslift.recommendation.advice import Advice
    from crosslift.recommendation.question import QuestionOptions

Progress = Callable[[str], None]


@user_errors()
def open_study(path: str | Path, *, site: str | Path | None = None) -> Study:
    """Open the folder of a study. Nothing is written.

    Args:
        path: folder of the study, or its study.toml.
        site: site file; default: site.toml in the folder if it exists, else this machine. With a rehearsal, the
            rehearsal is opened.

    Returns:
        The study. It does not follow later changes of study.toml: open it again.

    Raises:
        StudyError: study.toml or the site file is invalid; all problems are listed.
        StoreError: the folder cannot be read.
    """
    from crosslift.api.opening import open_graph, open_site

    file = None if site is None else Path(site)
    return Study(_graph=open_graph(Path(path), data="optional", site=open_site(Path(path), file)), _site_file=file)


@user_errors()
def new_study(preset: str, folder: str | Path, *, scale: Literal["full", "small", "pocket"] | None = None) -> Study:
    """Create a study from a preset and open it.

    Args:
        preset: name of the preset; see `crosslift.members("preset")`.
        folder: folder to write; must not exist or be empty.
        scale: "full" (as published), "small" (models for one GPU, where the preset has it) or "pocket" (two CPU cores);
            None: full where there is a GPU.

    Returns:
        The study.

    Raises:
        UnknownName: there is no such preset, or it has no such scale.
        StoreError: the folder contains files.
    """
    from crosslift.api.opening import write_preset

    write_preset(preset, Path(folder), scale)
    return open_study(folder)


@dataclass(frozen=True, kw_only=True)
class Study(StudyReader):
    """A study in its folder; see `open_study`. It adds to `StudyReader` what writes to the folder."""

    @user_errors()
    def check(self, *, progress: Progress = nothing) -> dict[str, int]:
        """Check the study and its data without writing anything.

        Args:
            progress: receives each line of the findings.

        Returns:
            Check -> number of rows with a finding of severity "error". Such findings do not stop the study.

        Raises:
            StudyError: the study cannot be run; all problems are listed.
        """
        from crosslift.api.running import check_graph

        return dict(check_graph(self._with_data(), say=progress))

    @user_errors()
    def prepare(self, *, progress: Progress = nothing) -> None:
        """Prepare corpora, tokens and mixtures, including all downloads. Finished steps are kept.

        Args:
            progress: receives lines of progress.

        Raises:
            CrossliftError: the study or its data are invalid, or finished results do not match the study.
        """
        from crosslift.execution.phases.prepare import prepare

        prepare(self._with_data(), say=progress)
        self._graph.forget()

    @user_errors()
    def run(
        self,
        *,
        executor: str | None = None,
        workers: int | None = None,
        progress: Progress = nothing,
        observe: Callable[[TotalProgress], None] | None = None,
    ) -> RunOutcome:
        """Execute the missing work: prepare, train, evaluate, report. A repeated call continues.

        Args:
            executor: executor that starts workers; default: that of the site.
            workers: number of workers; default: that of the site, else one per GPU or core.
            progress: receives lines of progress.
            observe: called about twice a second with the total progress: `.done` and `.total` in training steps,
                `.seconds_left`, and `.active` runs with their step, loss and tokens per second.

        Returns:
            Numbers of runs, failures and the path of the report.

        Raises:
            MissingPackage: an extra is not installed; nothing has been started.
            CrossliftError: the study cannot be prepared, or the workers cannot run.
        """
        from crosslift.api.opening import open_site, site_file
        from crosslift.api.running import run_graph, watcher

        site = open_site(self.folder, self._site_file, executor=executor, num_workers=workers)
        graph = self._with_data()
        watch = watcher(graph, observe, site=site)
        outcome = run_graph(graph, site, site_file=site_file(self.folder, self._site_file), say=progress, watch=watch)
        self._graph.forget()
        return outcome

    @user_errors()
    def work(self, runs: Sequence[str] = (), *, progress: Progress = nothing) -> bool:
        """Execute missing runs in this process, one after another, as a worker does. The study must be prepared.

        Args:
            runs: names of runs, including failed ones; empty for all that have not failed.
            progress: receives a line per run.

        Returns:
            Whether every run of this worker succeeded.

        Raises:
            UnknownName: there is no such run.
            StoreError: the study has not been prepared.
        """
        from crosslift.api.opening import open_site
        from crosslift.api.running import workers_of
        from crosslift.execution.workers.worker import work

        site = open_site(self.folder, self._site_file)
        return work(self._with_data().study, runs, site=site, num_workers=workers_of(site), say=progress)

    @user_errors()
    def rescore(self, *, progress: Progress = nothing) -> tuple[int, int]:
        """Score all predictions again after the code of a task has changed.

        Args:
            progress: receives a line per evaluation with errors.

        Returns:
            Number of scored evaluations, and of samples that failed with an error.

        Raises:
            StoreError: the study has not been prepared.
        """
        from crosslift.execution.phases.rescore import rescore_all

        return rescore_all(self._graph, say=progress)

    @user_errors()
    def judge(
        self,
        evaluation: str,
        *,
        site: str | Path = "site.toml",
        against: str | None = None,
        progress: Progress = nothing,
    ) -> int:
        """Let a judge model rate answers from 1 to 5, or compare them with those of a run.

        Args:
            evaluation: name of the evaluation.
            site: site file with the table [judge].
            against: run to compare with; None: rate.
            progress: receives a line per run and language.

        Returns:
            Number of answers without a verdict.

        Raises:
            StudyError: there is no such evaluation or run, or the site file is invalid.
            EndpointError: the endpoint rejects the requests.
        """
        from crosslift.judging.judge import load_judge
        from crosslift.judging.study import judge_study

        return judge_study(self._graph, evaluation, load_judge(Path(site)), baseline=against, say=progress)

    @user_errors()
    def report(self, *, progress: Progress = nothing) -> Path:
        """Write estimates, tables, figures and the HTML page.

        Args:
            progress: receives lines of progress.

        Returns:
            Path of the page.

        Raises:
            StoreError: the study has not been prepared, or nothing has been evaluated.
        """
        from crosslift.api.reports import report_of

        return report_of(self._graph, say=progress)

    @user_errors()
    def clean(self, *, checkpoints_only: bool = False) -> int:
        """Remove the results of earlier definitions.

        Args:
            checkpoints_only: remove only checkpoints; scores and predictions stay.

        Returns:
            Number of bytes that were freed.

        Raises:
            StoreError: the study has not been prepared, or the folder cannot be written.
        """
        from crosslift.execution.definitions.clean import clean, removable

        self._graph.store.lock()
        found = removable(self._graph.store, checkpoints_only=checkpoints_only)
        clean(self._graph.store, found)
        return found.num_bytes

    @user_errors()
    def write_recommendation(self, advice: Advice) -> Path | None:
        """Write the page of a recommendation, with the mixture as TOML for a study file.

        Args:
            advice: result of `recommend`.

        Returns:
            Path of the page; None if there is no recommendation.
        """
        from crosslift.api.questions.recommending import write_advice

        return write_advice(self._graph, advice)

    @user_errors()
    def explore(
        self,
        *,
        runs: int | None = None,
        gpu_hours: float | None = None,
        until: str = "within 1 point with probability .9",
        batch: int | None = None,
        workers: int | None = None,
        progress: Progress = nothing,
        **question: Unpack[QuestionOptions],
    ) -> Explored:
        """Execute batches of the most informative runs until the choice of a mixture is as sure as asked.

        Args:
            runs: most runs to execute, those of earlier calls included; this or `gpu_hours`.
            gpu_hours: most hours of workers, those of earlier calls included.
            until: how sure the choice must be.
            batch: runs per batch; default: one per worker.
            workers: number of workers; default: that of the site, else one per GPU or core.
            progress: receives lines of progress.
            question: what is asked, as arguments; see `recommend`.

        Returns:
            `.decided`, `.entry` (what is believed), `.advice` and `.failed`. New mixtures are in study.toml: open the
            study again to read them.

        Raises:
            StudyError: an argument is out of range.
            CrossliftError: the study cannot be prepared or extended, or the workers cannot run.
        """
        from contextlib import nullcontext

        from crosslift.api.opening import open_site, site_file
        from crosslift.api.questions.recommending import explore_graph
        from crosslift.api.running import watcher
        from crosslift.exploring.goal import Limits, parse_certainty
        from crosslift.recommendation.question import question_of

        site = open_site(self.folder, self._site_file, num_workers=workers)
        found, _ = explore_graph(
            self._with_data(),
            question_of(question),
            certainty=parse_certainty(until),
            limits=Limits(runs=runs, gpu_hours=gpu_hours),
            batch_size=batch,
            site=site,
            site_file=site_file(self.folder, self._site_file),
            say=progress,
            watch=lambda graph: nullcontext(watcher(graph, None, site=site)),
        )
        self._graph.forget()
        return found

    @user_errors()
    def train_final(
        self,
        folder: str | Path,
        *,
        mixture: str | None = None,
        advice: Advice | None = None,
        model: str | None = None,
        seed: int = 0,
        items: int | None = None,
        merge: bool = False,
        progress: Progress = nothing,
    ) -> FinalModel:
        """Train a mixture at its full size with the study's settings, and write a model folder. A repeated call
        continues; a finished folder is left as it is.

        Args:
            folder: folder to write: weights or adapter, tokenizer, model card and manifest.
            mixture: name of a mixture of the study; not with `advice`.
            advice: result of `recommend`, whose mixture is trained; not with `mixture`.
            model: name of the model; None for that of the advice, or the study's only one.
            seed: training seed.
            items: examples in total; None for all that the corpora hold in the shares of the mixture.
            merge: merge a LoRA adapter into full weights; always done if the base model is a local folder.
            progress: receives what will be trained, then lines of progress.

        Returns:
            `.folder`, `.num_examples`, `.num_steps`, `.merged` and `.was_finished`.

        Raises:
            TransferError: the recommendation cannot tell which mixture is best.
            MixtureError: the corpora hold too few items.
            StoreError: the folder holds something else.
            CrossliftError: the study is not as it was prepared, or the model cannot be trained.
        """
        from crosslift.api.opening import open_site
        from crosslift.api.questions.recommending import final_plan, train_plan

        graph = self._with_data()
        plan = final_plan(
            graph, mixture=mixture, advice=advice, model=model, seed=seed, num_items=items, merge=merge, say=progress
        )
        for line in plan.lines():
            progress(line)
        return train_plan(graph, plan, Path(folder), site=open_site(self.folder, self._site_file), say=progress)

    def _with_data(self) -> StepGraph:
        """Return the steps, after checking that the files of corpora and models exist."""
        if self._graph.study.absent:
            from crosslift.errors import StudyError

            raise StudyError(self._graph.study.absent)
        return self._graph
