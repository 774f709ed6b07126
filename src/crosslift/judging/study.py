"""Judging a whole study. Verdicts are stored beside the scores of each evaluation and enter the study's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import polars as pl

from crosslift.errors import StudyError, did_you_mean
from crosslift.execution.folder.checksums import JUDGED
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunState
from crosslift.execution.folder.tables import read_step_table, write_table
from crosslift.execution.phases.prepare import require_prepared
from crosslift.judging.answers import RATING_METRIC, WIN_METRIC, ModelAnswer, compare, rate
from crosslift.judging.judge import Judge
from crosslift.remote.journal import Journal
from crosslift.scores import SCORES
from crosslift.system.files import remove_leftovers
from crosslift.system.leases import waiting_lease

Say = Callable[[str], None]


def judge_study(graph: StepGraph, evaluation: str, judge: Judge, *, baseline: str | None, say: Say) -> int:
    """Rate every finished answer of an evaluation, or compare it with the answer of a baseline run.

    Every reply is stored in `judgements/<evaluation>.jsonl` of the study before it is used. Answers with a stored reply
    are not sent again.

    Args:
        graph: the steps of the study.
        evaluation: name of the evaluation.
        judge: the judge model.
        baseline: name of the run to compare with; None: rate the answers.
        say: receives one line per run and language.

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
    metric = RATING_METRIC if baseline is None else WIN_METRIC.format(baseline=baseline)
    work = [(name, one) for name, state in states.items() if name != baseline for one in _finished(state, evaluation)]
    baseline_answers = (
        {} if baseline is None else {one.language: one for one in _finished(states[baseline], evaluation)}
    )
    lacking = sorted({one.language for _, one in work} - baseline_answers.keys()) if baseline is not None else []
    if lacking:
        raise StudyError([f"--against {baseline}: has no answers in {', '.join(lacking)}. Run: crosslift run"])
    num_missing, begun = 0, time.monotonic()
    folder = graph.store.folder / "judgements"
    with waiting_lease(folder) as lease, Journal(folder / f"{evaluation}.jsonl") as journal:
        judge.check = lease.check
        for number, (name, one) in enumerate(work, start=1):
            answers = _answers(graph, name, one)
            if baseline is None:
                table = rate(judge, answers, journal, evaluation=evaluation, task=one.evaluation.task)
            else:
                others = {
                    answer.sample_id: answer for answer in _answers(graph, baseline, baseline_answers[one.language])
                }
                table = compare(
                    judge, answers, others, journal, baseline=baseline, evaluation=evaluation, task=one.evaluation.task
                )
            _merge_verdicts(one, table, metric)
            num_missing += table["value"].null_count()
            left = (time.monotonic() - begun) / number * (len(work) - number)
            mean = table.select(pl.col("value").mean()).item()
            shown = "no verdict" if mean is None else f"{metric} {mean:.2f}"
            say(f"{one.step.name}: {shown}; {number} of {len(work)}, {left:.0f} s remaining")
    return num_missing


def _finished(state: RunState, evaluation: str) -> Iterator[EvaluationStep]:
    for one in state.steps.evaluations:
        if one.evaluation.name == evaluation and (evaluation, one.language) in state.results:
            yield one


def _answers(graph: StepGraph, run: str, one: EvaluationStep) -> list[ModelAnswer]:
    """The run's answers with the requests as in the corpus, without the model's template."""
    corpus = one.evaluation.corpus
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
