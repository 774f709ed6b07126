"""Schema of the families of mixtures, one table per kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crosslift.studies.parsing.schema.mixtures import BudgetTable, SamplingTable
from crosslift.studies.parsing.schema.values import Amount, Names, Positive, Real, Share, Tags, Text


class Family(SamplingTable):
    corpora: Names = Field(description="names of corpora")
    setting: Literal["single", "multi"] = Field(
        "single", description='"single": one mixture per corpus; "multi": each mixture combines all corpora'
    )


class CoverageTable(Family):
    """One mixture per set of languages. The sets are listed, or nested prefixes of one list."""

    kind: Literal["coverage"]
    languages: Annotated[list[Tags], Field(min_length=1)] | None = Field(None, description="one list per mixture")
    nested: Tags | None = Field(None, description="one list; each mixture uses its first n languages")
    sizes: Annotated[list[Positive], Field(min_length=1)] | None = Field(None, description="default: 1, 2, 3 ... all")
    budget: BudgetTable


class DoseTable(Family):
    """A fixed part and an increasing dose of each other language."""

    kind: Literal["dose"]
    fixed: Annotated[dict[str, Positive], Field(min_length=1)] = Field(description="for example { en = 500 }")
    fixed_from: dict[str, Text] = Field(
        {}, description="corpus -> corpus of the same task that provides the fixed part, if they are not parallel"
    )
    languages: Tags = Field(description="the languages whose dose varies")
    doses: Annotated[list[Amount], Field(min_length=1)] = Field(description="items per language, one mixture each")


class DonorsTable(Family):
    """The pivot language alone as the control, and one mixture per donor: the pivot language and the donor."""

    kind: Literal["donors"]
    pivot: Text
    donors: Tags
    donor_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    pivot_alone: bool = Field(True, description="also one mixture of the pivot language alone, with the same budget")
    budget: BudgetTable


class LeaveOneOutTable(Family):
    """One mixture with all languages, and one without each of them."""

    kind: Literal["leave_one_out"]
    languages: Annotated[list[Text], Field(min_length=2)]
    budget: BudgetTable


class MonolingualTable(Family):
    """One mixture per language, of that language alone."""

    kind: Literal["monolingual"]
    languages: Tags
    budget: BudgetTable


class TemperatureTable(Family):
    """Shares proportional to size^(1 / T), one mixture per temperature T."""

    kind: Literal["temperature"]
    sizes: Annotated[dict[str, Real], Field(min_length=1)] = Field(
        description="size of the data of each language, in any unit, for example { en = 9000, sw = 300 }"
    )
    temperatures: Annotated[list[Real], Field(min_length=1)] = Field(description="1 is proportional to size")
    budget: BudgetTable


class UpsamplingTable(Family):
    """A fixed total that repeats the items of small languages up to a limit, one mixture per limit."""

    kind: Literal["upsampling"]
    items: Annotated[dict[str, Positive], Field(min_length=1)] = Field(
        description="number of different items of each language, for example { en = 900, sw = 100 }"
    )
    max_uses: Annotated[list[Positive], Field(min_length=1)] = Field(description="1: no item is repeated")
    temperature: Real | None = Field(
        None, description="shares proportional to items^(1 / temperature), as far as the limit allows; default: equal"
    )
    budget: BudgetTable


class SimplexTable(Family):
    """Mixtures of a fixed total that cover all shares of the languages."""

    kind: Literal["simplex"]
    languages: Annotated[list[Text], Field(min_length=2)]
    num_mixtures: Positive
    design: Literal["uniform", "d_optimal"] = Field(
        "uniform", description="drawn uniformly, or chosen for what the transfer model learns from them"
    )
    seed: Amount = Field(0, description="seed of the draws")
    budget: BudgetTable


class StagedTable(Family):
    stages: Annotated[list[Annotated[dict[str, Share], Field(min_length=1)]], Field(min_length=2)] = Field(
        description="per stage, language -> share of the whole budget, as [{ en = 0.5 }, { en = 0.1, sw = 0.4 }]"
    )
    budget: BudgetTable


class CurriculumTable(StagedTable):
    """The same examples in stages, in the reverse order of stages, and shuffled."""

    kind: Literal["curriculum"]
    orders: Annotated[list[Literal["forward", "reverse", "shuffled"]], Field(min_length=1)] = Field(
        ["forward", "reverse", "shuffled"], description="one mixture each"
    )


class ReplayTable(StagedTable):
    """Stages of which all but the first replay a share of earlier data, one mixture per share."""

    kind: Literal["replay"]
    replay: Annotated[list[Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]], Field(min_length=1)] = Field(
        description="share of each later stage that is data of earlier stages, for example [0, 0.05, 0.2]"
    )


class FactorialTable(Family):
    """Every number of languages with every amount per language, one mixture each."""

    kind: Literal["factorial"]
    nested: Annotated[list[Text], Field(min_length=2)] = Field(
        description="one list; each mixture uses its first n languages"
    )
    sizes: Annotated[list[Positive], Field(min_length=1)] | None = Field(
        None, description="numbers of languages; default: 1, 2, 3 ... all"
    )
    amounts: Annotated[list[Positive], Field(min_length=1)] = Field(description="amounts of each language, in the unit")
    unit: Literal["items", "tokens", "bytes"] = Field("items", description="unit of the amounts")
    tokenizer: Text | None = Field(None, description='model whose tokenizer counts tokens; for unit = "tokens"')

    def budget_of(self, amount: int) -> BudgetTable:
        """Return the budget of the mixtures with this amount per language."""
        return BudgetTable(amount=amount, unit=self.unit, per="language", tokenizer=self.tokenizer, if_fewer="error")


class OriginTable(Family):
    """A fixed amount of native and translated data of the same languages, one mixture per share of native data."""

    kind: Literal["origin"]
    native: Text = Field(description="name of the corpus whose texts were written in their language")
    translated: Text = Field(description="name of the corpus whose texts were translated")
    corpora: Annotated[list[Text], Field(max_length=0)] = Field([], description="not given: native and translated")
    languages: Tags
    native_shares: Annotated[list[Share], Field(min_length=1)] = Field(
        [0.0, 0.5, 1.0], description="share of native data, one mixture each"
    )
    budget: BudgetTable

    @model_validator(mode="after")
    def _both(self) -> OriginTable:
        self.corpora, self.setting = [self.native, self.translated], "multi"
        return self


FamilyTable = Annotated[
    CoverageTable
    | DoseTable
    | DonorsTable
    | LeaveOneOutTable
    | MonolingualTable
    | TemperatureTable
    | UpsamplingTable
    | SimplexTable
    | CurriculumTable
    | ReplayTable
    | FactorialTable
    | OriginTable,
    Field(discriminator="kind"),
]
