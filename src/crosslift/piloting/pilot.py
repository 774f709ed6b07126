"""From a question and the data that exist to the folder of a pilot study."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from crosslift.errors import StudyError
from crosslift.exporting.new_folder import new_folder, refuse_used
from crosslift.piloting.carry_over import sentences as carry_over
from crosslift.piloting.data import PilotData, pilot_data
from crosslift.piloting.design import PilotDesign, pilot_design
from crosslift.piloting.request import PilotRequest, request_problems
from crosslift.piloting.study_file import SOURCE, mixture_names, model_label, recipe_toml, study_toml
from crosslift.recommendation.question import Question
from crosslift.studies.parsing.load import FILE, load
from crosslift.system.files import make_folder, write_text

NOTES, QUESTION = "pilot.md", "question.toml"
"""What a pilot says about itself, and its question for `crosslift recommend` and `crosslift explore`."""


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """A pilot that was written."""

    folder: Path
    mixtures: dict[str, dict[str, int]]
    """Mixture -> amounts per language; the first is the control."""
    num_runs: int
    """Training runs."""
    num_train: int
    num_test: int
    to_translate: dict[str, int]
    """Language -> items to translate, for training and test together."""
    cost: float
    """Cost of the translations."""
    detectable: float
    """See `design.PilotDesign`."""
    sentences: tuple[str, ...]
    """What the pilot tells, what it takes, and what it does not tell."""
    commands: tuple[str, ...]
    """Commands to execute next, in order."""


def make_pilot(
    request: PilotRequest, folder: Path, *, question_text: Callable[[Question], str], prefix: str = ""
) -> Pilot:
    """Write the folder of a pilot study.

    Args:
        request: the request.
        folder: the folder, which must not exist or be empty.
        question_text: writes a question as the text of a question file.
        prefix: of the names of options in messages, such as "--".

    Returns:
        What was written. The study file passes `crosslift check` once the languages are translated; where all exist,
        at once.

    Raises:
        StudyError: the request is invalid, or there are too few items; all problems are listed.
        CorpusError: the data cannot be read.
        StoreError: the folder is not empty.
    """
    refuse_used(folder)
    if problems := list(request_problems(request, prefix=prefix)):
        raise StudyError(problems)
    data = pilot_data(request)
    design = pilot_design(
        request.languages,
        total=data.num_usable,
        num_mixtures=request.num_runs - 1,
        num_test=data.num_test,
        seed=request.seed,
    )
    pilot = _described(request, data, design, folder)
    with new_folder(folder) as partial:
        _write_data(request, data, partial)
        write_text(partial / FILE, study_toml(request, data, design, name=_name(folder), folder=folder))
        write_text(partial / QUESTION, question_text(question_of_study(request, data)))
        write_text(partial / NOTES, _notes(pilot))
        _validate(partial, prefix)
    return pilot


def question_of_study(request: PilotRequest, data: PilotData) -> Question:
    """The question as it is asked of the study: with its names, and with what exists once it is translated."""
    exists = {tag: float(data.num_usable) if tag in request.missing else math.inf for tag in request.languages}
    return replace(
        request.question,
        evaluations={request.source.task: 1.0},
        model="small",
        languages=request.languages,
        existing=exists,
    )


def _described(request: PilotRequest, data: PilotData, design: PilotDesign, folder: Path) -> Pilot:
    names = mixture_names(request, design)
    larger = None if request.larger is None else model_label(request.larger)
    each = data.num_train + data.num_test
    to_translate = dict.fromkeys(request.missing, each)
    told = [
        f"{len(names)} mixtures of {model_label(request.model)}, {request.pivot} alone with two seeds: "
        f"{len(names) + 1} training runs. The mixtures are D-optimal under the transfer model, and tell as much as "
        f"about {design.as_random} random ones beside the control.",
        f"{data.num_train:,} items to train on and {data.num_test:,} to test with in each of "
        f"{', '.join(request.languages)}; a mixture has up to {data.num_usable:,} items.",
        f"Power: two mixtures are distinguished (80 %, at the 5 % level) if their means over languages differ by "
        f"{100 * design.detectable:.1f} points, two runs in one language by {100 * design.detectable_in_one:.1f}.",
    ]
    if request.missing:
        told.append(
            f"To be translated: {each:,} items into each of {', '.join(request.missing)}, "
            f"{each * len(request.missing):,} in all, at a cost of {data.cost:,.6g}. "
            "Training items remain of use for the final data."
        )
    commands = [
        f"crosslift translate {folder / f'translate-{split}.toml'} {folder / 'data' / split} "
        f"--site {folder / 'site.toml'}"
        for split in ("train", "test")
        if request.missing
    ]
    return Pilot(
        folder=folder,
        mixtures=dict(zip(names, design.mixtures, strict=True)),
        num_runs=len(names) + 1,
        num_train=data.num_train,
        num_test=data.num_test,
        to_translate=to_translate,
        cost=data.cost,
        detectable=design.detectable,
        sentences=(*told, *carry_over(model_label(request.model), larger)),
        commands=(
            *commands,
            f"crosslift check {folder}",
            f"crosslift plan {folder}",
            f"crosslift run {folder}",
            f"crosslift recommend {folder} --question {folder / QUESTION}"
            + (f" --translatable {data.num_all}" if request.missing else ""),
        ),
    )


def _write_data(request: PilotRequest, data: PilotData, folder: Path) -> None:
    for split, rows in (("train", data.train), ("test", data.test)):
        make_folder(folder / "data" / split)
        for tag in request.source.languages:
            if tag in request.languages:
                write_text(folder / "data" / split / f"{tag}.jsonl", _json_lines(rows, tag))
        if request.missing:
            make_folder(folder / SOURCE)
            write_text(folder / SOURCE / f"{split}.jsonl", _json_lines(rows, request.pivot))
            write_text(folder / f"translate-{split}.toml", recipe_toml(request, split))


def _json_lines(rows: pl.DataFrame, tag: str) -> str:
    return "".join(
        json.dumps(row, ensure_ascii=False) + "\n" for row in rows.filter(language=tag).iter_rows(named=True)
    )


def _validate(folder: Path, prefix: str) -> None:
    """Check the study file that was written; only the paths of models are the user's.

    Raises:
        StudyError: a path is neither a hub name nor a folder.
    """
    try:
        load(folder / FILE, data="optional")
    except StudyError as error:
        named = {f"{FILE}, models.small.path": f"{prefix}model", f"{FILE}, models.larger.path": f"{prefix}larger"}
        text = str(error)
        for place, option in named.items():
            text = text.replace(place, option)
        raise StudyError(text.splitlines()) from error


def _notes(pilot: Pilot) -> str:
    lines = ["# Pilot", "", *(f"- {sentence}" for sentence in pilot.sentences), "", "| mixture | items |", "|---|---|"]
    for name, amounts in pilot.mixtures.items():
        lines.append(f"| {name} | {', '.join(f'{tag} {count:,}' for tag, count in amounts.items())} |")
    lines += ["", "```sh", *(command.replace(str(pilot.folder), ".") for command in pilot.commands), "```", ""]
    return "\n".join(lines)


def _name(folder: Path) -> str:
    """Name of the study: that of its folder, with the characters of names."""
    return re.sub(r"[^A-Za-z0-9_+-]+", "-", folder.absolute().name).strip("-")[:120] or "pilot"
