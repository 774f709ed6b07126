"""Reader of the documents of a task of lm-evaluation-harness in several languages.

The documents become items, so that the statistics know which questions are the same in all languages. An item is the
document of the same number in every language, or that of the same id with `item = "{link}-{question_number}"`; items on
one passage are dependent and get a common `cluster = "{link}"`. The evaluation asks the harness for these documents by
number and verifies that they have not changed. The extra `harness` installs the program.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.corpora.harness import document_hash, documents, load_task, metrics_of, version

OPTIONS: dict[str, type] = {
    "harness_task": str,
    "codes": dict,
    "dataset_path": str,
    "dataset_name": str,
    "dataset_kwargs": dict,
    "num_fewshot": int,
    "item": str,
    "cluster": str,
}


def read(source: Source) -> ParallelCorpus:
    """Read the documents of a task in each language.

    Raises:
        CorpusError: there is no such task, its data cannot be loaded, or a document lacks a field of `item` or
            `cluster`.
        MissingPackage: lm-evaluation-harness is not installed.
    """
    if "harness_task" not in source.options:
        raise CorpusError(
            f"{source.place}: reader 'lm_eval' needs harness_task, such as \"xnli_{{language}}\". Add it."
        )
    columns: dict[str, list[Any]] = {name: [] for name in ROWS.names()}
    notes = []
    for tag in source.languages:
        task = load_task(source, tag)
        notes.append(f"{tag}: task {task.task_name}, metrics {', '.join(metrics_of(task)) or 'of its own code'}")
        for number, document in enumerate(documents(task)):
            item = _field(source, "item", document, f"{number}")
            columns["item_id"].append(item)
            columns["language"].append(tag)
            columns["messages"].append([{"role": "user", "content": _shown(task, document)}])
            columns["answer"].append(
                json.dumps({"task": task.task_name, "document": number, "hash": document_hash(document)})
            )
            columns["cluster"].append(_field(source, "cluster", document, item))
            columns["origin"].append("unknown")
    return ParallelCorpus.build(
        source,
        pl.DataFrame(columns, schema=ROWS),
        licence="see the data set of the task",
        revision=f"lm_eval {version()}",
        notes=notes,
    )


def _field(source: Source, option: str, document: dict[str, Any], default: str) -> str:
    template = source.options.get(option)
    if template is None:
        return default
    try:
        return str(template.format_map(document))
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise CorpusError(
            f'{source.place}: {option} = "{template}" does not fit the documents ({error}). Their fields: '
            f"{', '.join(document)}."
        ) from error


def _shown(task: Any, document: dict[str, Any]) -> str:
    """The question as text, for checks and leaks; the document itself where the choices are in the context."""
    text = task.doc_to_text(document)
    return text if isinstance(text, str) and text.strip() else json.dumps(document, default=str, ensure_ascii=False)
