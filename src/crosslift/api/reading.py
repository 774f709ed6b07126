"""What can be read of a study: its definition, plan, status, results and recommendation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from crosslift.api.failures import user_errors
from crosslift.errors import StoreError, UnknownName, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from crosslift.api.results import StudyFigure, StudyResults
    from crosslift.execution.definitions.records import Definition
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.inspection.status import Status
    from crosslift.execution.inspection.verify import Verified
    from crosslift.recommendation.advice import Advice
    from crosslift.recommendation.question import Question, QuestionOptions
    from crosslift.studies.planning.plan import Plan
    from crosslift.studies.study import Study as ParsedStudy
    from crosslift.transfer.model.posterior import TransferModel


@dataclass(frozen=True, kw_only=True)
class StudyReader:
    """A study in its folder, for reading. Tables are polars data frames (`.to_pandas()` converts them)."""

    _graph: StepGraph
    _site_file: Path | None = None

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self._graph.study.folder

    @property
    def definition(self) -> ParsedStudy:
        """The parsed study file: name, question, models, corpora, mixtures, training, evaluations and contrasts, with
        families expanded and defaults filled in."""
        return self._graph.study

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._graph.study.name

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of all runs, such as "qwen.coverage-en-sw.s0", in the order of the study."""
        return tuple(self._graph.runs)

    @user_errors()
    def plan(self) -> Plan:
        """Plan the study: runs, steps, evaluations, cost, detectable differences and confounds.

        Returns:
            `.runs` with numbers of examples, tokens and steps (estimated if the study is not prepared),
            `.differences` (shares), `.flops`, `.disk_bytes` and `.warnings`.
        """
        from crosslift.api.running import plan_of

        return plan_of(self._graph)[0]

    @user_errors()
    def status(self) -> dict[str, Status]:
        """Determine the status of every run from the folder.

        Returns:
            Run -> `.what` ("done", "running", "failed", "to evaluate", "missing", "changed" or "damaged"), `.message`,
            `.expected` and `.progress`, in the order of the study.
        """
        from crosslift.execution.inspection.status import status

        return {one.run: one for one in status(self._graph)}

    @user_errors()
    def verify(self) -> Verified:
        """Read every file of the study and compare it with its checksum.

        Returns:
            `.damage`, `.unfinished` and `.unverifiable` steps, and the numbers of files and bytes.

        Raises:
            StoreError: the study has not been prepared.
        """
        from crosslift.execution.inspection.verify import verify

        return verify(self._graph.store)

    @property
    def damage(self) -> tuple[str, ...]:
        """Damaged files that were skipped while reading; `run` creates them again."""
        return tuple(self._graph.store.damage_lines())

    @user_errors()
    def runs(self) -> pl.DataFrame:
        """Read all runs, finished or not, one row each; columns as in `StudyResults.runs`.

        Raises:
            StoreError: the study has not been prepared.
        """
        return self._graph.store.runs()

    @user_errors()
    def scores(self) -> pl.DataFrame:
        """Read the scores of all finished evaluations; columns as in `StudyResults.scores`, values are shares.

        Raises:
            StoreError: the study has not been prepared.
        """
        return self._graph.store.scores()

    @user_errors()
    def predictions(self, run: str, evaluation: str, language: str) -> pl.DataFrame:
        """Read the answers of a run.

        Args:
            run: name of the run.
            evaluation: name of the evaluation.
            language: language tag.

        Returns:
            One row per sample: sample_id, item_id, cluster, language, prompt, text, finish ("stop", "length", "error"),
            num_prompt_tokens, num_completion_tokens and the gold answer.

        Raises:
            UnknownName: the study has no such run or evaluation, or does not evaluate it in the language.
            StoreError: the run has not been evaluated yet, or the file is damaged.
        """

        _expect_evaluation(self._graph, run, evaluation, language)
        return self._graph.store.predictions(run, evaluation, language)

    @user_errors()
    def manifest(self, mixture: str) -> dict[str, Any]:
        """Read the manifest of a prepared mixture.

        Args:
            mixture: name of the mixture.

        Returns:
            In JSON types: counts, distinct items and tokens per corpus and language, fertility, overlap with the other
            mixtures, and hashes.

        Raises:
            UnknownName: no run of the study uses this mixture.
            StoreError: the study has not been prepared.
        """

        return _manifest_of(self._graph, mixture)

    @user_errors()
    def results(self) -> StudyResults:
        """Read all results once: runs, scores, estimates, contrasts, figures and tables.

        Raises:
            StoreError: the study has not been prepared.
            TransferError: the scores are inconsistent.
            MissingPackage: scipy is not installed (extra `report`).
        """
        from crosslift.api.results import StudyResults
        from crosslift.reporting.data import collect

        return StudyResults(_data=collect(self._graph.store, self._graph.study))

    @user_errors()
    def definitions(self) -> tuple[Definition, ...]:
        """List the definitions that the study has had.

        Returns:
            Per definition `.number`, `.num_runs` and `.folder`; the present one is among them.
        """
        from crosslift.execution.definitions.records import definitions

        return tuple(definitions(self._graph.store))

    @user_errors()
    def earlier_results(self, number: int) -> StudyResults:
        """Read all results of an earlier definition once, as `results` does for the present one.

        Args:
            number: number of the definition, as in `definitions`.

        Returns:
            The results under the names of that definition; values are shares.

        Raises:
            UnknownName: there is no such definition.
            StoreError: its record is damaged.
        """
        from crosslift.api.opening import open_results
        from crosslift.api.results import StudyResults
        from crosslift.reporting.data import collect

        study, store = open_results(self.folder.with_name(f"{self.folder.name}@{number}"))
        return StudyResults(_data=collect(store, study))

    @user_errors()
    def estimates(self) -> pl.DataFrame:
        """Estimate all quantities of the report; as `results().estimates`, in shares, with limits at 95 %."""
        return self.results().estimates

    @user_errors()
    def contrasts(self) -> pl.DataFrame:
        """Estimate the declared contrasts; as `results().contrasts`, in shares, with limits at 95 %."""
        return self.results().contrasts

    @user_errors()
    def figures(self) -> dict[str, StudyFigure]:
        """Build the figures of the report: name -> figure; as `results().figures()`."""
        return self.results().figures()

    @user_errors()
    def transfer_model(
        self, evaluation: str | None = None, *, unit: Literal["items", "tokens"] = "items"
    ) -> TransferModel:
        """Fit the transfer model to the finished runs.

        Args:
            evaluation: name of the evaluation; None if the study has only one.
            unit: unit of the amounts of mixtures.

        Returns:
            `.predict(mixtures, model, languages)` gives posterior mean and covariance of scores (shares) for mixtures
            given as {language: amount}.

        Raises:
            TransferError: the study has no such evaluation, or no trained run with it.
            StoreError: the study has not been prepared.
        """
        from crosslift.recommendation.observing.runs import observe
        from crosslift.transfer.model.gaussian_process import fit_transfer_model

        observed = observe(self._graph.store, self._graph.study, evaluation=evaluation, unit=unit)
        return fit_transfer_model(observed.observations)

    @user_errors()
    def recommend(
        self,
        question: Question | str | Path | None = None,
        *,
        num_next_runs: int = 3,
        others: Sequence[str | Path] = (),
        **options: Unpack[QuestionOptions],
    ) -> Advice:
        """Recommend a mixture under a budget, and the next runs to train. Nothing is written.

        Args:
            question: what is asked, or a TOML file with it; not together with options if it is a `Question`.
            num_next_runs: number of next runs to propose.
            others: folders of further studies with the same evaluation, from which the transfer model learns too. Each
                of their models has a level of its own; the recommendation is for this study.
            options: the question as arguments, all of them optional; with a file, they replace its entries.
                evaluation: name of the evaluation to optimise, or {name: weight} for several at once.
                model: model of the study.
                budget: maximum cost; default: the cost of the largest mixture.
                unit: "items" or "tokens", the unit of all amounts.
                languages: tags of the training languages; default: those of the study.
                costs: language -> cost of one unit, or a `crosslift.Cost`; default: 1.
                existing: language -> amount that exists and costs nothing, or "all".
                translatable: number of items that can be translated into each language.
                objective: "mean", "worst" or "weighted", over the scores of the evaluation languages.
                weights: language -> weight, such as its users; default: numbers of speakers.
                at_least: language -> minimum score, as a share; "evaluation:language" for one evaluation.
                english_at_least: the same for English.

        Returns:
            `.recommendation` (`.amounts`, `.expected_objective` with `.low` and `.high` as shares, `.comparisons`,
            `.caveats`; None if fewer than two mixtures are evaluated, or if the data cannot tell, see `.undecided`),
            `.explanation` (computed when it is read), `.pilots`, `.validation` and `.next_runs`.

        Raises:
            StudyError: an option is invalid; all problems are listed.
            TransferError: there are too few results, the study has no such evaluation or model, or a further study has
                another evaluation under this name.
        """
        from crosslift.api.questions.recommending import advise_graph, read_question
        from crosslift.errors import StudyError
        from crosslift.recommendation.question import question_of

        if question is None:
            asked = question_of(options)
        elif isinstance(question, str | Path):
            asked = read_question(Path(question), options)
        elif options:
            raise StudyError(f"give either a question or options, not both: {', '.join(options)}.")
        else:
            asked = question
        return advise_graph(self._graph, asked, num_next_runs=num_next_runs, others=others)


