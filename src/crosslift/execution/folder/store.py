"""The folder of a study. No other module knows where in it anything lies.

    STUDY/
      study.toml                              what is asked
      lock.json                               revisions of corpora, models and tasks; fingerprint of every run
      corpora/<corpus>/                       rows.parquet, done.json
      tokens/<corpus>.<tokenizer>/            ids.npy, offsets.npy, prompt_lengths.npy, completion_bytes.npy, done.json
      mixtures/<mixture>/                     examples.parquet, manifest.json, done.json
      runs/<run>/                             run.json, provenance.json, progress.json, log.txt, error.json, leases
        train/                                checkpoint/, metrics.parquet, done.json
        eval/<evaluation>.<language>/         predictions.parquet, scores.parquet, done.json; judged.parquet
      runs.parquet, scores.parquet            rebuilt from runs/ at any time
      report/                                 index.html, estimates.parquet, tables/, figures/, done.json
      logs/                                   what workers say between runs
      judgements/<evaluation>.jsonl           every reply of a judge

`lock.json` names the runs that belong to the study. A folder in `runs/` that it does not name was left by an earlier
form of the study and is never read.

Each `done.json` lists size and checksum of the files beside it (`checksums`); `lock.json` does so for every `run.json`,
`.rebuilt.json` for the two tables. What is read is compared with them: a damaged step is left out, kept in
`Store.damage` for the commands to tell, and made again by `crosslift run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.checksums import JUDGED, MARKER, Damage, checksum_of, read_sealed, write_sealed
from crosslift.execution.folder.tables import read_step_table, read_table
from crosslift.system.files import parse_json, read_bytes, read_json, remove, write_json

if TYPE_CHECKING:  # a restart with nothing to do reads no table, and polars takes a tenth of its time
    import polars as pl

MAX_DAMAGE_SHOWN = 10


class Store:
    """Reads and writes the folder of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report_folder = folder / "report"
        self.logs_folder = folder / "logs"
        self.lock_file = folder / "lock.json"
        self.hashes_file = folder / ".hashes.json"
        self.runs_file = folder / "runs.parquet"
        self.scores_file = folder / "scores.parquet"
        self.damage: dict[str, tuple[Damage, ...]] = {}
        """Step -> what was found damaged in it. Whoever reads the study tells it, for what is damaged was left out."""

    def note_damage(self, step: str, damage: Sequence[Damage]) -> None:
        """Remember what is damaged in a step, or that nothing is."""
        if damage:
            self.damage[step] = tuple(damage)
        else:
            self.damage.pop(step, None)

    def damage_lines(self) -> list[str]:
        """What is damaged, a line each, the first MAX_DAMAGE_SHOWN."""
        lines = [f"damaged: {damage}" for damages in self.damage.values() for damage in damages]
        more = len(lines) - MAX_DAMAGE_SHOWN
        return [*lines[:MAX_DAMAGE_SHOWN], f"... and {more} more; see: crosslift verify"] if more > 0 else lines

    # ---------------------------------------------------------------------------------------------------- what is read

    def runs(self) -> pl.DataFrame:
        """All runs of the study, done or not, in its order; columns as in `scores.RUNS`.

        Raises:
            StoreError: the study has not been prepared.
        """
        import polars as pl

        from crosslift.scores import RUNS

        records = [self.run_record(run, expected) for run, expected in self.lock()["runs"].items()]
        rows = [[record["factors"][column] for column in RUNS] for record in records]
        return pl.DataFrame(rows, schema=RUNS, orient="row")

    def run_record(self, run: str, expected: Mapping[str, Any]) -> dict[str, Any]:
        """What `write_run` wrote.

        Args:
            expected: what lock.json says of the run.

        Raises:
            StoreError: run.json is missing, or not what lock.json says.
        """
        file = self.run_folder(run) / "run.json"
        text = read_bytes(file)
        if text is None:
            raise StoreError(f"{file} {checksums.MISSING}. crosslift run writes it again.")
        try:
            record = parse_json(file, text)
            # A lock.json without checksums tells the fingerprint.
            same = record["fingerprint"] == expected["fingerprint"] and record["factors"]["run"] == run
            if same and checksum_of(text) == expected.get("record", checksum_of(text)):
                return dict(record)
        except (StoreError, KeyError, TypeError):
            pass
        raise StoreError(f"{file} is not what lock.json says. crosslift run writes it again.")

    def run_is_recorded(self, run: str, expected: Mapping[str, Any]) -> bool:
        """Is run.json what lock.json says of the run? Cheaper than `run_record`."""
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
        """Every score and verdict of every finished evaluation, in the study's order; columns as in `scores.SCORES`.
        Every file is compared with its checksum; a damaged evaluation is left out and noted in `damage`.

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
        except StoreError as error:  # of a step that lists no files
            self.note_damage(step, [checksums.damage_of(folder, error)])

    def predictions(self, run: str, evaluation: str, language: str) -> pl.DataFrame:
        """What the model wrote; columns as in `scores.PREDICTIONS`.

        Raises:
            StoreError: it has not been evaluated yet, or the file is damaged.
        """
        return read_step_table(self.evaluation_folder(run, evaluation, language), "predictions.parquet")

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Mixture -> manifest, for the mixtures that the study's runs use; damaged ones are noted in `damage`.

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
        """Losses of a trained run; columns as in `training.trainer.METRICS`.

        Raises:
            StoreError: it has not been trained yet, or the file is damaged.
        """
        return read_step_table(self.train_folder(run), "metrics.parquet")

    def provenance(self, run: str) -> dict[str, Any]:
        """{"train": {"seconds", "num_tokens", "precision"}, "evaluate": {"seconds"}, "environment": {...}}; empty where
        nothing of the run has been finished yet, or the file is damaged, which is noted in `damage`: no result stands
        on it."""
        try:
            return self.provenance_or_error(run)
        except StoreError as error:
            self.note_damage(f"runs/{run}", [checksums.damage_of(self.run_folder(run), error)])
            return {}

    def provenance_or_error(self, run: str) -> dict[str, Any]:
        """As `provenance`; raises `StoreError` where it is damaged."""
        file = self.run_folder(run) / "provenance.json"
        found = read_sealed(file)
        if found is None:
            return {}
        kinds = {"train": (dict, type(None)), "evaluate": (dict,), "environment": (dict,)}
        if not all(key in found and isinstance(found[key], kind) for key, kind in kinds.items()):
            raise StoreError(f"{file} tells no provenance. Remove it.")
        if found.get("run", run) != run:
            raise StoreError(f"{file} is that of {found['run']}. Remove it.")
        return found

    def write_provenance(self, run: str, record: Mapping[str, Any]) -> None:
        write_sealed(self.run_folder(run) / "provenance.json", {"run": run, **record}, durable=False)

    def lock(self) -> dict[str, Any]:
        """lock.json: {"corpora", "models", "tasks", "runs"}.

        Raises:
            StoreError: the study has not been prepared, or the file is damaged.
        """
        try:
            lock = read_sealed(self.lock_file)
        except StoreError as error:
            raise StoreError(f"{error} To do both, run: crosslift prepare {self.folder}") from error
        if lock is None:
            raise StoreError(f"{self.folder} has not been prepared. Run: crosslift prepare {self.folder}")
        if not all(isinstance(lock.get(key), dict) for key in ("corpora", "models", "tasks", "runs")):
            raise StoreError(f"{self.lock_file} is no lock.json. Run: crosslift prepare {self.folder}")
        return lock

    def lock_if_whole(self) -> dict[str, Any] | None:
        """lock.json; None where the study has not been prepared, or the file is damaged and must be written again."""
        try:
            return self.lock()
        except StoreError:
            return None

    def has_results(self, run: str) -> bool:
        """Has anything of the run been trained or evaluated?"""
        folder = self.run_folder(run)
        return (folder / "train" / MARKER).is_file() or any(folder.glob(f"eval/*/{MARKER}"))

    def unknown_runs(self) -> list[str]:
        """Folders in runs/ that the study does not name any more."""
        known = self.lock()["runs"]
        found = (self.folder / "runs").glob("*/")
        return sorted(folder.name for folder in found if folder.name not in known)

    # ------------------------------------------------------------------------------------------------------ where it is

    def corpus_folder(self, corpus: str) -> Path:
        return self.folder / "corpora" / corpus

    def findings(self, corpus: str) -> pl.DataFrame:
        """What its checks found, leaks into it among them; columns as in corpora.findings.FINDINGS. Damaged files are
        left out and noted in `damage`."""
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

    def tokens_folder(self, corpus: str, tokenizer: str) -> Path:
        """`tokenizer`: fingerprint of tokenizer and template, so that models which tokenise alike share the folder."""
        return self.folder / "tokens" / f"{corpus}.{tokenizer[:8]}"

    def mixture_folder(self, mixture: str) -> Path:
        return self.folder / "mixtures" / mixture

    def run_folder(self, run: str) -> Path:
        return self.folder / "runs" / run

    def train_folder(self, run: str) -> Path:
        return self.run_folder(run) / "train"

    def checkpoint_folder(self, run: str) -> Path:
        return self.train_folder(run) / "checkpoint"

    def evaluation_folder(self, run: str, evaluation: str, language: str) -> Path:
        return self.run_folder(run) / "eval" / f"{evaluation}.{language}"

    def name_of(self, folder: Path) -> str:
        """A folder as messages call it: `runs/pocket-m.en.s3/train`."""
        return folder.relative_to(self.folder).as_posix()

    # -------------------------------------------------------------------------------------------------- what is written

    def write_lock(self, lock: Mapping[str, Any]) -> None:
        if self.lock_if_whole() != lock:
            write_sealed(self.lock_file, lock)

    def write_run(self, run: str, *, fingerprint: str, factors: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
        """Write run.json; returns its checksum, for lock.json.

        Args:
            factors: one value per column of `scores.RUNS`.
            identity: what the fingerprint was made of.
        """
        record = {"fingerprint": fingerprint, "factors": dict(factors), "identity": dict(identity)}
        return write_sealed(self.run_folder(run) / "run.json", record, durable=False)

    def error(self, run: str) -> dict[str, Any] | None:
        """{"error", "message"} of a run that failed and has not been tried again since."""
        file = self.run_folder(run) / "error.json"
        try:
            found = read_json(file)
        except StoreError as error:
            return {"error": "StoreError", "message": str(error)}
        if found is None or (isinstance(found, dict) and {"error", "message"} <= found.keys()):
            return found
        return {"error": "StoreError", "message": f"{self.name_of(file)} tells no error. crosslift run removes it."}

    def write_error(self, run: str, *, error: str, message: str) -> None:
        write_json(self.run_folder(run) / "error.json", {"error": error, "message": message})

    def clear_errors(self, runs: Iterable[str]) -> None:
        """Forget failures, so that the runs are tried again."""
        for run in runs:
            remove(self.run_folder(run) / "error.json")
