"""Schema of evaluations, by tasks of crosslift or of lm-evaluation-harness."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from crosslift.studies.parsing.schema.values import Amount, Names, Positive, Table, Tags, Text

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