def _expect_evaluation(graph: StepGraph, run: str, evaluation: str, language: str) -> None:
    """Check that a study evaluates a run in a language.

    Raises:
        UnknownName: it does not; the message names what exists.
    """
    _expect("run", run, graph.runs)
    evaluations = {one.name: one.languages for one in graph.study.evaluations_of(graph.runs[run])}
    _expect("evaluation of the run", evaluation, evaluations)
    _expect(f"language of the evaluation '{evaluation}'", language, evaluations[evaluation])


def _manifest_of(graph: StepGraph, mixture: str) -> dict[str, Any]:
    """Return the manifest of a prepared mixture.

    Raises:
        UnknownName: no run of the study uses the mixture.
        StoreError: the study has not been prepared, or the manifest is damaged.
    """
    _expect("mixture of the study", mixture, graph.study.mixtures)
    found = graph.store.manifests()
    if mixture not in found:
        raise StoreError(f"mixtures/{mixture} is not prepared or damaged. Run: crosslift prepare {graph.study.folder}")
    return found[mixture]


def _expect(kind: str, name: str, known: Iterable[str]) -> None:
    from crosslift.studies.parsing.problems import some

    names = list(known)
    if name not in names:
        raise UnknownName(f"'{name}' is not a {kind}.{did_you_mean(name, names)} Known: {some(names, 10)}.")
