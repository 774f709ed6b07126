"""study.toml -> Study, or every mistake in it at once.

No corpus and no model is opened here (`crosslift check` reads the corpora next); files and folders must exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import Source
from crosslift.discover import member
from crosslift.errors import StudyError
from crosslift.studies import schema
from crosslift.studies.check import check
from crosslift.studies.problems import Problems, read_toml
from crosslift.studies.run import Model
from crosslift.studies.study import Contrast, Evaluation, Study, Validation
from crosslift.studies.tables import Tables, read, treatments
from crosslift.training.trainer import LoRAConfig, SFTConfig

FILE = "study.toml"


def load(path: Path) -> Study:
    """Read a study from its folder, or from the file itself.

    Raises:
        StudyError: with every problem found; nothing has been written.
    """
    file = path / FILE if path.is_dir() else path
    raw = read_toml(file, remedy=f"Write one with: crosslift new demo {file.parent}")
    problems = Problems(file.name)
    tables = read(raw, file.parent, problems)
    check(tables, problems)
    if problems:
        raise StudyError(problems)
    return _study(tables)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the study file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema.StudyFile.model_json_schema()}


def _study(tables: Tables) -> Study:
    """Everything has been checked."""
    head, grid, training = tables.head, tables.grid, tables.training
    assert head is not None and grid is not None and training is not None
    models = {name: Model(name=name, **dict(table)) for name, table in tables.models.items() if table is not None}
    corpora = {name: _source(name, table, tables.folder) for name, table in tables.corpora.items() if table is not None}
    prompts = {
        name: table.prompt or str(member("task", table.task).PROMPTS[0])
        for name, table in tables.corpora.items()
        if table is not None
    }
    mixtures = [mixture for name in grid.mixtures or tables.expanded for mixture in tables.expanded[name]]
    values = dict(training)
    validation = values.pop("validation")
    lora = values.pop("lora")
    if training.method == "lora":
        lora = lora or schema.LoRATable()
        targets = lora.target_modules
        lora = LoRAConfig(
            rank=lora.rank,
            alpha=lora.alpha,
            dropout=lora.dropout,
            target_modules="all-linear" if targets == "all-linear" else tuple(targets),
        )
    return Study(
        **dict(head),
        folder=tables.folder,
        models={name: models[name] for name in grid.models or models},
        corpora=corpora,
        prompts=prompts,
        mixtures={mixture.name: mixture for mixture in mixtures},
        seeds=tuple(grid.seeds),
        training=SFTConfig(**values, lora=lora),
        validation=validation and Validation(corpora=tuple(validation.corpora), max_items=validation.max_items),
        evaluations={
            name: _evaluation(name, table, corpora[table.corpus])
            for name, table in tables.evaluations.items()
            if table is not None
        },
        contrasts=tuple(_contrast(table, tables) for table in tables.contrasts if table is not None),
        base=grid.base,
        paths={name: table.path for name, table in tables.corpora.items() if table is not None and table.path},
        tokenizers=models,
    )


def _source(name: str, table: schema.CorpusTable, folder: Path) -> Source:
    return Source(
        name=name,
        reader=table.reader,
        task=table.task,
        languages=tuple(table.languages),
        split=table.split,
        path=None if table.path is None else folder / Path(table.path).expanduser(),
        revision=table.revision,
        max_items=table.max_items,
        incomplete=table.incomplete,
        options=dict(table.model_extra or {}),
    )


def _evaluation(name: str, table: schema.EvaluationTable, source: Source) -> Evaluation:
    return Evaluation(
        name=name,
        corpus=table.corpus,
        task=source.task,
        languages=tuple(table.languages or source.languages),
        max_tokens=table.max_tokens or int(member("task", source.task).MAX_TOKENS),
        generator=table.generator,
        require_language=table.require_language,
    )


def _contrast(table: schema.ContrastTable, tables: Tables) -> Contrast:
    return Contrast(
        name=table.name, control=table.control, treatments=treatments(table, tables.expanded), primary=table.primary
    )
