"""Judgements of a whole study: they stand beside the scores of each evaluation and enter the study's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import polars as pl

from crosslift.errors import StudyError, did_you_mean
from crosslift.execution.folder.step_graph import EvaluationStep, RunState, StepGraph
from crosslift.execution.folder.store import JUDGED, read_table, write_table
from crosslift.files import remove_leftovers
from crosslift.journal import Journal
from crosslift.judging.answers import RATING, WINS, Answer, compare, rate
from crosslift.judging.judge import Judge
from crosslift.leases import waiting_lease
from crosslift.scores import SCORES

Say = Callable[[str], None]


def judge_study(graph: StepGraph, evaluation: str, judge: Judge, *, rival: str | None, say: Say) -> int:
    """Have every finished answer of an evaluation rated, or compared with the answers of one run.

    Every reply stands in `judgements/<evaluation>.jsonl` of the study before it counts. Results already judged are not
    asked about again.

    Args:
        rival: the run to compare with; None: rate.

    Returns:
        How many answers have no verdict, because the judge gave none or could not be reached.

    Raises:
        StudyError: no such evaluation or run, or the rival has not been evaluated in a language.
        EndpointError: the endpoint refuses.
    """
    if evaluation not in graph.study.evaluations:
        known = tuple(graph.study.evaluations)
        hint = did_you_mean(evaluation, known)
        raise StudyError([f"{evaluation}: is no evaluation of this study.{hint} Known: {', '.join(known)}."])
    states = graph.states()
    if rival is not None and rival not in states:
        raise StudyError([f"--against {rival}: is no run of this study.{did_you_mean(rival, tuple(states))}"])
    metric = RATING if rival is None else WINS.format(rival=rival)
    work = [(name, one) for name, state in states.items() if name != rival for one in _finished(state, evaluation)]
    rivals = {} if rival is None else {one.language: one for one in _finished(states[rival], evaluation)}
    lacking = sorted({one.language for _, one in work} - rivals.keys()) if rival is not None else []
    if lacking:
        raise StudyError([f"--against {rival}: has no answers in {', '.join(lacking)}. Run: crosslift run"])
    num_missing, begun = 0, time.monotonic()
    folder = graph.store.folder / "judgements"
    with waiting_lease(folder) as lease, Journal(folder / f"{evaluation}.jsonl") as journal:
        judge.check = lease.check
        for number, (name, one) in enumerate(work, start=1):
            answers = _answers(graph, name, one)
            if rival is None:
                table = rate(judge, answers, journal, evaluation=evaluation, task=one.evaluation.task)
            else:
                others = {answer.sample_id: answer for answer in _answers(graph, rival, rivals[one.language])}
                table = compare(
                    judge, answers, others, journal, rival=rival, evaluation=evaluation, task=one.evaluation.task
                )
            _keep(one, table, metric)
            num_missing += table["value"].null_count()
            left = (time.monotonic() - begun) / number * (len(work) - number)
            mean = table.select(pl.col("value").mean()).item()
            shown = "no verdict" if mean is None else f"{metric} {mean:.2f}"
            say(f"{one.step.name}: {shown}; {number} of {len(work)}, {left:.0f} s left")
    return num_missing


def _finished(state: RunState, evaluation: str) -> Iterator[EvaluationStep]:
    for one in state.steps.evaluations:
        if one.evaluation.name == evaluation and (evaluation, one.language) in state.results:
            yield one


def _answers(graph: StepGraph, run: str, one: EvaluationStep) -> list[Answer]:
    """The run's answers with the requests as the corpus holds them, without any model's template."""
    corpus = one.evaluation.corpus
    languages = graph.study.corpora[corpus].languages
    rows = read_table(graph.store.corpus_folder(corpus) / "rows.parquet")
    rows = rows.gather_every(len(languages), offset=languages.index(one.language))
    asked = dict(zip(rows["item_id"], rows["messages"].to_list(), strict=True))
    return [
        Answer(
            run=run,
            request=_conversation(asked[row["item_id"]]),
            **{key: row[key] for key in ("sample_id", "item_id", "cluster", "language", "text", "finish")},
        )
        for row in read_table(one.step.folder / "predictions.parquet").iter_rows(named=True)
    ]


def _conversation(messages: list[dict[str, str]]) -> str:
    """What was asked: one question as it is, a longer conversation with its roles."""
    asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
    if len(asked) == 1:
        return asked[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in asked)


def _keep(one: EvaluationStep, table: pl.DataFrame, metric: str) -> None:
    """Put the verdicts beside the scores; those of another form stay."""
    file = one.step.folder / JUDGED
    remove_leftovers(one.step.folder)
    before = read_table(file).filter(pl.col("metric") != metric) if file.is_file() else pl.DataFrame(schema=SCORES)
    write_table(file, pl.concat([before, table]))
