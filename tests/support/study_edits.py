"""Edits of a study file, read from tests/execution/definitions/edits/: what must be computed after each."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.studies.study import Study

FOLDER = Path(__file__).parents[1] / "execution" / "definitions" / "edits"
STUDIES = ("tiny", "validated", "families", "choices")
Replacements = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An edit of a finished study; the patterns are those of names of runs and of `<evaluation>.<language>`."""

    name: str
    study: str
    """Member of `STUDIES`: the finished study that is edited."""
    replace: Replacements
    keys: list[str] = field(default_factory=list)
    """Keys of the schema that it changes, as `<model>.<field>`."""
    trained: list[str] = field(default_factory=list)
    evaluated: list[str] | None = None
    """None: as `trained`."""
    evaluations: list[str] = field(default_factory=lambda: ["*"])
    said: str = ""
    """Part of the sentence of `plan`."""
    real: bool = True
    """Whether it is applied to a study with real training."""

    def expected(self, edited: Study) -> set[str]:
        """Names of the steps of runs that must be computed."""
        found = set()
        for run in edited.runs():
            if _named(run.name, self.trained):
                found.add(f"runs/{run.name}/train")
            if _named(run.name, self.trained if self.evaluated is None else self.evaluated):
                for one in edited.evaluations_of(run):
                    names = [f"{one.name}.{tag}" for tag in one.languages]
                    found |= {f"runs/{run.name}/eval/{name}" for name in names if _named(name, self.evaluations)}
        return found


def _named(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def edits_of(study: str) -> list[Edit]:
    tables = tomllib.loads((FOLDER / f"{study}.toml").read_text(encoding="utf-8"))
    return [Edit(name=name, study=study, **table) for name, table in tables.items() if name != "start"]


def start_of(study: str) -> Replacements:
    """Replacements that make the study of the tiny one."""
    found: Replacements = (
        tomllib.loads((FOLDER / f"{study}.toml").read_text(encoding="utf-8")).get("start", {}).get("replace", [])
    )
    return found


def not_edited() -> dict[str, str]:
    """Key of the schema -> reason why it has no edit."""
    return tomllib.loads((FOLDER / "not_edited.toml").read_text(encoding="utf-8"))


def apply(study: Path, replacements: Replacements, *, real: bool = False) -> None:
    """Edit the study file. `REVISION` stands for that of test.jsonl. `real`: without the fake generator."""
    text = (study / "study.toml").read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, old
        if "REVISION" in new:
            new = new.replace("REVISION", f"sha256:{fingerprint([fingerprint_file(study / 'test.jsonl')])}")
        text = text.replace(old, new.replace('generator = "fake"\n', "") if real else new, 1)
    (study / "study.toml").write_text(text, encoding="utf-8")


def add_files(study: Path) -> None:
    """Add the data and models that the edits name."""
    shutil.copytree(study / "model", study / "copy")
    for name in ("other", "third"):
        shutil.copytree(study / "model", study / name)
        (study / name / "tokenizer_note.json").write_text(json.dumps(name))  # other files, so another model
    shutil.copy(study / "test.jsonl", study / "copy.jsonl")
    rows = [json.loads(line) for line in (study / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    pl.DataFrame(rows).write_parquet(study / "train.parquet")
    for name in ("tasks", "tasks2"):
        (study / name).mkdir()
        (study / name / "note.txt").write_text("tasks")
    choices = json.dumps({"choices": ["red", "blue"], "gold": 1})
    lines = [
        {
            "item_id": f"i{number}",
            "language": tag,
            "messages": [{"role": "user", "content": f"{tag} {number}?"}],
            "answer": choices,
        }
        for number in range(4)
        for tag in ("en", "es", "sw")
    ]
    (study / "choice.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
