"""Evaluations by tasks of lm-evaluation-harness, written in one table and expanded to corpora and evaluations.

Each name in `tasks` becomes a corpus, whose items are the documents of the task in all languages, and an evaluation on
it. What follows (preparation, fingerprints, checks, intervals, report) is that of every other evaluation.
"""

from __future__ import annotations

import re

from crosslift.studies.parsing import schema

READER = "lm_eval"
"""Reader of the documents, and name of the task."""


def expand_harness(
    name: str, table: schema.HarnessTable
) -> dict[str, tuple[schema.CorpusTable, schema.EvaluationTable]]:
    """Expand an evaluation to one corpus and one evaluation per task.

    Args:
        name: Name of the evaluation in the study file.
        table: The evaluation.

    Returns:
        Name -> corpus and evaluation of this name. With one task it is the name in the study file, else the name of
        the task follows.
    """
    options = {
        key: value
        for key in ("codes", "dataset_path", "dataset_name", "dataset_kwargs", "num_fewshot", "item", "cluster")
        if (value := getattr(table, key)) not in (None, {})
    }
    found = {}
    for task in dict.fromkeys(table.tasks):
        own = name if len(set(table.tasks)) == 1 else f"{name}-{short_name(task)}"
        corpus = schema.CorpusTable.model_validate(
            {
                "reader": READER,
                "task": READER,
                "languages": table.languages,
                "split": "test",
                "path": table.include_path,
                "max_items": table.max_items,
                "incomplete": table.incomplete,
                "checks": dict.fromkeys(("answers", "numbers", "lengths", "language", "untranslated"), "off"),
                "harness_task": task,
                **options,
            }
        )
        evaluation = schema.EvaluationTable.model_validate(
            {
                "corpus": own,
                "languages": table.languages,
                "generator": table.generator,
                "metric": table.metric,
                "runs": table.runs,
                "chat_template": table.chat_template,
            }
        )
        found[own] = (corpus, evaluation)
    return found


def short_name(task: str) -> str:
    """Name of a task of the harness without the part that stands for the language: "belebele_{language}" is
    "belebele"."""
    return re.sub(r"[^A-Za-z0-9+-]+", "_", task.replace("{language}", "")).strip("_") or READER
