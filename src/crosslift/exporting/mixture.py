"""`crosslift export mixture`: the drawn examples as chat messages, with configurations of other training tools.

The messages are those that the study trains on: in the prompt format of the task, in the order of the mixture. `prompt`
and `completion` divide them where the loss begins. The folder is complete in itself and contains relative paths only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.discover import member, members
from crosslift.errors import StoreError, UnknownName, did_you_mean
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases.examples import training_rows, validation_rows
from crosslift.exporting.model import export_model
from crosslift.exporting.new_folder import new_folder
from crosslift.exporting.settings import DATA, TrainingSettings, settings_of
from crosslift.extras import optional
from crosslift.fingerprint import fingerprint
from crosslift.languages.language import language
from crosslift.studies.run import Run
from crosslift.system.files import read_json, write_json, write_text

FORMS = ("jsonl", "parquet", "datasets")
COLUMNS = ("item_id", "language", "corpus", "task", "messages", "prompt", "completion", "answer")


@dataclass(frozen=True, kw_only=True)
class ExportedMixture:
    """Summary of an exported mixture."""

    num_examples: int
    num_validation: int
    notes: tuple[str, ...]
    """Differences between the training that the configurations describe and that of the study."""
    commands: dict[str, str]
    """Configuration file -> command that trains with it, to be run in the folder."""


def export_mixture(
    graph: StepGraph, name: str, folder: Path, *, form: str = "jsonl", model: str | None = None, seed: int | None = None
) -> ExportedMixture:
    """Write a mixture and the configurations to a new folder, completely or not at all.

    Args:
        graph: the steps of the study, which must be prepared.
        name: the mixture.
        folder: the folder to create; it must not exist, or be empty.
        form: "jsonl" or "parquet": files in `data/`, which `datasets.load_dataset` reads; "datasets": JSON lines, and
            a folder `dataset/` for `datasets.load_from_disk`.
        model: model of the configurations; None if the study has only one.
        seed: training seed of the configurations; None for the first one of the mixture's runs.

    Returns:
        The summary.

    Raises:
        UnknownName: there is no such mixture, model or format.
        StoreError: the study is not prepared, or the folder is not empty.
    """
    run = _run(graph, name, model=model, seed=seed)
    _known("format", form, FORMS)
    graph.store.lock()
    if not graph.mixture_step(name).done():
        raise StoreError(f"mixtures/{name} is not prepared from the present study file. Run: crosslift prepare")
    examples = messages_of(graph, training_rows(graph, run))
    validation = validation_rows(graph, run)
    held_out = None if validation is None else messages_of(graph, validation)
    with new_folder(folder) as partial:
        (partial / DATA).mkdir()
        path, revision = export_model(graph, run.model, partial)
        settings = settings_of(
            graph,
            run,
            model=path,
            revision=revision,
            num_validation=0 if held_out is None else held_out.height,
            several_turns=_several_turns(examples),
            suffix="parquet" if form == "parquet" else "jsonl",
        )
        if settings.several_turns:
            examples = _with_marks(examples)
            held_out = None if held_out is None else _with_marks(held_out)
        for split, table in (("train", examples), ("validation", held_out)):
            if table is not None:
                _WRITERS[settings.suffix](partial / DATA / f"{split}.{settings.suffix}", table)
        if form == "datasets":
            _write_dataset(partial / "dataset", {"train": examples, "validation": held_out})
        write_json(partial / "manifest.json", read_json(graph.store.mixture_folder(name) / "manifest.json"))
        commands = _write_configurations(partial, settings)
    return ExportedMixture(
        num_examples=examples.height,
        num_validation=settings.num_validation,
        notes=settings.notes,
        commands=commands,
    )


def messages_of(graph: StepGraph, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the texts of examples in the prompt format of their task.

    Args:
        graph: the steps of the study.
        rows: columns corpus, language and row.

    Returns:
        The columns COLUMNS, one row per example, in the same order. `messages` is `prompt` followed by `completion`.
    """
    parts = []
    numbered = rows.with_row_index("place")
    for corpus in rows["corpus"].unique(maintain_order=True):
        source = graph.study.corpora[corpus]
        here = numbered.filter(pl.col("corpus") == corpus)
        texts = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")[here["row"]]
        task, prompt = find_task(source.task), graph.study.prompts[corpus]
        shown = [
            task.present(messages, language(tag), prompt)
            for messages, tag in zip(texts["messages"].to_list(), texts["language"].to_list(), strict=True)
        ]
        kind = texts.schema["messages"]
        parts.append(
            texts.select(
                here["place"],
                "item_id",
                "language",
                pl.lit(corpus).alias("corpus"),
                pl.lit(source.task).alias("task"),
                pl.Series("messages", shown, kind),
                pl.Series("prompt", [messages[:-1] for messages in shown], kind),
                pl.Series("completion", [messages[-1:] for messages in shown], kind),
                "answer",
            )
        )
    return pl.concat(parts).sort("place").select(COLUMNS)


def _run(graph: StepGraph, name: str, *, model: str | None, seed: int | None) -> Run:
    study = graph.study
    _known("mixture", name, study.mixtures)
    if model is None:
        if len(study.models) > 1:
            raise UnknownName(f"The study has several models. Choose one: --model {' or '.join(study.models)}.")
        model = next(iter(study.models))
    _known("model", model, study.models)
    seeds = [run.seed for run in graph.runs.values() if run.mixture == study.mixtures[name] and run.model.name == model]
    chosen = seed if seed is not None else seeds[0] if seeds else 0
    return Run(model=study.models[model], mixture=study.mixtures[name], seed=chosen)


def _known(kind: str, name: str, known: Any) -> None:
    if name not in known:
        raise UnknownName(f"'{name}' is not a {kind}.{did_you_mean(name, known)} Known: {', '.join(known)}.")


def _several_turns(examples: pl.DataFrame) -> bool:
    roles = pl.element().struct.field("role") == "assistant"
    return bool((examples.select(pl.col("messages").list.eval(roles).list.sum())["messages"] > 1).any())


def _with_marks(examples: pl.DataFrame) -> pl.DataFrame:
    """Add `train` to every message: true for the last one, the only one that carries loss."""
    marked = [
        [{**message, "train": message is messages[-1]} for message in messages]
        for messages in examples["messages"].to_list()
    ]
    return examples.with_columns(pl.Series("messages", marked))


def _write_jsonl(file: Path, table: pl.DataFrame) -> None:
    write_text(file, table.write_ndjson(), durable=False)


def _write_parquet(file: Path, table: pl.DataFrame) -> None:
    table.rechunk().write_parquet(file, compression="zstd")


_WRITERS: dict[str, Callable[[Path, pl.DataFrame], None]] = {"jsonl": _write_jsonl, "parquet": _write_parquet}


def _write_dataset(folder: Path, splits: dict[str, pl.DataFrame | None]) -> None:
    with optional():
        from datasets import Dataset, DatasetDict
        from datasets.utils.logging import disable_progress_bar
    disable_progress_bar()
    DatasetDict(
        {
            # The fingerprint would be random, and equal mixtures would give different bytes.
            split: Dataset(table.to_arrow(), fingerprint=fingerprint({"split": split, "rows": table.write_ndjson()}))
            for split, table in splits.items()
            if table is not None
        }
    ).save_to_disk(folder)


def _write_configurations(folder: Path, settings: TrainingSettings) -> dict[str, str]:
    commands = {}
    for name in members("training tool"):
        tool = member("training tool", name)
        for file, text in tool.files(settings).items():
            write_text(folder / file, text, durable=False)
        commands[f"{name}.yaml"] = tool.COMMAND
    return commands
