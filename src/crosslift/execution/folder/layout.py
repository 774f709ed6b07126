"""The layout of a study's folder, which only this module defines.

    STUDY/
      study.toml                              declaration of the study
      lock.json                               revisions of corpora, models and tasks; fingerprint of every run
      corpora/<corpus>/                       rows.parquet, done.json
      tokens/<corpus>.<tokenizer>/            ids.npy, offsets.npy, prompt_lengths.npy, completion_bytes.npy, done.json
      mixtures/<mixture>/                     examples.parquet, manifest.json, done.json
      runs/<run>/                             run.json, provenance.json, progress.json, log.txt, error.json, leases
        train/                                checkpoint/, metrics.parquet, done.json
        eval/<evaluation>.<language>/         predictions.parquet, scores.parquet, done.json; judged.parquet
      runs.parquet, scores.parquet            rebuilt from runs/ at any time
      report/                                 index.html, estimates.parquet, tables/, figures/, done.json
      logs/                                   output of workers between runs; finished/, failed-workers/, slurm/
      queue.json                              what was given to a scheduler
      .finished.json                          finished runs that status has verified
      earlier/<kind>/<fingerprint>/           results of earlier definitions of the study (see `earlier`)
      definitions/<number>/                   study.toml and lock.json of every definition that had results
      trackers/<tracker>/                     files of the trackers of the site
      judgements/<evaluation>.jsonl           every reply of a judge
      exploration/<number>.json               every decision of an exploration (see `exploring.journal`)

Names are those of the present definition: `lock.json` lists its runs, and `runs/` holds no others.
"""

from __future__ import annotations

from pathlib import Path

from crosslift.execution.folder import earlier

DEFINITIONS = "definitions"
"""Folder of all definitions that had results."""


class Layout:
    """The folders and files of one study.

    Args:
        folder: the folder of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report_folder = folder / "report"
        self.logs_folder = folder / "logs"
        self.finished_folder = folder / "logs" / "finished"
        self.trackers_folder = folder / "trackers"
        self.lock_file = folder / "lock.json"
        self.hashes_file = folder / ".hashes.json"
        self.runs_file = folder / "runs.parquet"
        self.scores_file = folder / "scores.parquet"

    def corpus_folder(self, corpus: str) -> Path:
        """Return the folder of a prepared corpus."""
        return self.folder / "corpora" / corpus

    def tokens_folder(self, corpus: str, tokenizer: str) -> Path:
        """Return the folder of a tokenised corpus, which models that tokenise identically share.

        Args:
            corpus: the corpus.
            tokenizer: fingerprint of tokenizer and template.
        """
        return self.folder / "tokens" / f"{corpus}.{tokenizer[:8]}"

    def mixture_folder(self, mixture: str) -> Path:
        """Return the folder of a mixture."""
        return self.folder / "mixtures" / mixture

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run."""
        return self.folder / f"runs/{run}"  # one join, because these are called for every run

    def train_folder(self, run: str) -> Path:
        """Return the folder of a run's training step."""
        return self.folder / f"runs/{run}/train"

    def checkpoint_folder(self, run: str) -> Path:
        """Return the folder of a run's checkpoint."""
        return self.train_folder(run) / "checkpoint"

    def evaluation_folder(self, run: str, evaluation: str, language: str) -> Path:
        """Return the folder of a run's evaluation step."""
        return self.folder / f"runs/{run}/eval/{evaluation}.{language}"

    def earlier_folder(self, kind: str) -> Path:
        """Return the folder of the results of earlier definitions of one kind, see `earlier.KINDS`."""
        return self.folder / earlier.FOLDER / kind

    @property
    def definitions_folder(self) -> Path:
        """Return the folder of all definitions that had results."""
        return self.folder / DEFINITIONS

    def is_earlier(self, folder: Path) -> bool:
        """Return whether a step's folder is among the results of earlier definitions."""
        return folder.is_relative_to(self.folder / earlier.FOLDER)

    def name_of(self, folder: Path) -> str:
        """Return the name of a folder for messages, relative to the study: `runs/pocket-m.en.s3/train`."""
        return folder.as_posix().removeprefix(f"{self.folder.as_posix()}/")
