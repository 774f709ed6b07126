"""Judging a whole study. Verdicts are stored beside the scores of each evaluation and enter the study's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from crosslift.errors import StoreError, StudyError, did_you_mean
from crosslift.execution.folder.checksums import JUDGED
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunState
from crosslift.execution.folder.tables import read_step_table, write_table
from crosslift.execution.phases.prepare import require_prepared
from crosslift.fingerprint import fingerprint
from crosslift.judging.answers import WIN_METRIC, ModelAnswer, compare, rate
from crosslift.judging.forms import rating_prompt
from crosslift.judging.judge import Judge
from crosslift.remote.journal import Journal
from crosslift.scores import RATING, SCORES
from crosslift.studies.evaluation import Judging
from crosslift.studies.study import Study
from crosslift.system.files import read_json, remove_leftovers, write_json
from crosslift.system.leases import waiting_lease

Say = Callable[[str], None]


def rated_evaluations(graph: StepGraph) -> list[str]:
    """Return the evaluations that the study file wants rated: their primary metric is the rating, or they say how."""
    evaluations = graph.study.evaluations.values()
    return [one.name for one in evaluations if one.metric == RATING or one.judging is not None]


def prompt_of(study: Study, evaluation: str) -> str:
    """Return the prompt of the ratings of an evaluation, see `forms.rating_prompt`.

    Raises:
        StudyError: there is no such prompt, or it lacks a part.
    """
    how = study.evaluations[evaluation].judging or Judging()
    return rating_prompt(how.prompt, study.folder, place=f"evaluations.{evaluation}.judging.prompt")


def judge_study(
    graph: StepGraph, evaluation: str, judge: Judge, *, baseline: str | None, say: Say, only_missing: bool = False
) -> int:
    """Rate every finished answer of an evaluation, or compare it with the answer of a baseline run.

    Every reply is stored in `judgements/<evaluation>.jsonl` of the study before it is used. Answers with a stored reply
    are not sent again.

    Args:
        graph: the steps of the study.
        evaluation: name of the evaluation.
        judge: the judge model.
        baseline: name of the run to compare with; None: rate the answers.
        say: receives one line per run and language.
        only_missing: leave out runs and languages that this judge has rated with the same prompt and rules.

    Returns:
        Number of answers without a verdict, because the judge gave none or the endpoint was not available.

    Raises:
        StudyError: no such evaluation or run, or the baseline has not been evaluated in a language.
        NotPrepared: the study file was edited since the study was run.
        EndpointError: the endpoint rejects the requests.
    """
    if evaluation not in graph.study.evaluations:
        known = tuple(graph.study.evaluations)
        hint = did_you_mean(evaluation, known)
        raise StudyError([f"{evaluation}: is not an evaluation of this study.{hint} Known: {', '.join(known)}."])
    require_prepared(graph)
    states = graph.states()
    if baseline is not None and baseline not in states:
        raise StudyError([f"--against {baseline}: is not a run of this study.{did_you_mean(baseline, tuple(states))}"])
    metric = RATING if baseline is None else WIN_METRIC.format(baseline=baseline)
    work = [(name, one) for name, state in states.items() if name != baseline for one in _finished(state, evaluation)]
    baseline_answers = (
        {} if baseline is None else {one.language: one for one in _finished(states[baseline], evaluation)}
    )
    lacking = sorted({one.language for _, one in work} - baseline_answers.keys()) if baseline is not None else []
    if lacking:
        raise StudyError([f"--against {baseline}: has no answers in {', '.join(lacking)}. Run: crosslift run"])
    num_missing, begun = 0, time.monotonic()
    folder = graph.store.folder / "judgements"
    how = graph.study.evaluations[evaluation].judging or Judging()
    prompt = prompt_of(graph.study, evaluation)
    rated = _Rated(folder / f"{evaluation}.rated.json", judge=judge.name, prompt=prompt, how=how)
    if only_missing:
        work = [(name, one) for name, one in work if not rated.has(one)]
        if not work:
            return 0
    with waiting_lease(folder) as lease, Journal(folder / f"{evaluation}.jsonl") as journal:
        judge.check = lease.check
        for number, (name, one) in enumerate(work, start=1):
            answers = _answers(graph, name, one)
            if baseline is None:
                table = rate(
                    judge,
                    answers,
                    journal,
                    evaluation=evaluation,
                    task=one.evaluation.task,
                    prompt=prompt,
                    lowest=how.lowest,
                )
            else:
                others = {
                    answer.sample_id: answer for answer in _answers(graph, baseline, baseline_answers[one.language])
                }
                table = compare(
                    judge, answers, others, journal, baseline=baseline, evaluation=evaluation, task=one.evaluation.task
                )
            _merge_verdicts(one, table, metric)
            num_missing += table["value"].null_count()
            if baseline is None and not table["value"].has_nulls():
                rated.add(one)
            left = (time.monotonic() - begun) / number * (len(work) - number)
            mean = table.select(pl.col("value").mean()).item()
            shown = "no verdict" if mean is None else f"{metric} {mean:.2f}"
            say(f"{one.step.name}: {shown}; {number} of {len(work)}, {left:.0f} s remaining")
    return num_missing


class _Rated:
    """Which runs and languages a judge has rated with a prompt and rules, so that a restart need not read them."""

    def __init__(self, file: Path, *, judge: str, prompt: str, how: Judging) -> None:
        self._file = file
        self._settings = fingerprint([judge, prompt, sorted(how.lowest)])
        try:
            self._known: dict[str, str] = read_json(file) if file.is_file() else {}
        except StoreError:  # the ratings are made again, from the stored replies
            self._known = {}

    def _key(self, one: EvaluationStep) -> str:
        return fingerprint([self._settings, one.step.fingerprint])

    def has(self, one: EvaluationStep) -> bool:
        """Whether a step is rated: the file of ratings is removed when its answers are generated again."""
        return self._known.get(one.step.name) == self._key(one) and (one.step.folder / JUDGED).is_file()

    def add(self, one: EvaluationStep) -> None:
        """Record a step whose answers all have a rating."""
        self._known[one.step.name] = self._key(one)
        write_json(self._file, self._known, durable=False)


def _finished(state: RunState, evaluation: str) -> Iterator[EvaluationStep]:
    for one in state.steps.evaluations:
        if one.evaluation.name == evaluation and (evaluation, one.language) in state.results:
            yield one


def _answers(graph: StepGraph, run: str, one: EvaluationStep) -> list[ModelAnswer]:
    """The run's answers with the requests as in the corpus, without the model's template."""
    corpus = one.evaluation.corpus_in(one.language)
    languages = graph.study.corpora[corpus].languages
    rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")
    rows = rows.gather_every(len(languages), offset=languages.index(one.language))
    asked = dict(zip(rows["item_id"], rows["messages"].to_list(), strict=True))
    return [
        ModelAnswer(
            run=run,
            request=_conversation(asked[row["item_id"]]),
            **{key: row[key] for key in ("sample_id", "item_id", "cluster", "language", "text", "finish")},
        )
        for row in read_step_table(one.step.folder, "predictions.parquet").iter_rows(named=True)
    ]


def _conversation(messages: list[dict[str, str]]) -> str:
    """The request: a single message as it is, a longer conversation with its roles."""
    asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
    if len(asked) == 1:
        return asked[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in asked)


def _merge_verdicts(one: EvaluationStep, table: pl.DataFrame, metric: str) -> None:
    """Store the verdicts beside the scores; verdicts of other metrics are kept."""
    file = one.step.folder / JUDGED
    remove_leftovers(one.step.folder)
    before = pl.DataFrame(schema=SCORES)
    if file.exists():
        before = read_step_table(one.step.folder, JUDGED, SCORES).filter(pl.col("metric") != metric)
    with one.step.rewriting(JUDGED):
        write_table(file, pl.concat([before, table]))
