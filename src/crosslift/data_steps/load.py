"""Reading of data.toml: the steps that make a study's data, in the order in which they are made.

[steps.calls-test]
kind = "translate"                  # see: crosslift list steps
recipe = "api-bank-test"            # a shipped recipe, or a file beside data.toml
output = "data/api-bank/test"       # the path of a corpus in study.toml
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from crosslift.data_steps.step import Step, StepKind
from crosslift.discover import member, members
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.toml_file import read_toml

FILE = "data.toml"


def kind_of(step: Step) -> StepKind:
    """Return the module of a step's kind."""
    return cast(StepKind, member("step", step.kind))


def has_steps(folder: Path) -> bool:
    """Return whether a study's folder has a data.toml."""
    return (folder / FILE).is_file()


def load_steps(folder: Path) -> tuple[Step, ...]:
    """Read the steps of a study's data.

    Args:
        folder: the study's folder.

    Returns:
        The steps in their order; empty if there is no data.toml.

    Raises:
        StudyError: data.toml is invalid; the error lists all problems.
    """
    if not has_steps(folder):
        return ()
    raw = read_toml(folder / FILE, remedy="Write one.")
    problems = Problems(FILE)
    tables: Any = raw.pop("steps", None)
    for key in raw:
        problems.add(key, "is not known. The file holds tables [steps.<name>] only. Remove it.")
    if not isinstance(tables, dict) or not tables:
        problems.add("steps", "there is no step. Add a table [steps.<name>], or remove the file.")
        tables = {}
    steps = []
    for name, table in tables.items():
        step = _step(folder, name, table, problems)
        if step is not None:
            kind_of(step).check(step, problems)
            steps.append(step)
    written: dict[Path, str] = {}
    for step in steps:
        for output in kind_of(step).outputs(step):
            if output in written:
                problems.add(
                    f"steps.{step.name}", f"writes the folder of step '{written[output]}'. Give it another one."
                )
            written.setdefault(output, step.name)
    if problems:
        raise StudyError(problems)
    return tuple(steps)


def _step(folder: Path, name: str, table: Any, problems: Problems) -> Step | None:
    place = f"steps.{name}"
    if not isinstance(table, dict):
        problems.add(place, "must be a table of key = value pairs. Change it.")
        return None
    if "/" in name or name.startswith("."):
        problems.add(place, "the name of a step is the name of a folder: it has no '/' and begins with no dot. Rename.")
        return None
    kind = table.get("kind")
    if not isinstance(kind, str):
        problems.add(place, f"'kind' is missing. Known: {', '.join(members('step'))}. Add it.")
        return None
    if not problems.reference(f"{place}.kind", "kind of step", kind, members("step")):
        return None
    schema = member("step", kind).TABLE
    read = problems.read(schema, table, place, TypeAdapter(schema))
    return None if read is None else Step(name=name, kind=kind, table=read, folder=folder)
