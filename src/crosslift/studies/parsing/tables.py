"""Schema validation of the tables of a study file.

Each entry of each table is validated separately, so that a type error in one does not hide an unknown language in
another. `rules.check` validates constraints across tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from crosslift.mixtures.mixture import Component, Mixture
from crosslift.studies.parsing.families.expand import budget, expand
from crosslift.studies.parsing.problems import Problems, unknown_key
from crosslift.studies.parsing.schema.data import CorpusTable, ModelTable
from crosslift.studies.parsing.schema.evaluations import EvaluationTable, HarnessTable
from crosslift.studies.parsing.schema.families import Family
from crosslift.studies.parsing.schema.grid import ArmTable, ContrastTable, GridTable
from crosslift.studies.parsing.schema.mixtures import MixtureTable
from crosslift.studies.parsing.schema.study_file import TABLES, HeaderTable, StudyFile
from crosslift.studies.parsing.schema.training import TrainingTable


@dataclass(kw_only=True)
class Tables:
    """The tables of a study file. None marks an invalid entry, which may be referenced but is not checked further."""

    folder: Path
    head: HeaderTable | None = None
    models: dict[str, ModelTable | None] = field(default_factory=dict)
    corpora: dict[str, CorpusTable | None] = field(default_factory=dict)
    mixtures: dict[str, MixtureTable | None] = field(default_factory=dict)
    families: dict[str, Family | None] = field(default_factory=dict)
    evaluations: dict[str, EvaluationTable | None] = field(default_factory=dict)
    grid: GridTable | None = None
    arms: dict[str, ArmTable | None] = field(default_factory=dict)
    training: TrainingTable | None = None
    contrasts: list[ContrastTable | None] = field(default_factory=list)
    expanded: dict[str, tuple[Mixture, ...]] = field(default_factory=dict)
    """Name of a valid family or mixture -> its mixtures."""

    def grid_mixtures(self) -> list[str]:
        """Return the names of the grid's mixtures and families; by default all that no arm lists."""
        if self.grid is not None and self.grid.mixtures:
            return self.grid.mixtures
        of_arms = {name for arm in self.arms.values() if arm is not None for name in arm.mixtures or ()}
        return [name for name in (*self.mixtures, *self.families) if name not in of_arms]

    def members(self, name: str) -> tuple[Mixture, ...]:
        """Return the mixtures of a family, or the mixture with this name, which may belong to a family."""
        if name in self.expanded:
            return self.expanded[name]
        return tuple(mixture for group in self.expanded.values() for mixture in group if mixture.name == name)

    def mixture_names(self) -> list[str]:
        """Return the names that a block may refer to: mixtures, families, and the mixtures of families."""
        inside = [mixture.name for group in self.expanded.values() for mixture in group]
        return list(dict.fromkeys([*self.mixtures, *self.families, *inside]))

    def named_mixtures(self) -> list[str]:
        """Return the names of the mixtures and families in the grid and all arms, including disabled arms."""
        of_arms = [name for arm in self.arms.values() if arm is not None for name in arm.mixtures or ()]
        return list(dict.fromkeys([*self.grid_mixtures(), *of_arms]))


