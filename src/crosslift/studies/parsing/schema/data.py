"""Schema of models and corpora."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from crosslift.studies.parsing.schema.values import Positive, Table, Tags, Text


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
