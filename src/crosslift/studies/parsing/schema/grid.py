"""Schema of the runs of a study: the grid, its arms and the contrasts between them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crosslift.studies.parsing.schema.values import Amount, Names, Table, Text


class GridTable(Table):
    models: Names | None = Field(None, description="names of models; default: all")
    mixtures: Names | None = Field(None, description="names of mixtures or families; default: all that no arm lists")
    seeds: Annotated[list[Amount], Field(min_length=1)] = Field([0], description="training seeds")
    base: bool = Field(False, description="evaluate the base models too")


class ArmTable(Table):
    """An additional block of runs beside the grid, such as a control condition."""

    models: Names | None = Field(None, description="names of models; default: the grid's")
    mixtures: Names | None = Field(None, description="names of mixtures or families; default: the grid's")
    seeds: Annotated[list[Amount], Field(min_length=1)] | None = Field(None, description="default: the grid's")
    base: bool = Field(False, description="evaluate the base models too")
    enabled: bool = Field(True, description="false: the arm is only listed in the plan")
    separates: str = Field("", description="the explanations that this arm distinguishes, in a sentence")


class ContrastTable(Table):
    name: Text = Field(description="name in the report")
    control: Text = Field(description='name of a mixture, or "base"')
    treatments: Names = Field(description="names of mixtures or families")
    primary: bool = Field(False, description="the comparison that answers the question")
