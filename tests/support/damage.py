"""Damage to the files of a finished study, for the tests and for benchmarks/faults.py."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

RUN, OTHER = "runs/tiny.en.s0", "runs/tiny.en-sw.s1"
FILES = {  # file -> what another run, corpus or mixture has in its place
    "corpora/train/rows.parquet": "corpora/test/rows.parquet",
    "corpora/train/done.json": "corpora/test/done.json",
    "corpora/test/findings.parquet": "corpora/test/rows.parquet",
    "corpora/test/leaks.parquet": "corpora/test/rows.parquet",
    "tokens/*/ids.npy": "tokens/*/offsets.npy",
    "tokens/*/done.json": "corpora/test/done.json",
    "mixtures/en/examples.parquet": "mixtures/en-sw/examples.parquet",
    "mixtures/en/manifest.json": "mixtures/en-sw/manifest.json",
    "mixtures/en/done.json": "mixtures/en-sw/done.json",
    f"{RUN}/run.json": f"{OTHER}/run.json",
    f"{RUN}/provenance.json": f"{OTHER}/provenance.json",
    f"{RUN}/progress.json": f"{OTHER}/run.json",
    f"{RUN}/train/metrics.parquet": f"{OTHER}/eval/math.en/scores.parquet",
    f"{RUN}/train/checkpoint/seen.txt": f"{OTHER}/train/checkpoint/seen.txt",
    f"{RUN}/train/done.json": f"{OTHER}/train/done.json",
    f"{RUN}/eval/math.es/predictions.parquet": f"{OTHER}/eval/math.es/predictions.parquet",
    f"{RUN}/eval/math.es/scores.parquet": f"{OTHER}/eval/math.es/scores.parquet",
    f"{RUN}/eval/math.sw/judged.parquet": f"{RUN}/eval/math.sw/scores.parquet",
    f"{RUN}/eval/math.es/done.json": f"{OTHER}/eval/math.es/done.json",
    "lock.json": f"{RUN}/run.json",
    "scores.parquet": "runs.parquet",
    "runs.parquet": "scores.parquet",
    ".rebuilt.json": "lock.json",
    ".hashes.json": "lock.json",
    ".finished.json": "lock.json",
    "report/index.html": "study.toml",
}
NEVER_MENDED = ("provenance.json", "judged.parquet", "train/metrics.parquet", "seen.txt", "train/done.json")
"""Named only: no number of the study stands on it, or making it again costs more than it gives."""


def truncated(file: Path, other: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path, other: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 2] ^= 4
    file.write_bytes(text)


def rotted(file: Path, other: Path) -> None:
    """As a failing disk does it: the time of change stays."""
    stat = file.stat()
    flipped(file, other)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def emptied(file: Path, other: Path) -> None:
    file.write_bytes(b"")


def removed(file: Path, other: Path) -> None:
    file.unlink()


def swapped(file: Path, other: Path) -> None:
    shutil.copyfile(other, file)


def folder_instead(file: Path, other: Path) -> None:
    file.unlink()
    file.mkdir()


def list_instead(file: Path, other: Path) -> None:
    file.write_text("[1]\n")


def empty_object(file: Path, other: Path) -> None:
    file.write_text("{}\n")


def numbers_instead(file: Path, other: Path) -> None:
    """Of the right keys, and without a checksum of itself."""
    file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), 1)).replace('"checksum"', '"other"'))


ANY = (truncated, flipped, rotted, emptied, removed, swapped, folder_instead)
OF_JSON = (list_instead, empty_object, numbers_instead)


def damage(folder: Path, chance: random.Random) -> None:
    """Damage one to three files that `crosslift run` restores.

    Args:
        folder: a finished study.
        chance: chooses the files and the kinds of damage.
    """
    restored = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.parts[len(folder.parts)] in ("corpora", "tokens", "mixtures", "runs", "lock.json", "scores.parquet")
        and not path.as_posix().endswith((*NEVER_MENDED, "log.txt", ".hashes.json", ".finished.json"))
        and "checkpoint" not in path.parts
    )
    kinds = (truncated, flipped, rotted, emptied, removed, swapped)
    for path in chance.sample(restored, chance.randint(1, 3)):
        alike = [other for other in restored if other.name == path.name and other != path] or restored
        if path.is_file():
            chance.choice(kinds)(path, chance.choice(alike))
