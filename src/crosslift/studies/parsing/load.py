"""Loading of study.toml into a `Study`. All validation errors are reported at once.

Files and folders that the study file names must exist, but no corpus or model is opened; `crosslift check` reads the
corpora afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from crosslift.corpora.corpus import Source
from crosslift.discover import member
from crosslift.errors import StudyError
from crosslift.evaluation.task import asked_of_every_run
from crosslift.evaluation.task import task as find_task
from crosslift.studies.evaluation import Evaluation, Judging, Shots
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.rules import check
from crosslift.studies.parsing.schema.data import CorpusTable
from crosslift.studies.parsing.schema.evaluations import EvaluationTable, ShotsTable, corpora_of
from crosslift.studies.parsing.schema.grid import ContrastTable, GridTable
from crosslift.studies.parsing.schema.study_file import StudyFile
from crosslift.studies.parsing.schema.training import LoRATable
from crosslift.studies.parsing.tables import Tables, read, short_name, treatments
from crosslift.studies.parsing.toml_file import read_toml
from crosslift.studies.run import Model
from crosslift.studies.study import Block, Contrast, Study, Validation
from crosslift.training.trainer import LoRAConfig, SFTConfig

FILE = "study.toml"


def load(path: Path, *, data: Literal["required", "optional"] = "required", folder: Path | None = None) -> Study:
    """Load a study.

    Args:
        path: The study's folder, or its study file.
        data: "required": missing files of corpora and folders of models are errors. "optional": they are listed in
            `Study.absent`, so that a study can be planned before they are available, and read when they are gone.
        folder: The study's folder, if the study file lies elsewhere.

    Returns:
        The study, with families expanded, defaults filled in and names resolved.

    Raises:
        StudyError: The study file is invalid. The error lists every problem; no file has been written.
    """
    file = path if path.suffix == ".toml" or (path.exists() and not path.is_dir()) else path / FILE
    raw = read_toml(file, remedy=f"Write one with: crosslift new demo {_empty(file.parent)}")
    problems = Problems(file.name)
    tables = read(raw, folder or file.parent, problems)
    check(tables, problems)
    if data == "required":
        problems += problems.absent
    if problems:
        raise StudyError(problems)
    return replace(_study(tables), absent=tuple(problems.absent))


def _empty(folder: Path) -> Path:
    """Return the folder if `crosslift new` can write into it, else a sub-folder of it."""
    try:
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError:
        used = False
    return folder / "demo" if used else folder


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the study file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyFile.model_json_schema()}


def _study(tables: Tables) -> Study:
    """Build the study from tables that have passed all checks."""
    head, grid, training = tables.head, tables.grid, tables.training
    assert head is not None and grid is not None and training is not None
    models = {name: Model(name=name, **dict(table)) for name, table in tables.models.items() if table is not None}
    corpora = {
        name: source_of(name, table, tables.folder, data_seed=head.data_seed)
        for name, table in tables.corpora.items()
        if table is not None
    }
    prompts = {
        name: table.prompt or str(member("task", table.task).PROMPTS[0])
        for name, table in tables.corpora.items()
        if table is not None
    }
    blocks = _blocks(tables, grid)
    enabled = [block for block in blocks if block.enabled]
    used = {name for block in enabled for name in (*block.mixtures, *(["base"] if block.base else []))}
    mixtures = {one.name: one for group in tables.expanded.values() for one in group}
    contrasts = [_contrast(table, tables) for table in tables.contrasts if table is not None]
    waiting = {corpus for name, one in mixtures.items() if name not in used for corpus in one.corpora}
    at_work = {corpus for name in used & mixtures.keys() for corpus in mixtures[name].corpora}
    active = [active for contrast in contrasts if (active := contrast.within(used)) is not None]
    values = dict(training)
    validation = values.pop("validation")
    lora = values.pop("lora")
    if training.method == "lora":
        lora = lora or LoRATable()
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
        models={name: models[name] for block in enabled for name in block.models},
        corpora={name: one for name, one in corpora.items() if name in at_work or name not in waiting},
        prompts=prompts,
        mixtures={name: mixtures[name] for block in enabled for name in block.mixtures},
        blocks=blocks,
        training=SFTConfig(**values, lora=lora),
        validation=validation and Validation(corpora=tuple(validation.corpora), max_items=validation.max_items),
        evaluations={
            name: _evaluation(name, table, corpora) for name, table in tables.evaluations.items() if table is not None
        },
        contrasts=tuple(active),
        inactive=tuple(one.name for one in contrasts if one.name not in {other.name for other in active}),
        paths={name: table.path for name, table in tables.corpora.items() if table is not None and table.path},
        tokenizers=models,
    )


def _blocks(tables: Tables, grid: GridTable) -> tuple[Block, ...]:
    """Return the grid and the arms in the order of the study file."""

    def members(names: list[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mixture.name for name in names for mixture in tables.members(name)))

    first = Block(
        name="grid",
        models=tuple(grid.models or tables.models),
        mixtures=members(tables.grid_mixtures()),
        seeds=tuple(grid.seeds),
        base=grid.base,
    )
    arms = [
        Block(
            name=name,
            models=tuple(arm.models or first.models),
            mixtures=members(arm.mixtures) if arm.mixtures else first.mixtures,
            seeds=tuple(arm.seeds or first.seeds),
            base=arm.base,
            enabled=arm.enabled,
            separates=arm.separates,
        )
        for name, arm in tables.arms.items()
        if arm is not None
    ]
    return (first, *arms)


def source_of(name: str, table: CorpusTable, folder: Path, *, data_seed: int = 0) -> Source:
    """Convert a corpus table to the `Source` that its reader receives.

    Args:
        name: Name of the corpus.
        table: Table of the corpus in the study file.
        folder: The study's folder; relative paths are resolved against it.
        data_seed: Seed of the order of items, if it is random.
    """
    return Source(
        name=name,
        reader=table.reader,
        task=table.task,
        languages=tuple(table.languages),
        split=table.split,
        path=None if table.path is None else folder / Path(table.path).expanduser(),
        revision=table.revision,
        max_items=table.max_items,
        order=table.order,
        data_seed=data_seed,
        incomplete=table.incomplete,
        options=dict(table.model_extra or {}),
        checks={name: policy for name, policy in table.checks.items() if policy != "report"},
    )


def _evaluation(name: str, table: EvaluationTable, corpora: dict[str, Source]) -> Evaluation:
    names = corpora_of(table)
    source = corpora[names[0]]
    module = find_task(source.task)
    every_run = asked_of_every_run(module) if table.runs is None else table.runs == "all"
    of_harness = source.options.get("harness_task")
    return Evaluation(
        name=name,
        corpus=names[0],
        task=source.task if of_harness is None else f"{source.task}:{short_name(of_harness)}",
        languages=tuple(table.languages or [tag for one in names for tag in corpora[one].languages]),
        max_tokens=table.max_tokens or int(module.MAX_TOKENS),
        generator=table.generator,
        require_language=table.require_language,
        shots=None if table.shots is None else _shots(table.shots, corpora),
        metric=table.metric or str(module.METRICS[0]),
        every_run=every_run,
        chat_template=table.chat_template,
        corpus_of=_corpus_of(names, corpora),
        stop=tuple(table.stop),
        judging=None
        if table.judging is None
        else Judging(prompt=table.judging.prompt, lowest=tuple(table.judging.lowest)),
    )


def _shots(table: ShotsTable, corpora: dict[str, Source]) -> Shots:
    names = corpora_of(table)
    return Shots(corpus=names[0], number=table.number, corpus_of=_corpus_of(names, corpora))


def _corpus_of(names: list[str], corpora: dict[str, Source]) -> dict[str, str]:
    """Return language -> corpus for joined corpora; empty for one corpus."""
    return {tag: name for name in names for tag in corpora[name].languages} if len(names) > 1 else {}


def _contrast(table: ContrastTable, tables: Tables) -> Contrast:
    return Contrast(
        name=table.name, control=table.control, treatments=treatments(table, tables.expanded), primary=table.primary
    )
