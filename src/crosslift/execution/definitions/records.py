"""Definitions of a study: `definitions/<number>/` for every definition that had results, and the present one.

    study.toml       the study file
    lock.json        as in the study's folder: revisions of corpora, models and tasks, and every run
    runs.parquet     as in the study's folder
    steps.json       step -> fingerprint, by which its result is found wherever it lies
    report/          report of an earlier definition, on request

A definition is a set of runs with their fingerprints, so a change of questions or contrasts makes no new one, and going
back to earlier values makes an earlier definition the present one again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError, StudyError, UnknownName
from crosslift.execution.definitions.changes import differences, phrase
from crosslift.execution.folder import earlier
from crosslift.execution.folder.checksums import MARKER, read_sealed, write_sealed
from crosslift.execution.folder.layout import DEFINITIONS
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import read_table, write_table
from crosslift.fingerprint import fingerprint
from crosslift.studies.parsing.toml_file import read_toml
from crosslift.system.files import read_bytes, remove, remove_leftovers, write_text

if TYPE_CHECKING:
    import polars as pl

STUDY_FILE = "study.toml"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A definition of a study."""

    number: int
    folder: Path
    fingerprint: str
    """Of the fingerprints of all runs, by name."""
    num_runs: int


def definitions(store: Store) -> list[Definition]:
    """Return all intact definitions of a study, in the order in which they were first prepared."""
    found = []
    for folder in store.definitions_folder.glob("*/"):
        if folder.name.isdecimal():
            try:
                lock = read_sealed(folder / "lock.json")
            except StoreError:
                continue
            if lock is not None and isinstance(lock.get("runs"), dict):
                runs = lock["runs"]
                found.append(
                    Definition(
                        number=int(folder.name), folder=folder, fingerprint=_fingerprint(runs), num_runs=len(runs)
                    )
                )
    return sorted(found, key=lambda one: one.number)


