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
      report/                                 index.html, estimates.parquet, tables/, figures/
      logs/                                   what workers say between runs
      judgements/<evaluation>.jsonl           every reply of a judge

`lock.json` names the runs that belong to the study. A folder in `runs/` that it does not name was left by an earlier
form of the study and is never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError
from crosslift.files import atomic_write, read_json, write_json

if TYPE_CHECKING:  # a restart with nothing to do reads no table, and polars takes a tenth of its time
    import polars as pl

ROW_GROUP = 1 << 17
JUDGED = "judged.parquet"
"""Verdicts of judges on the predictions beside it, where any were asked."""


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

    # ---------------------------------------------------------------------------------------------------- what is read

    def runs(self) -> pl.DataFrame:
        """All runs of the study, done or not, in its order; columns as in `scores.RUNS`.

        Raises:
            StoreError: the study has not been prepared.
        """
        import polars as pl

        from crosslift.scores import RUNS

        records = [read_json(self.run_folder(run) / "run.json") for run in self.lock()["runs"]]
        rows = [[record["factors"][column] for column in RUNS] for record in records if record is not None]
        return pl.DataFrame(rows, schema=RUNS, orient="row")

    def scores(self) -> pl.DataFrame:
        """Every score and verdict of every finished evaluation, in the study's order; columns as in `scores.SCORES`.

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
        done = [folder for folder in folders if (folder / "done.json").is_file()]
        files = [file for folder in done for file in (folder / "scores.parquet", folder / JUDGED)]
        tables = [read_table(file) for file in files if file.name != JUDGED or file.is_file()]
        return pl.concat([pl.DataFrame(schema=SCORES), *tables])

    def predictions(self, run: str, evaluation: str, language: str) -> pl.DataFrame:
        """What the model wrote; columns as in `scores.PREDICTIONS`.

        Raises:
            StoreError: it has not been evaluated yet.
        """
        return read_table(self.evaluation_folder(run, evaluation, language) / "predictions.parquet")

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Mixture -> manifest, for the mixtures that the study's runs use.

        Raises:
            StoreError: the study has not been prepared.
        """
        names = dict.fromkeys(record["mixture"] for record in self.lock()["runs"].values())
        found = {name: read_json(self.mixture_folder(name) / "manifest.json") for name in names if name != "base"}
        return {name: manifest for name, manifest in found.items() if manifest is not None}

    def training_metrics(self, run: str) -> pl.DataFrame:
        """Losses of a trained run; columns as in `training.trainer.METRICS`.

        Raises:
            StoreError: it has not been trained yet.
        """
        return read_table(self.train_folder(run) / "metrics.parquet")

    def provenance(self, run: str) -> dict[str, Any]:
        """{"train": {"seconds", "num_tokens", "precision"}, "evaluate": {"seconds"}, "environment": {...}}; empty where
        nothing of the run has been finished yet."""
        return read_json(self.run_folder(run) / "provenance.json") or {}

    def lock(self) -> dict[str, Any]:
        """lock.json: {"corpora", "models", "tasks", "runs"}.

        Raises:
            StoreError: the study has not been prepared.
        """
        lock: dict[str, Any] | None = read_json(self.lock_file)
        if lock is None:
            raise StoreError(f"{self.folder} has not been prepared. Run: crosslift prepare {self.folder}")
        return lock

    def has_results(self, run: str) -> bool:
        """Has anything of the run been trained or evaluated?"""
        folder = self.run_folder(run)
        return (folder / "train" / "done.json").is_file() or any(folder.glob("eval/*/done.json"))

    def unknown_runs(self) -> list[str]:
        """Folders in runs/ that the study does not name any more."""
        known = self.lock()["runs"]
        found = (self.folder / "runs").glob("*/")
        return sorted(folder.name for folder in found if folder.name not in known)

    # ------------------------------------------------------------------------------------------------------ where it is

    def corpus_folder(self, corpus: str) -> Path:
        return self.folder / "corpora" / corpus

    def findings(self, corpus: str) -> pl.DataFrame:
        """What its checks found, leaks into it among them; columns as in corpora.findings.FINDINGS."""
        import polars as pl

        from crosslift.corpora.findings import FINDINGS

        files = (self.corpus_folder(corpus) / f"{name}.parquet" for name in ("findings", "leaks"))
        return pl.concat([pl.DataFrame(schema=FINDINGS), *(read_table(file) for file in files if file.is_file())])

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
        if read_json(self.lock_file) != lock:
            write_json(self.lock_file, lock)

    def write_run(self, run: str, *, fingerprint: str, factors: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """`factors`: one value per column of `scores.RUNS`; `identity`: what the fingerprint was made of."""
        record = {"fingerprint": fingerprint, "factors": dict(factors), "identity": dict(identity)}
        write_json(self.run_folder(run) / "run.json", record, durable=False)

    def error(self, run: str) -> dict[str, Any] | None:
        """{"error", "message"} of a run that failed and has not been tried again since."""
        found: dict[str, Any] | None = read_json(self.run_folder(run) / "error.json")
        return found

    def write_error(self, run: str, *, error: str, message: str) -> None:
        write_json(self.run_folder(run) / "error.json", {"error": error, "message": message})

    def clear_errors(self, runs: Iterable[str]) -> None:
        """Forget failures, so that the runs are tried again."""
        for run in runs:
            (self.run_folder(run) / "error.json").unlink(missing_ok=True)


def read_table(path: Path) -> pl.DataFrame:
    """A Parquet file in memory.

    Raises:
        StoreError: there is no such file.
    """
    import polars as pl

    if not path.is_file():
        raise StoreError(f"{path} does not exist yet. Run: crosslift run, or see: crosslift status")
    return pl.read_parquet(path, memory_map=False)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file in one step; a done-marker behind it waits for the disk. Equal tables give equal bytes: one
    chunk, fixed row groups."""
    with atomic_write(path, durable=False) as temporary:
        table.rechunk().write_parquet(temporary, compression="zstd", row_group_size=ROW_GROUP)
