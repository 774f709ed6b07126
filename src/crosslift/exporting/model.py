"""The base model of an exported mixture, as other tools find it.

A model of the hub with a chat template of its own is named with its commit. Any other model gets a folder `model/`,
because a local path means nothing on another machine, and every tool takes the chat template from the tokenizer.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from crosslift.chat import load_tokenizer
from crosslift.execution.folder.base_models import local_folder, model_files
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.studies.run import Model

FOLDER = "model"
_WITH_TOKENIZER = ("tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template", "spiece")


def export_model(graph: StepGraph, model: Model, folder: Path) -> tuple[str, str | None]:
    """Write the model to `folder/model` unless it can be named.

    Args:
        graph: the steps of the study.
        model: the model.
        folder: the exported folder.

    Returns:
        Path or hub name for the configurations, and the commit of a hub model.
    """
    base = graph.models[model.name]
    if model.template is None and local_folder(model.name, model.path, graph.study.folder) is None:
        return model.path, base.commit
    source, target = base.folder(graph.study.folder), folder / FOLDER
    target.mkdir()
    for file in model_files(source):
        if file.suffix == ".safetensors":
            link_or_copy(file.resolve(), target / file.name)
        elif not file.name.startswith(_WITH_TOKENIZER):
            shutil.copyfile(file, target / file.name)
    load_tokenizer(source, template=base.template).save_pretrained(target)
    return FOLDER, None


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file of weights, which no tool changes in place; copy it where that is not possible.

    Args:
        source: the file.
        target: the path of the link or copy.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