def has_scores(store: Store, definition: Definition) -> bool:
    """Return whether a definition has scores that are not those of the present one."""
    found = DefinitionStore(store.folder, definition.number)
    return any(store.is_earlier(folder) and (folder / MARKER).is_file() for folder in _evaluation_folders(found))


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a definition holds, and how it differs from the present one."""

    num_evaluations: int
    num_done: int
    differences: str
    """Changed settings, with the earlier and the present value."""


def described(store: Store, definition: Definition) -> Described:
    """Count the results of a definition, and name the settings in which its study file differs from the present one."""
    found = DefinitionStore(store.folder, definition.number)
    folders = list(_evaluation_folders(found))
    now = study_settings(store.folder / STUDY_FILE)
    fields = [str(one) for one in differences(study_settings(definition.folder / STUDY_FILE), now)]
    return Described(
        num_evaluations=len(folders),
        num_done=sum((folder / MARKER).is_file() for folder in folders),
        differences=phrase(fields),
    )


def study_settings(file: Path) -> dict[str, Any]:
    """Return the settings of a study file as written; empty if it cannot be read."""
    try:
        return read_toml(file, remedy="")
    except StudyError:
        return {}


def _evaluation_folders(found: DefinitionStore) -> Iterator[Path]:
    for run, record in found.lock()["runs"].items():
        for evaluation, tags in record["evaluations"].items():
            yield from (found.evaluation_folder(run, evaluation, tag) for tag in tags)


def present_definition(store: Store) -> Definition | None:
    """Return the definition that lock.json describes; None if the study is not prepared or has no definitions yet."""
    lock = store.lock_if_intact()
    if lock is None:
        return None
    wanted = _fingerprint(lock["runs"])
    return next((one for one in definitions(store) if one.fingerprint == wanted), None)


def record_definition(graph: StepGraph, *, superseded: Definition | None) -> None:
    """Record the present definition, after lock.json was written.

    Args:
        graph: the steps of the study.
        superseded: the definition before, if it has no results that the present one has not; its number is used again.
    """
    store = graph.store
    lock = store.lock()
    known = definitions(store)
    number = next((one.number for one in known if one.fingerprint == _fingerprint(lock["runs"])), None)
    if number is None and superseded is not None:
        number = superseded.number
        remove(superseded.folder / "report")
    if number is None:
        number = 1 + max((one.number for one in known), default=0)
    folder = store.definitions_folder / str(number)
    write_sealed(folder / "steps.json", _steps(graph), durable=False)
    write_table(folder / "runs.parquet", store.runs())
    record_study_file(graph, folder)
    write_sealed(folder / "lock.json", lock)


def record_study_file(graph: StepGraph, folder: Path) -> None:
    """Copy study.toml into the folder of the present definition, if it was edited without changing a run.

    What processes left there that were killed while they recorded the definition is removed.
    """
    remove_leftovers(folder)
    text = read_bytes(graph.study.folder / STUDY_FILE)
    if text is not None and text != read_bytes(folder / STUDY_FILE):
        write_text(folder / STUDY_FILE, text.decode("utf-8"), durable=False)


def _fingerprint(runs: Mapping[str, Any]) -> str:
    return fingerprint({name: record["fingerprint"] for name, record in runs.items()})


def _steps(graph: StepGraph) -> dict[str, str]:
    steps = [*graph.prepared_steps(), *(step for run in graph.runs.values() for step in graph.steps(run).steps())]
    return {step.name: step.fingerprint for step in steps}


class DefinitionStore(Store):
    """Reads the results of one definition of a study, wherever they lie. Its report has a folder of its own.

    Args:
        folder: the study's folder.
        number: number of the definition.

    Raises:
        UnknownName: there is no such definition.
        StoreError: its record is damaged.
    """

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self.definition_folder = folder / DEFINITIONS / str(number)
        if not (self.definition_folder / "lock.json").is_file():
            known = ", ".join(str(one.number) for one in definitions(Store(folder))) or "none"
            raise UnknownName(
                f"{folder} has no definition {number}. Known: {known}. See: crosslift definitions {folder}"
            )
        self.lock_file = self.definition_folder / "lock.json"
        self.report_folder = self.definition_folder / "report"
        self._fingerprints: dict[str, str] = read_sealed(self.definition_folder / "steps.json") or {}

    def runs(self) -> pl.DataFrame:
        """Return the runs of the definition; columns as in `scores.RUNS`."""
        from crosslift.scores import RUNS

        return read_table(self.definition_folder / "runs.parquet", RUNS)

    def scores(self) -> pl.DataFrame:
        """Return the scores and verdicts of the definition, under its names; columns as in `scores.SCORES`."""
        import polars as pl

        from crosslift.scores import SCORES

        tables = [pl.DataFrame(schema=SCORES)]
        for run, record in self.lock()["runs"].items():
            for evaluation, tags in record["evaluations"].items():
                for tag in tags:
                    names = {"run": pl.lit(run), "evaluation": pl.lit(evaluation)}
                    found = self._scores_of(self.evaluation_folder(run, evaluation, tag))
                    tables += [table.with_columns(**names) for table in found]
        return pl.concat(tables)

    def provenance(self, run: str) -> dict[str, Any]:
        """Return the provenance of a run of the definition; empty if it was not kept."""
        wanted = self.lock()["runs"][run]["fingerprint"]
        try:
            kept = read_sealed(self.earlier_folder("runs") / f"{wanted}.json")
        except StoreError:
            kept = None
        found = kept or super().provenance(run)
        return found if found.get("fingerprint") == wanted else {}

    def corpus_folder(self, corpus: str) -> Path:
        """Return the folder of a prepared corpus."""
        return self._locate(super().corpus_folder(corpus))

    def tokens_folder(self, corpus: str, tokenizer: str) -> Path:
        """Return the folder of a tokenised corpus."""
        return self._locate(super().tokens_folder(corpus, tokenizer))

    def mixture_folder(self, mixture: str) -> Path:
        """Return the folder of a mixture."""
        return self._locate(super().mixture_folder(mixture))

    def train_folder(self, run: str) -> Path:
        """Return the folder of a run's training step."""
        return self._locate(super().train_folder(run))

    def evaluation_folder(self, run: str, evaluation: str, language: str) -> Path:
        """Return the folder of a run's evaluation step."""
        return self._locate(super().evaluation_folder(run, evaluation, language))

    def _locate(self, folder: Path) -> Path:
        """Return where the result of a step lies: in its folder, in `earlier/`, or in the folder of a renamed run."""
        name = self.name_of(folder)
        wanted = self._fingerprints.get(name)
        if wanted is None or earlier.content_fingerprint(folder) == wanted:
            return folder
        aside = self.earlier_folder(earlier.kind_of(name)) / wanted
        if aside.is_dir():
            return aside
        present = self._present.get(wanted)
        return aside if present is None else self.folder / present

    @cached_property
    def _present(self) -> dict[str, str]:
        """Fingerprint -> step of the present definition."""
        present = present_definition(Store(self.folder))
        steps = None if present is None else read_sealed(present.folder / "steps.json")
        return {fingerprint: name for name, fingerprint in (steps or {}).items()}