HARNESS = "lm_eval"
"""Task of evaluations by lm-evaluation-harness, and reader of their documents."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read(raw: Mapping[str, Any], folder: Path, problems: Problems) -> Tables:
    """Validate the tables against their schemas and expand the families.

    Args:
        raw: The parsed TOML file.
        folder: The study's folder.
        problems: The list to which problems are added.

    Returns:
        The tables, with None in place of each invalid entry.
    """
    fields = StudyFile.model_fields
    for key in raw:
        if key not in fields:
            problems.add("", unknown_key(key, fields))
    for key in ("models", "corpora", "training", "evaluations"):
        if not raw.get(key):
            table = "[training]" if key == "training" else f"[{key}.<name>]"
            problems.add("", f"there is no table {table}. Add one.")
    tables = Tables(folder=folder)
    tables.head = _entry(HeaderTable, {key: raw[key] for key in HeaderTable.model_fields if key in raw}, "", problems)
    _read_named_tables(tables, raw, problems)
    tables.grid = _entry(GridTable, raw.get("grid", {}), "grid", problems)
    if raw.get("training"):
        tables.training = _entry(TrainingTable, raw["training"], "training", problems)
    contrasts = raw.get("contrasts", [])
    if not isinstance(contrasts, list):
        problems.add("contrasts", "must be tables of the form [[contrasts]]. Use double brackets.")
        contrasts = []
    tables.contrasts = [_entry(ContrastTable, value, f"contrasts[{i}]", problems) for i, value in enumerate(contrasts)]
    for name, mixture in tables.mixtures.items():
        if mixture is not None:
            tables.expanded[name] = (_mixture(name, mixture),)
    for name, family in tables.families.items():
        if family is not None and name not in tables.expanded:
            tables.expanded[name] = expand(name, family)
    return tables


def _read_named_tables(tables: Tables, raw: Mapping[str, Any], problems: Problems) -> None:
    for key, kind in TABLES.items():
        entries = raw.get(key, {})
        if not isinstance(entries, dict):
            problems.add(key, f"must be tables of the form [{key}.<name>]. Change it.")
            continue
        if key == "evaluations":
            entries = _of_harness(tables, entries, problems)
        read_entries = {name: _entry(kind, value, f"{key}.{name}", problems) for name, value in entries.items()}
        setattr(tables, key, getattr(tables, key) | read_entries)


def _of_harness(tables: Tables, entries: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Expand the evaluations by tasks of lm-evaluation-harness; return the others."""
    others = {}
    for name, value in entries.items():
        if not isinstance(value, Mapping) or "task" not in value:
            others[name] = value
            continue
        table = _entry(HarnessTable, value, f"evaluations.{name}", problems)
        if table is None:
            tables.evaluations[name] = None
            continue
        for own, (corpus, evaluation) in expand_harness(name, table).items():
            if own in tables.corpora or own in tables.evaluations:
                problems.add(f"evaluations.{name}", f"a corpus or evaluation is named '{own}' too. Rename one of them.")
            tables.corpora[own] = corpus
            tables.evaluations[own] = evaluation
    return others


def expand_harness(name: str, table: HarnessTable) -> dict[str, tuple[CorpusTable, EvaluationTable]]:
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
        corpus = CorpusTable.model_validate(
            {
                "reader": HARNESS,
                "task": HARNESS,
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
        evaluation = EvaluationTable.model_validate(
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
    return re.sub(r"[^A-Za-z0-9+-]+", "_", task.replace("{language}", "")).strip("_") or HARNESS


def _entry(kind: Any, value: Any, place: str, problems: Problems) -> Any | None:
    return problems.read(kind, value, place, _adapter(kind))


def _mixture(name: str, table: MixtureTable) -> Mixture:
    return Mixture(
        name=name,
        components=tuple(
            Component(corpus=part.corpus, shares=part.shares, counts=part.counts) for part in table.components
        ),
        pairing=table.pairing,
        budget=None if table.budget is None else budget(table.budget),
        order=table.order,
        repeat=table.repeat,
    )


def treatments(table: ContrastTable, expanded: Mapping[str, tuple[Mixture, ...]]) -> tuple[str, ...]:
    """Return the mixtures that a contrast compares with its control.

    Args:
        table: The contrast. Its treatments are names of mixtures or families.
        expanded: Name of a mixture or family -> its mixtures.

    Returns:
        Names of mixtures. A family contributes its mixtures on the same corpora as the control, except the control.
    """
    mixtures = {mixture.name: mixture for members in expanded.values() for mixture in members}
    control = mixtures.get(table.control)
    names: dict[str, None] = {}
    for name in table.treatments:
        if name in mixtures:
            names[name] = None
            continue
        for mixture in expanded.get(name, ()):
            if mixture is not control and (control is None or set(mixture.corpora) == set(control.corpora)):
                names[mixture.name] = None
    return tuple(names)
