"""Schema of mixtures and their budgets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crosslift.studies.parsing.schema.values import Amount, Positive, Share, Table, Text

PAIRING = (
    '"shared" (the same items in every language), "disjoint" (each item in one language) or "independent" '
    "(drawn independently per language); there is no default, because the choice determines what a contrast estimates"
)


class BudgetTable(Table):
    amount: Positive = Field(description="size of the budget, in the unit")
    unit: Literal["items", "tokens", "bytes"] = Field("items", description="unit of the budget")
    per: Literal["total", "language"] = Field("total", description='"language": the amount applies to each language')
    tokenizer: Text | None = Field(
        None, description='name of the model whose tokenizer counts tokens; for unit = "tokens"'
    )
    if_fewer: Literal["error", "all"] = Field(
        "error", description='"all": a corpus with fewer items than the amount is an amount of all its items'
    )


class ComponentTable(Table):
    corpus: Text = Field(description="name of a corpus")
    shares: dict[str, Share] | None = Field(None, description="language -> share of the budget")
    counts: dict[str, Amount] | None = Field(None, description="language -> exact amount")


class SamplingTable(Table):
    """Sampling options shared by mixtures and families."""

    pairing: Literal["shared", "disjoint", "independent"] = Field(description=PAIRING)
    order: Literal["shuffled", "by_language"] = Field("shuffled", description="order of the examples in a mixture")
    repeat: bool = Field(False, description="whether items are repeated if the corpus is too small")


class MixtureTable(SamplingTable):
    components: Annotated[list[ComponentTable], Field(min_length=1)] = Field(
        description='for example [{ corpus = "math-train", shares = { en = 0.5, sw = 0.5 } }]'
    )
    budget: BudgetTable | None = Field(None, description="required with shares")
