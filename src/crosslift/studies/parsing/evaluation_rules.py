"""Validation of the evaluations of a study file: their corpora, examples, metrics and judge."""

from __future__ import annotations

from crosslift.discover import member, members
from crosslift.scores import RATING, scale
from crosslift.studies.evaluation import by_judge
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.data import CorpusTable
from crosslift.studies.parsing.schema.evaluations import EvaluationTable, ShotsTable, corpora_of
from crosslift.studies.parsing.tables import Tables


def check_evaluation(place: str, table: EvaluationTable, tables: Tables, problems: Problems) -> None:
    """Record every problem of an evaluation.

    Args:
        place: Location of the table in the file.
        table: The evaluation.
        tables: The tables of the study file.
        problems: The list to which problems are added.
    """
    problems.reference(f"{place}.generator", "generator", table.generator, members("generator"))
    found = _corpora(f"{place}.corpus", table, tables, problems)
    if found is None:
        return
    owner = " and ".join(f"corpus '{name}'" for name in corpora_of(table))
    among = [tag for corpus in found for tag in corpus.languages]
    if table.languages is not None:
        problems.languages(f"{place}.languages", table.languages, among=among, owner=owner)
    if found[0].task in members("task"):
        _asked(place, table, found[0], problems)
    if table.shots is not None and found:
        _shots(f"{place}.shots", table, found[0].task, tables, problems)


def _asked(place: str, table: EvaluationTable, corpus: CorpusTable, problems: Problems) -> None:
    """Check the keys whose meaning depends on the task."""
    task = member("task", corpus.task)
    by_likelihood, judged = hasattr(task, "score_row"), table.metric is not None and by_judge(table.metric)
    if table.metric is not None and not judged and (hasattr(task, "score") or hasattr(task, "request")):
        problems.reference(
            f"{place}.metric", f"metric of task '{corpus.task}' called", table.metric, (*task.METRICS, RATING)
        )
    if table.metric is not None and not scale(table.metric).can_be_primary:
        problems.add(
            f"{place}.metric",
            f"'{table.metric}' is not a share that grows with quality, so it cannot be the primary metric. Choose "
            "another; all metrics of the task are in the report.",
        )
    if by_likelihood and (table.require_language or table.max_tokens is not None or table.stop):
        problems.add(place, f"task '{corpus.task}' generates no answer. Remove require_language, max_tokens and stop.")
    if by_likelihood and (judged or table.judging is not None):
        problems.add(place, f"task '{corpus.task}' generates no answer that a judge could rate. Remove judging.")
    if not by_likelihood and table.chat_template:
        problems.add(
            f"{place}.chat_template",
            f"task '{corpus.task}' always asks in the chat template; the key is for tasks by likelihood. Remove it.",
        )


def _corpora(
    place: str, table: EvaluationTable | ShotsTable, tables: Tables, problems: Problems
) -> list[CorpusTable] | None:
    """Return the corpora of an evaluation or of its examples; None if one of them is unknown or invalid."""
    names = corpora_of(table)
    known = [problems.reference(place, "corpus", name, tables.corpora) for name in names]
    if not all(known):
        return None
    found = [corpus for name in names if (corpus := tables.corpora[name]) is not None]
    if len(found) < len(names):
        return None
    tasks = dict.fromkeys(corpus.task for corpus in found)
    if len(tasks) > 1:
        problems.add(place, f"joins the tasks {' and '.join(tasks)}. Name corpora of one task.")
        return None
    tags = [tag for corpus in found for tag in corpus.languages]
    twice = list(dict.fromkeys(tag for tag in tags if tags.count(tag) > 1))
    if len(found) > 1 and twice:
        problems.add(place, f"joins corpora that share languages: {', '.join(twice)}. Remove these from one of them.")
        return None
    return found


def _shots(place: str, table: EvaluationTable, task: str, tables: Tables, problems: Problems) -> None:
    shots = table.shots
    assert shots is not None
    found = _corpora(f"{place}.corpus", shots, tables, problems)
    if found is None:
        return
    names = corpora_of(shots)
    shown = " and ".join(f"'{name}'" for name in names)
    if found[0].task != task:
        problems.add(
            f"{place}.corpus",
            f"{shown} has task {found[0].task} but the evaluation has {task}. Name another corpus.",
        )
    if set(names) & set(corpora_of(table)):
        problems.add(f"{place}.corpus", "is the evaluated corpus itself. Name a corpus of another split.")
    for name, corpus in zip(names, found, strict=True):
        if corpus.max_items is not None and shots.number > corpus.max_items:
            problems.add(
                f"{place}.number", f"is {shots.number} but max_items of '{name}' is {corpus.max_items}. Lower it."
            )
    asked = table.languages or [
        tag for name in corpora_of(table) if (one := tables.corpora[name]) is not None for tag in one.languages
    ]
    lacking = [tag for tag in asked if all(tag not in corpus.languages for corpus in found)]
    if lacking:
        problems.add(
            f"{place}.corpus", f"{shown} lacks evaluated languages: {', '.join(lacking)}. Evaluate in fewer languages."
        )
