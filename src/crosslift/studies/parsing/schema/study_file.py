"""Schema of the whole study file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from crosslift.studies.parsing.schema.data import CorpusTable, ModelTable
from crosslift.studies.parsing.schema.evaluations import EvaluationTable, HarnessTable
from crosslift.studies.parsing.schema.families import FamilyTable
from crosslift.studies.parsing.schema.grid import ArmTable, ContrastTable, GridTable
from crosslift.studies.parsing.schema.mixtures import MixtureTable
from crosslift.studies.parsing.schema.training import TrainingTable
from crosslift.studies.parsing.schema.values import Amount, Table, Text


class HeaderTable(Table):
    name: Text = Field(description="letters, digits, '_', '+' and '-'")
    question: str = Field("", description="the research question, in a sentence")
    hypothesis: str = Field("", description="the expected result, stated before the first run")
    data_seed: Amount = Field(0, description="seed of the draw of items; independent of the training seeds")


class StudyFile(HeaderTable):
    """The whole study file. It is used for the JSON Schema only; `tables.read` validates each table separately."""

    model_config = ConfigDict(defer_build=True)

    models: Annotated[dict[str, ModelTable], Field(min_length=1)]
    corpora: Annotated[dict[str, CorpusTable], Field(min_length=1)]
    mixtures: dict[str, MixtureTable] = Field({})
    families: dict[str, FamilyTable] = Field({})
    grid: GridTable = Field(default_factory=lambda: GridTable.model_validate({}))
    arms: dict[str, ArmTable] = Field({})
    training: TrainingTable
    evaluations: Annotated[dict[str, EvaluationTable | HarnessTable], Field(min_length=1)]
    contrasts: list[ContrastTable] = Field([])


TABLES: dict[str, Any] = {
    "models": ModelTable,
    "corpora": CorpusTable,
    "mixtures": MixtureTable,
    "families": FamilyTable,
    "evaluations": EvaluationTable,
    "arms": ArmTable,
}
"""Tables of named tables. Each entry is validated separately, so that one error does not hide another."""
