"""The study file as it is written: one strict pydantic model per table.

Strict, because TOML has types and a text where a number belongs is a mistake; unknown keys are refused, because a
misspelt `max_item` that is ignored costs a week of GPU time. What the tables mean together is checked in `check`, and
what a study *is* (with families expanded and defaults filled in) stands in `study`. Descriptions appear in the JSON
Schema for editors and in error messages.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Text], Field(min_length=1)]
Tags = Annotated[list[Text], Field(min_length=1)]
Positive = Annotated[int, Field(gt=0, le=10**12)]
Amount = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Real = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PAIRING = (
    '"shared" (the same items in every language), "disjoint" (each item in one language) or "independent" '
    "(drawn apart per language); there is no default, because they answer different questions"
)


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ModelTable(Table):
    path: Text = Field(description='a hub name, a local folder (begins with ".", "/" or "~"), or "pocket:<name>"')
    revision: Text | None = Field(None, description="commit, tag or branch on the hub")
    template: Text | None = Field(
        None, description='"plain", or the path of a Jinja file; default: the tokenizer\'s own'
    )


class CorpusTable(Table):
    model_config = ConfigDict(extra="allow", strict=True)  # further keys belong to the reader, whose OPTIONS check them

    reader: Text = Field(description="see: crosslift list readers")
    task: Text = Field(description="see: crosslift list tasks")
    languages: Tags = Field(description="language tags; an item must exist in all of them")
    split: Literal["train", "validation", "test"] = Field("train", description="only train is trained on")
    path: Text | None = Field(None, description="file or folder, relative to the study file")
    revision: Text | None = Field(None, description="what must be read; of files: sha256:... of their content")
    max_items: Positive | None = Field(None, description="the first n items of the corpus")
    incomplete: Literal["error", "drop"] = Field("error", description="what to do with items that lack a language")
    prompt: Text | None = Field(None, description="published form of the prompt; default: the task's first")
    checks: dict[str, Literal["report", "drop", "stop", "off"]] = Field(
        default_factory=dict, description="check -> what to do with what it finds; default: report"
    )


class BudgetTable(Table):
    amount: Positive = Field(description="how much, in the unit")
    unit: Literal["items", "tokens", "bytes"] = Field("items", description="what is counted")
    per: Literal["total", "language"] = Field("total", description='"language": volume grows with every language')
    tokenizer: Text | None = Field(None, description='name of the model whose tokenizer counts; for unit = "tokens"')


class ComponentTable(Table):
    corpus: Text = Field(description="name of a corpus")
    shares: dict[str, Share] | None = Field(None, description="language -> share of the budget")
    counts: dict[str, Amount] | None = Field(None, description="language -> exact amount")


class SamplingTable(Table):
    """What mixtures and families have in common."""

    pairing: Literal["shared", "disjoint", "independent"] = Field(description=PAIRING)
    order: Literal["shuffled", "by_language"] = Field("shuffled", description="of the examples in a mixture")
    repeat: bool = Field(False, description="may items be repeated when the corpus is too small?")


class MixtureTable(SamplingTable):
    components: Annotated[list[ComponentTable], Field(min_length=1)] = Field(
        description='such as [{ corpus = "math-train", shares = { en = 0.5, sw = 0.5 } }]'
    )
    budget: BudgetTable | None = Field(None, description="needed with shares")


class Family(SamplingTable):
    corpora: Names = Field(description="names of corpora")
    setting: Literal["single", "multi"] = Field(
        "single", description='"single": one mixture per corpus; "multi": one mixture joins all corpora'
    )


class CoverageTable(Family):
    """Sets of languages, listed or nested."""

    kind: Literal["coverage"]
    languages: Annotated[list[Tags], Field(min_length=1)] | None = Field(None, description="one list per mixture")
    nested: Tags | None = Field(None, description="one list, of which each mixture takes the first n")
    sizes: Annotated[list[Positive], Field(min_length=1)] | None = Field(None, description="default: 1, 2, 3 ... all")
    budget: BudgetTable


class DoseTable(Family):
    """A fixed part and a growing dose of each other language."""

    kind: Literal["dose"]
    fixed: Annotated[dict[str, Positive], Field(min_length=1)] = Field(description="for example { en = 500 }")
    fixed_from: dict[str, Text] = Field(
        {}, description="corpus -> another of its task to take the fixed part from, where sets are not parallel"
    )
    languages: Tags = Field(description="the languages that get the dose")
    doses: Annotated[list[Amount], Field(min_length=1)] = Field(description="items per language, one mixture each")


class DonorsTable(Family):
    """A pivot language and one donor each."""

    kind: Literal["donors"]
    pivot: Text
    donors: Tags
    donor_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    budget: BudgetTable


class LeaveOneOutTable(Family):
    """All languages, and all but each one."""

    kind: Literal["leave_one_out"]
    languages: Annotated[list[Text], Field(min_length=2)]
    budget: BudgetTable


FamilyTable = Annotated[CoverageTable | DoseTable | DonorsTable | LeaveOneOutTable, Field(discriminator="kind")]


class GridTable(Table):
    models: Names | None = Field(None, description="names of models; default: all")
    mixtures: Names | None = Field(None, description="names of mixtures or families; default: all that no arm names")
    seeds: Annotated[list[Amount], Field(min_length=1)] = Field([0], description="training seeds")
    base: bool = Field(False, description="evaluate the base models too")


class ArmTable(Table):
    """A further block of runs beside the grid, such as a control that a design lacks."""

    models: Names | None = Field(None, description="names of models; default: the grid's")
    mixtures: Names | None = Field(None, description="names of mixtures or families; default: the grid's")
    seeds: Annotated[list[Amount], Field(min_length=1)] | None = Field(None, description="default: the grid's")
    base: bool = Field(False, description="evaluate the base models too")
    enabled: bool = Field(True, description="false: only named in the plan")
    separates: str = Field("", description="what this arm tells apart, in a sentence")


class LoRATable(Table):
    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Names | Literal["all-linear"] = "all-linear"


class ValidationTable(Table):
    corpora: Names
    max_items: Positive | None = Field(None, description="the first n items of each corpus")


class TrainingTable(Table):
    """The fields of training.trainer.SFTConfig (a test holds them equal) and `validation`."""

    method: Literal["full", "lora"] = Field("full", description="all weights, or adapters")
    trainer: Text = Field("native", description="see: crosslift list trainers")
    epochs: Real | None = Field(None, description="passes over the mixture; this or steps")
    steps: Positive | None = Field(None, description="optimiser steps; this or epochs")
    learning_rate: Real = Field(description="the highest, after warm-up")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="of all steps")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_grad_norm: Real = 1.0
    batch_examples: Positive | None = Field(None, description="examples per optimiser step; this or batch_tokens")
    batch_tokens: Positive | None = Field(None, description="tokens per optimiser step; this or batch_examples")
    max_length: Positive = Field(1024, description="in tokens, prompt and completion; longer examples are an error")
    truncate: bool = Field(False, description="cut longer examples off instead")
    loss_on: Literal["completion", "all"] = Field("completion", description="which tokens carry loss")
    packing: bool = Field(True, description="lay examples end to end, each attending to itself only; false: pad")
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="what matrices are multiplied in")
    micro_batch_tokens: Positive = Field(16384, description="upper bound of one forward pass; lower it to save memory")
    lora: LoRATable | None = Field(None, description='for method = "lora"')
    select_by: Literal["last", "loss", "score"] = Field(
        "last", description="the checkpoint that is kept, by validation on the mixture's own languages"
    )
    validate_every: Real | None = Field(None, description="in epochs; default: only at the end")
    validation: ValidationTable | None = Field(None, description="held-out items that pick the checkpoint")


class ShotsTable(Table):
    corpus: Text = Field(description="name of a corpus of worked examples of the same task")
    number: Positive = Field(description="the first n items, in the language that is asked")


class EvaluationTable(Table):
    corpus: Text = Field(description="name of a corpus")
    languages: Tags | None = Field(None, description="default: the corpus's")
    max_tokens: Positive | None = Field(None, description="limit of generated tokens; default: the task's")
    generator: Text = Field("hf", description="see: crosslift list generators")
    require_language: bool = Field(False, description="an answer in another language scores 0")
    shots: ShotsTable | None = Field(None, description="worked examples before each question")


class ContrastTable(Table):
    name: Text = Field(description="as the report shows it")
    control: Text = Field(description='name of a mixture, or "base"')
    treatments: Names = Field(description="names of mixtures or families")
    primary: bool = Field(False, description="the comparison that answers the question")


class HeaderTable(Table):
    name: Text = Field(description="letters, digits, '_', '+' and '-'")
    question: str = Field("", description="what the study asks, in a sentence")
    hypothesis: str = Field("", description="what you expect, written before the first run")
    data_seed: Amount = Field(0, description="which items are drawn; apart from the training seeds")


class StudyFile(HeaderTable):
    """study.toml: what is asked. The whole is needed for the JSON Schema only; reading goes table by table."""

    model_config = ConfigDict(defer_build=True)

    models: Annotated[dict[str, ModelTable], Field(min_length=1)]
    corpora: Annotated[dict[str, CorpusTable], Field(min_length=1)]
    mixtures: dict[str, MixtureTable] = {}
    families: dict[str, FamilyTable] = {}
    grid: GridTable = Field(default_factory=lambda: GridTable.model_validate({}))
    arms: dict[str, ArmTable] = {}
    training: TrainingTable
    evaluations: Annotated[dict[str, EvaluationTable], Field(min_length=1)]
    contrasts: list[ContrastTable] = []


TABLES: dict[str, Any] = {
    "models": ModelTable,
    "corpora": CorpusTable,
    "mixtures": MixtureTable,
    "families": FamilyTable,
    "evaluations": EvaluationTable,
    "arms": ArmTable,
}
"""Tables of named tables: each entry is read by itself, so that one mistake does not hide the next."""
