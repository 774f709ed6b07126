"""Reading and writing of a study's folder, whose layout is in `layout`.

Each `done.json` lists the size and checksum of the files in its folder (`checksums`); `lock.json` does so for every
`run.json`, and `.rebuilt.json` for the two tables. Files are verified when they are read: a damaged step is skipped,
recorded in `Store.damage` for the commands to report, and run again by `crosslift run`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.checksums import JUDGED, MARKER, Damage, checksum_of, read_sealed, write_sealed
from crosslift.execution.folder.layout import Layout
from crosslift.execution.folder.tables import read_step_table, read_table
from crosslift.system.files import parse_json, read_bytes, read_json, remove, write_json
from crosslift.system.leases import LeaseOwner, lease_holder

if TYPE_CHECKING:  # a restart without work reads no table, and importing polars takes a tenth of its time
    import polars as pl

MAX_DAMAGE_SHOWN = 10


class Store(Layout):
    """Reads and writes the folder of one study.

    Args:
        folder: the folder.
        read_only: never write to the folder, not even caches or the temporary files that show the clock of its disk.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        super().__init__(folder)
        self.read_only = read_only
        self.damage: dict[str, tuple[Damage, ...]] = {}
        """Step -> damage found in it. Commands that read the study must report it, because damaged data are skipped."""

    def note_damage(self, step: str, damage: Sequence[Damage]) -> None:
        """Record the damage of a step; an empty sequence clears it."""
        if damage:
            self.damage[step] = tuple(damage)
        else:
            self.damage.pop(step, None)

    def damage_lines(self) -> list[str]:
        """Return one line per damaged file, at most MAX_DAMAGE_SHOWN and a line with the number of further ones."""
        lines = [f"damaged: {damage}" for damages in self.damage.values() for damage in damages]
        more = len(lines) - MAX_DAMAGE_SHOWN
        return [*lines[:MAX_DAMAGE_SHOWN], f"... and {more} more; see: crosslift verify"] if more > 0 else lines

    # --------------------------------------------------------------------------------------------------------- reading

    def runs(self) -> pl.DataFrame:
        """Return all runs of the study, finished or not, in its order; columns as in `scores.RUNS`.

        Raises:
            StoreError: the study has not been prepared.
        """
        import polars as pl

        from crosslift.scores import RUNS

        records = [self.run_record(run, expected) for run, expected in self.lock()["runs"].items()]
        rows = [[record["factors"][column] for column in RUNS] for record in records]
        return pl.DataFrame(rows, schema=RUNS, orient="row")

    def run_record(self, run: str, expected: Mapping[str, Any]) -> dict[str, Any]:
        """Read run.json and verify it against lock.json.

        Args:
            run: the run.
            expected: the run's entry in lock.json.

        Returns:
            The record that `write_run` wrote.

        Raises:
            StoreError: run.json is missing or does not match lock.json.
        """
        file = self.run_folder(run) / "run.json"
        text = read_bytes(file)
        if text is None:
            raise StoreError(f"{file} {checksums.MISSING}. crosslift run writes it again.")
        try:
            record = parse_json(file, text)
            # A lock.json without checksums contains the fingerprint.
            same = record["fingerprint"] == expected["fingerprint"] and record["factors"]["run"] == run
            if same and checksum_of(text) == expected.get("record", checksum_of(text)):
                return dict(record)
        except (StoreError, KeyError, TypeError):
            pass
        raise StoreError(f"{file} does not match lock.json. crosslift run writes it again.")

    def run_is_recorded(self, run: str, expected: Mapping[str, Any]) -> bool:
        """Return whether run.json matches the run's entry in lock.json; faster than `run_record`."""
        if "record" in expected:
            try:
                text = read_bytes(self.run_folder(run) / "run.json")
            except StoreError:
                return False
            return text is not None and checksum_of(text) == expected["record"]
        try:
            return bool(self.run_record(run, expected))
        except StoreError:
            return False

    def scores(self) -> pl.DataFrame:
        """Return the scores and verdicts of all finished evaluations, in the study's order; columns as in
        `scores.SCORES`. Every file is verified; damaged evaluations are skipped and recorded in `damage`.

        Raises:
            StoreError: the study has not been prepared.
        """
        import polars as pl

        from crosslift.scores import SCORES

        folders = [
            self.evaluation_folder(run, evaluation, tag)
            for run, record in self.lock()["runs"].items()
            for evaluation, tags in record["evaluations"].items()
            for tag in tags
        ]
        tables = [table for folder in folders for table in self._scores_of(folder)]
        return pl.concat([pl.DataFrame(schema=SCORES), *tables])

    def _scores_of(self, folder: Path) -> Iterator[pl.DataFrame]:
        from crosslift.scores import SCORES

        step = self.name_of(folder)
        try:
            marker = checksums.read_marker(folder)
            if marker is None:
                return
            found = checksums.step_damage(folder, marker, thorough=True)
            bad = {one.file for one in found}
            self.note_damage(step, found)
            if not bad - {JUDGED}:
                yield read_table(folder / "scores.parquet", SCORES)
                if JUDGED not in bad and (folder / JUDGED).is_file():
                    yield read_table(folder / JUDGED, SCORES)
        except StoreError as error:  # from a step whose marker lists no files
            self.note_damage(step, [checksums.damage_of(folder, error)])

    def predictions(self, run: str, evaluation: str, language: str) -> pl.DataFrame:
        """Return the predictions of a run for one evaluation in one language; columns as in `scores.PREDICTIONS`.

        Raises:
            StoreError: the run has not been evaluated yet, or the file is damaged.
        """
        return read_step_table(self.evaluation_folder(run, evaluation, language), "predictions.parquet")

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Return mixture -> manifest for the mixtures of the study's runs; damaged ones are recorded in `damage`.

        Raises:
            StoreError: the study has not been prepared.
        """
        names = dict.fromkeys(record["mixture"] for record in self.lock()["runs"].values())
        found = {name: self._manifest(self.mixture_folder(name)) for name in names if name != "base"}
        return {name: manifest for name, manifest in found.items() if manifest is not None}

    def _manifest(self, folder: Path) -> dict[str, Any] | None:
        try:
            marker = checksums.read_marker(folder) or {}
            damage = checksums.step_damage(folder, marker, names=["manifest.json"], thorough=True)
            found: dict[str, Any] | None = None if damage else read_json(folder / "manifest.json")
        except StoreError as error:
            damage, found = [checksums.damage_of(folder, error)], None
        if damage:
            self.note_damage(self.name_of(folder), damage)
        return found

    def training_metrics(self, run: str) -> pl.DataFrame:
        """Return the losses of a trained run; columns as in `training.trainer.METRICS`.

        Raises:
            StoreError: the run has not been trained yet, or the file is damaged.
        """
        return read_step_table(self.train_folder(run), "metrics.parquet")

    def provenance(self, run: str) -> dict[str, Any]:
        """Return the provenance of a run.

        Returns:
            {"train": {"seconds", "num_tokens", "precision"}, "evaluate": {"seconds"}, "environment": {...}}; empty if
            no step of the run is finished, or if the file is damaged, which is recorded in `damage`. No result depends
            on the provenance.
        """
        try:
            return self.provenance_or_error(run)
        except StoreError as error:
            self.note_damage(f"runs/{run}", [checksums.damage_of(self.run_folder(run), error)])
            return {}

    def provenance_or_error(self, run: str) -> dict[str, Any]:
        """Return the provenance of a run as `provenance` does; raises `StoreError` if the file is damaged."""
        file = self.run_folder(run) / "provenance.json"
        found = read_sealed(file)
        if found is None:
            return {}
        kinds = {"train": (dict, type(None)), "evaluate": (dict,), "environment": (dict,)}
        if not all(key in found and isinstance(found[key], kind) for key, kind in kinds.items()):
            raise StoreError(f"{file} is not a provenance record. Remove it.")
        if found.get("run", run) != run:
            raise StoreError(f"{file} belongs to {found['run']}. Remove it.")
        return found

    def write_provenance(self, run: str, record: Mapping[str, Any]) -> None:
        """Write provenance.json of a run."""
        write_sealed(self.run_folder(run) / "provenance.json", {"run": run, **record}, durable=False)

    def lock(self) -> dict[str, Any]:
        """Read lock.json: {"corpora", "models", "tasks", "runs"}.

        Raises:
            StoreError: the study has not been prepared, or the file is damaged.
        """
        try:
            lock = read_sealed(self.lock_file)
        except StoreError as error:
            raise StoreError(f"{error} Run: crosslift prepare {self.folder}") from error
        if lock is None:
            raise StoreError(f"{self.folder} has not been prepared. Run: crosslift prepare {self.folder}")
        if not all(isinstance(lock.get(key), dict) for key in ("corpora", "models", "tasks", "runs")):
            raise StoreError(f"{self.lock_file} is not a valid lock.json. Run: crosslift prepare {self.folder}")
        return lock

    def lock_if_intact(self) -> dict[str, Any] | None:
        """Read lock.json; None if the study has not been prepared, or the file is damaged and must be rewritten."""
        try:
            return self.lock()
        except StoreError:
            return None

    def earlier_models(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of models in the lock.json of all definitions, oldest first: a model that the study had
        before another one is the same as then."""
        numbers = [int(one.name) for one in self.definitions_folder.glob("*/") if one.name.isdecimal()]
        for number in sorted(numbers):
            with contextlib.suppress(StoreError):
                lock = read_sealed(self.definitions_folder / f"{number}/lock.json")
                yield from ({} if lock is None else lock).get("models", {}).values()

    def step_folders(self, run: str) -> list[Path]:
        """Return the existing folders of a run's steps, of any definition."""
        folder = self.run_folder(run)
        return [one for one in (folder / "train", *sorted((folder / "eval").glob("*"))) if one.is_dir()]

    def has_results(self, run: str) -> bool:
        """Return whether any step in the run's folder is finished, under any definition."""
        return any((folder / MARKER).is_file() for folder in self.step_folders(run))

    def run_folders(self) -> list[str]:
        """Return the names of the folders in runs/, sorted, including those of an earlier definition."""
        return sorted(folder.name for folder in (self.folder / "runs").glob("*/") if folder.name[0] != ".")

    def findings(self, corpus: str) -> pl.DataFrame:
        """Return the findings of the checks of a corpus, including leaks; columns as in `corpora.findings.FINDINGS`.
        Damaged files are skipped and recorded in `damage`."""
        import polars as pl

        from crosslift.corpora.findings import FINDINGS

        folder, tables = self.corpus_folder(corpus), [pl.DataFrame(schema=FINDINGS)]
        for file in ("findings.parquet", "leaks.parquet"):
            try:
                checksums.verify_files(folder, [file])
                tables += [read_table(folder / file, FINDINGS)] if (folder / file).exists() else []
            except StoreError as error:
                self.note_damage(self.name_of(folder), [checksums.damage_of(folder, error)])
        return pl.concat(tables)

    def holder(self, run: str) -> LeaseOwner | None:
        """Return the process that is working on a run; None if there is none."""
        return lease_holder(self.run_folder(run), read_only=self.read_only)

    # --------------------------------------------------------------------------------------------------------- writing

    def write_lock(self, lock: Mapping[str, Any]) -> None:
        """Write lock.json if it has changed."""
        if self.lock_if_intact() != lock:
            write_sealed(self.lock_file, lock)

    def write_run(self, run: str, *, fingerprint: str, factors: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
        """Write run.json.

        Args:
            run: the run.
            fingerprint: fingerprint of the run's steps.
            factors: one value per column of `scores.RUNS`.
            identity: the values from which the fingerprint was computed.

        Returns:
            Checksum of the file, for lock.json.
        """
        record = {"fingerprint": fingerprint, "factors": dict(factors), "identity": dict(identity)}
        return write_sealed(self.run_folder(run) / "run.json", record, durable=False)

    def error(self, run: str) -> dict[str, Any] | None:
        """Return {"error", "message"} of a failed run; None if it has not failed or its error was cleared."""
        file = self.run_folder(run) / "error.json"
        try:
            found = read_json(file)
        except StoreError as error:
            return {"error": "StoreError", "message": str(error)}
        if found is None or (isinstance(found, dict) and {"error", "message"} <= found.keys()):
            return found
        return {"error": "StoreError", "message": f"{self.name_of(file)} is damaged. crosslift run removes it."}

    def write_error(self, run: str, *, error: str, message: str) -> None:
        """Record the failure of a run: type and message of the error."""
        write_json(self.run_folder(run) / "error.json", {"error": error, "message": message})

    def clear_errors(self, runs: Iterable[str]) -> None:
        """Remove recorded failures, so that the runs are retried."""
        for run in runs:
            remove(self.run_folder(run) / "error.json")
