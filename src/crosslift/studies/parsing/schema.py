"""Schema of the study file: one strict pydantic model per table.

Validation is strict because TOML values have types. Unknown keys are errors, because silently ignoring a misspelt
`max_item` could waste a week of GPU time. Constraints across tables are checked in `rules`; `studies.study` defines the
resulting study, with families expanded and defaults filled in. Field descriptions appear in the JSON Schema for editors
and in error messages.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Text], Field(min_length=1)]
Tags = Annotated[list[Text], Field(min_length=1)]
Positive = Annotated[int, Field(gt=0, le=10**12)]
Amount = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Real = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PAIRING = (
    '"shared" (the same items in every language), "disjoint" (each item in one language) or "independent" '
    "(drawn independently per language); there is no default, because the choice determines what a contrast estimates"
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
    model_config = ConfigDict(extra="allow", strict=True)  # other keys are options of the reader, checked by OPTIONS

    reader: Text = Field(description="see: crosslift list readers")
    task: Text = Field(description="see: crosslift list tasks")
    languages: Tags = Field(description="language tags; an item must exist in all of them")
    split: Literal["train", "validation", "test"] = Field("train", description="only the train split is trained on")
    path: Text | None = Field(None, description="file or folder, relative to the study file")
    revision: Text | None = Field(None, description="required revision; for files, sha256:... of their content")
    max_items: Positive | None = Field(None, description="the first n items of the corpus, in its order")
    order: Literal["file", "random"] = Field(
        "file", description='"random": items are taken in a random order that depends on data_seed'
    )
    incomplete: Literal["error", "drop"] = Field("error", description="handling of items that lack a language")
    prompt: Text | None = Field(None, description="published form of the prompt; default: the first of the task")
    checks: dict[str, Literal["report", "drop", "stop", "off"]] = Field(
        default_factory=dict, description="check -> policy for its findings; default: report"
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


class LoRATable(Table):
    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Names | Literal["all-linear"] = "all-linear"


class ValidationTable(Table):
    corpora: Names
    max_items: Positive | None = Field(None, description="the first n items of each corpus")


class TrainingTable(Table):
    """The fields of `training.trainer.SFTConfig` (a test ensures that they agree) and `validation`."""

    method: Literal["full", "lora"] = Field("full", description="all weights, or adapters")
    trainer: Text = Field("native", description="see: crosslift list trainers")
    epochs: Real | None = Field(None, description="passes over the mixture; this or steps")
    steps: Positive | None = Field(None, description="optimiser steps; this or epochs")
    learning_rate: Real = Field(description="peak learning rate, reached after warm-up")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="share of all steps")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_grad_norm: Real = 1.0
    batch_examples: Positive | None = Field(None, description="examples per optimiser step; this or batch_tokens")
    batch_tokens: Positive | None = Field(None, description="tokens per optimiser step; this or batch_examples")
    max_length: Positive = Field(1024, description="tokens of prompt and completion; longer examples are an error")
    truncate: bool = Field(False, description="truncate longer examples instead")
    loss_on: Literal["completion", "all"] = Field("completion", description="tokens that contribute to the loss")
    packing: bool = Field(True, description="pack examples without attention across them; false: pad")
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="precision of matrix products")
    weight_precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of trained weights; bfloat16: with stochastic rounding, to save memory"
    )
    optimizer_state: Literal["float32", "8-bit"] = Field(
        "float32", description="precision of the moments of AdamW; 8-bit to save memory"
    )
    micro_batch_tokens: Positive = Field(16384, description="most tokens per forward pass; lower it to save memory")
    lora: LoRATable | None = Field(None, description='for method = "lora"')
    select_by: Literal["last", "loss", "score"] = Field(
        "last", description="criterion of checkpoint selection, on the validation items in the mixture's languages"
    )
    validate_every: Real | None = Field(None, description="interval in epochs; default: only at the end")
    validate_every_steps: Positive | None = Field(
        None, description="interval in optimiser steps, in place of validate_every"
    )
    validation: ValidationTable | None = Field(None, description="held-out items for checkpoint selection")


Joined = Text | Names
"""One corpus, or several that hold the same items in different languages."""


class ShotsTable(Table):
    corpus: Joined = Field(description="name of a corpus of worked examples of the same task, or a list of them")
    number: Positive = Field(description="the first n items, in the language of the question")


class JudgingTable(Table):
    """How a judge rates the answers; the judge itself is named in site.toml."""

    prompt: Text = Field("short", description='"short", "six-criteria", or the path of a text file')
    lowest: list[Literal["truncated", "unparsed", "wrong_language"]] = Field(
        ["truncated", "unparsed", "wrong_language"],
        description="answers that get the lowest rating without being shown to the judge",
    )


class EvaluationTable(Table):
    corpus: Joined = Field(
        description="name of a corpus, or a list of corpora with the same items in different languages"
    )
    languages: Tags | None = Field(None, description="default: the languages of the corpus")
    max_tokens: Positive | None = Field(None, description="limit of generated tokens; default: that of the task")
    generator: Text = Field("hf", description="see: crosslift list generators")
    require_language: bool = Field(False, description="an answer in another language scores 0")
    shots: ShotsTable | None = Field(None, description="worked examples before each question")
    stop: list[Text] = Field([], description="an answer ends before the first of these texts")
    judging: JudgingTable | None = Field(None, description="prompt of a judge, and answers that it is not shown")
    metric: Text | None = Field(
        None, description='primary metric, such as "rating" of a judge; default: the first of the task'
    )
    runs: Literal["trained", "all"] | None = Field(
        None, description='"trained": runs trained on the task; default: "all" for tasks by likelihood, else "trained"'
    )
    chat_template: bool = Field(False, description="tasks by likelihood: ask in the model's chat template")


def corpora_of(table: EvaluationTable | ShotsTable) -> list[str]:
    """Return the names of the corpora of an evaluation or of its examples."""
    return [table.corpus] if isinstance(table.corpus, str) else list(dict.fromkeys(table.corpus))


class HarnessTable(Table):
    """An evaluation by tasks of lm-evaluation-harness, one for each name in `tasks`."""

    task: Literal["lm_eval"] = Field(description="tasks of lm-evaluation-harness, run by its own code")
    tasks: Names = Field(description='names of its tasks, "{language}" stands for the code of the language')
    languages: Tags = Field(description="language tags")
    codes: dict[str, Text] = Field({}, description="language -> its code in the names of tasks and data")
    include_path: Text | None = Field(None, description="folder with further tasks and their data")
    dataset_path: Text | None = Field(None, description="replaces dataset_path of the task")
    dataset_name: Text | None = Field(None, description="replaces dataset_name of the task")
    dataset_kwargs: dict[str, Any] = Field({}, description="replaces dataset_kwargs of the task")
    num_fewshot: Amount | None = Field(None, description="worked examples; default: those of the task")
    max_items: Positive | None = Field(None, description="the first n items")
    incomplete: Literal["error", "drop"] = Field("error", description="handling of items that lack a language")
    item: Text | None = Field(None, description="id of an item by fields of its document; default: its number")
    cluster: Text | None = Field(None, description='what dependent items share, such as "{link}"; default: nothing')
    metric: Text = Field("acc", description='primary metric; with the filter if it has one: "exact_match,strict-match"')
    runs: Literal["trained", "all"] = Field("all", description='"all": every run is evaluated')
    chat_template: bool = Field(False, description="ask in the model's chat template")
    generator: Text = Field("hf", description="see: crosslift list generators")


class ContrastTable(Table):
    name: Text = Field(description="name in the report")
    control: Text = Field(description='name of a mixture, or "base"')
    treatments: Names = Field(description="names of mixtures or families")
    primary: bool = Field(False, description="the comparison that answers the question")


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
    mixtures: dict[str, MixtureTable] = {}
    families: dict[str, FamilyTable] = {}
    grid: GridTable = Field(default_factory=lambda: GridTable.model_validate({}))
    arms: dict[str, ArmTable] = {}
    training: TrainingTable
    evaluations: Annotated[dict[str, EvaluationTable | HarnessTable], Field(min_length=1)]
    contrasts: list[ContrastTable] = []


TABLES: dict[str, Any] = {
    "models": ModelTable,
    "corpora": CorpusTable,
    "mixtures": MixtureTable,
    "families": FamilyTable,
    "evaluations": EvaluationTable,
    "arms": ArmTable,
}
"""Tables of named tables. Each entry is validated separately, so that one error does not hide another."""
