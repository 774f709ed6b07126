"""Validation of models and corpora: their files, readers, tasks, checks and prompts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from crosslift.discover import member, members
from crosslift.errors import EvaluationError
from crosslift.evaluation.task import MissingWords
from crosslift.languages.language import language
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.data import CorpusTable, ModelTable


def check_model(place: str, table: ModelTable, folder: Path, problems: Problems) -> None:
    """Record problems of a model.

    Args:
        place: Its place in the study file.
        table: The table.
        folder: The folder of the study file.
        problems: The list to which problems are added.
    """
    if table.path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        problems.reference(f"{place}.path", "pocket model", table.path.removeprefix("pocket:"), checkpoints.names())
    else:
        local = _there(folder, table.path)
        if local is not None:
            if not (local / "config.json").is_file():
                problems.add(
                    f"{place}.path", f"{table.path} has no config.json and is not a model folder. Correct the path."
                )
        elif table.path.startswith((".", "/", "~")):
            problems.add_absent(
                f"{place}.path",
                f"the folder {table.path} does not exist. Correct the path (it is relative to the study file).",
            )
        elif table.path.count("/") != 1:
            problems.add(
                f"{place}.path",
                f"'{table.path}' is neither a folder nor a hub name of the form owner/name. Correct it; the path of a "
                f"pocket model is pocket:{table.path.split('/')[0]}.",
            )
    template = table.template if table.template != "plain" else None
    if template is not None and not (_there(folder, template) or folder).is_file():
        problems.add(f"{place}.template", f'there is no file {template}. Correct the path, or use "plain".')


def _there(folder: Path, written: str) -> Path | None:
    """Resolve a path of the study file. Return None if it does not exist, is too long or has an unknown ~user."""
    try:
        path = folder / Path(written).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def check_corpus(place: str, table: CorpusTable, folder: Path, problems: Problems) -> None:
    """Record problems of a corpus; arguments as for `check_model`."""
    known = problems.languages(f"{place}.languages", table.languages)
    if known_member(f"{place}.task", "task", table.task, problems):
        _prompt(f"{place}.prompt", table, table.languages if known else (), problems)
    for name in table.checks:
        known_member(f"{place}.checks", "check", name, problems)
    if not known_member(f"{place}.reader", "reader", table.reader, problems):
        return
    reader = member("reader", table.reader)
    options = getattr(reader, "OPTIONS", {})
    problems.options(place, table.model_extra or {}, options, CorpusTable.model_fields)
    needs_path = getattr(reader, "NEEDS_PATH", None)
    if table.path is None:
        if needs_path:
            problems.add(place, f"'path' is missing: reader '{table.reader}' reads a file. Add it.")
        return
    if needs_path is False:
        problems.add(f"{place}.path", f"reader '{table.reader}' generates its items and takes no path. Remove it.")
        return
    path = _there(folder, table.path)
    if path is None:
        problems.add_absent(f"{place}.path", f"{table.path} does not exist. {_remedy(folder)}")
    elif not os.access(path, os.R_OK):
        problems.add(f"{place}.path", f"{table.path} cannot be read. Give yourself read permission.")


def _remedy(folder: Path) -> str:
    """Return what to do about data that do not exist."""
    correct = "Correct the path (it is relative to the study file)."
    if (folder / "data.toml").is_file():
        return f"{correct[:-1]}, or make the data of data.toml: crosslift data {folder}"
    return correct


def _prompt(place: str, table: CorpusTable, languages: Iterable[str], problems: Problems) -> None:
    """Record a prompt form that the task lacks, or that has no words in a language without a file."""
    task = member("task", table.task)
    prompt = table.prompt or task.PROMPTS[0]
    if problems.reference(place, f"prompt of task '{table.task}' called", prompt, task.PROMPTS):
        for tag in languages:
            try:
                task.present([{"role": "user", "content": "?"}], language(tag), prompt)
            except MissingWords as error:
                problems.add(place, str(error))
            except EvaluationError:
                return  # the task asks for more than a question; the corpus is read later


def known_member(place: str, kind: str, name: str, problems: Problems) -> bool:
    """Record a name of which there is no member of a kind; returns whether there is one."""
    return problems.reference(place, kind, name, members(kind))
