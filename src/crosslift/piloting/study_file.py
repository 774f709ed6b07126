"""The files of a pilot: its study file, and the recipes of its translations."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from crosslift.piloting.data import PilotData
from crosslift.piloting.design import PilotDesign
from crosslift.piloting.request import PilotRequest

TRAIN, TEST = "data/train", "data/test"
"""Folders with one file per language, which `crosslift translate` completes."""
SOURCE = "source"
"""Folder with the items to translate."""
CONTROL_SEEDS = (0, 1)

_POCKET = """[training]
method = "full"
epochs = 3
learning_rate = 1e-3
batch_examples = 16
max_length = 512
"""
_USUAL = """# Usual values; replace them by those that you will train with in the end.
[training]
method = "lora"
epochs = 3
learning_rate = 2e-4
batch_examples = 16
max_length = 2048
"""


def mixture_names(request: PilotRequest, design: PilotDesign) -> list[str]:
    """Names of the mixtures of a design; the first is the control."""
    return [f"pilot-{request.pivot}", *(f"pilot-{number}" for number in range(1, len(design.mixtures)))]


def study_toml(request: PilotRequest, data: PilotData, design: PilotDesign, *, name: str, folder: Path) -> str:
    """Text of the study file.

    Args:
        request: the request.
        data: the items.
        design: the mixtures.
        name: name of the study.
        folder: the study's folder, to which local paths of models are made relative.
    """
    names = mixture_names(request, design)
    control, others = names[0], names[1:]
    total = sum(design.mixtures[0].values())
    alike = [one for one, amounts in zip(others, design.mixtures[1:], strict=True) if sum(amounts.values()) == total]
    is_pocket = request.model.startswith("pocket:")
    models = {"small": request.model} | ({} if request.larger is None else {"larger": request.larger})
    lines = [
        "# A pilot, written by: crosslift pilot. Its mixtures are those from which the transfer model learns most",
        f"# (D-optimal); they tell as much as about {design.as_random} random ones beside the control.",
        f"# {data.num_test} test items find differences of two mixtures from {100 * design.detectable:.1f} points, as "
        "means over languages.",
        "",
        f"name = {_text(name)}",
        'question = "Which languages, and how much of each?"',
        'hypothesis = ""',
        "data_seed = 0",
    ]
    for key, path in models.items():
        lines += ["", f"[models.{key}]", f"path = {_text(_relative(path, folder))}"]
    lines += _corpus("train", "train", TRAIN, request, data)
    lines += _corpus("test", "test", TEST, request, data)
    for one, amounts in zip(names, design.mixtures, strict=True):
        lines += mixture_lines(one, amounts)
    lines += [
        "",
        "[grid]",
        'models = ["small"]',
        f"mixtures = {_list(names)}",
        "seeds = [0]",
        "base = true",
        "",
        "[arms.noise]",
        'models = ["small"]',
        f"mixtures = {_list([control])}",
        f"seeds = {list(CONTROL_SEEDS)}",
        'separates = "Differences between mixtures from differences between runs: one mixture with a second seed."',
    ]
    if request.larger is not None:
        lines += [
            "",
            "# Switch it on when the small model has shown what is worth repeating, and name those mixtures.",
            "[arms.larger]",
            'models = ["larger"]',
            f"mixtures = {_list([control, *others[:2]])}",
            "seeds = [0]",
            "enabled = false",
            'separates = "What holds for the small model only from what holds for the larger one as well."',
        ]
    lines += ["", _POCKET.rstrip() if is_pocket else _USUAL.rstrip()]
    lines += ["", f"[evaluations.{request.source.task}]", 'corpus = "test"']
    if is_pocket:
        lines.append("max_tokens = 128")
    lines += [
        "",
        "[[contrasts]]",
        f'name = "other mixtures minus {request.pivot} alone"',
        f"control = {_text(control)}",
        f"treatments = {_list(alike or others)}",
        "primary = true",
    ]
    return "\n".join(lines) + "\n"


def mixture_lines(name: str, amounts: Mapping[str, int]) -> list[str]:
    """Lines of a mixture table with exact counts of the training corpus."""
    counts = ", ".join(f"{tag} = {count}" for tag, count in amounts.items())
    return [
        "",
        f"[mixtures.{name}]",
        f'components = [{{ corpus = "train", counts = {{ {counts} }} }}]',
        'pairing = "disjoint"',
    ]


def recipe_toml(request: PilotRequest, split: str) -> str:
    """Text of the recipe that translates the items of a split into the missing languages."""
    return "\n".join(
        [
            f"# crosslift translate translate-{split}.toml data/{split}",
            "[source]",
            'reader = "jsonl"',
            f"task = {_text(request.source.task)}",
            f'split = "{split}"',
            f'path = "{SOURCE}/{split}.jsonl"',
            f"languages = {_list([request.pivot])}",
            "",
            "[translation]",
            f"languages = {_list(request.missing)}",
            'fields = ["prompt", "completion"]',
            "",
        ]
    )


def _corpus(name: str, split: str, path: str, request: PilotRequest, data: PilotData) -> list[str]:
    lines = [
        "",
        f"[corpora.{name}]",
        'reader = "jsonl"',
        f"task = {_text(request.source.task)}",
        f'split = "{split}"',
        f"path = {_text(path)}",
        f"languages = {_list(request.languages)}",
    ]
    if request.missing:
        lines.append('incomplete = "drop"')
    if data.licence not in ("", "unknown"):
        lines.append(f"licence = {_text(data.licence)}")
    return lines


def model_label(path: str) -> str:
    """Name of a model in sentences: that of its folder if the path is local."""
    place = Path(path).expanduser()
    return place.resolve().name if not path.startswith("pocket:") and place.exists() else path


def _relative(path: str, folder: Path) -> str:
    """A local path as seen from the folder of the study; names of hub and pocket models as they are."""
    place = Path(path).expanduser()
    if path.startswith("pocket:") or not place.exists():
        return path
    found = Path(os.path.relpath(place.resolve(), folder.resolve())).as_posix()
    return found if found.startswith(".") else f"./{found}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
