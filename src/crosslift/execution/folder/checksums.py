"""Integrity of finished steps: the done-marker of a step lists the size and SHA-256 of every file.

There are two checks, because the status of 200 runs must not read their checkpoints:

    quick       one stat per file. A different size is damage; a small file with a different mtime is hashed.
    thorough    every file is hashed; used where the file is read anyway, and by `crosslift verify`.

If a thorough check finds different content under an unchanged size and mtime (a failing disk), it updates the file's
mtime, so that subsequent quick checks detect the damage. JSON files on which decisions depend contain a checksum of
themselves in their last line ("sealed"). Markers written by versions without checksums list no files; they cannot be
verified and are considered intact.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from crosslift.errors import StoreError
from crosslift.system.files import parse_json, read_bytes, write_text

MARKER = "done.json"
STARTED = "started.json"
CHECKPOINT = "checkpoint"
"""Folder of a training step that may be removed entirely; a site can request this to save disk space."""
JUDGED = "judged.parquet"
"""Optional verdicts of a judge on the predictions in the same folder."""

_ADDED_LATER = "recommendation/"
"""Part of the report's folder that is written on request, after the step is finished."""

HASHED_BYTES = 16 << 20
"""Maximum size in bytes of files that a quick check hashes. Hashing the checkpoints of a study that was copied, and
therefore has new mtimes, would take minutes."""

_SEAL = b',\n "checksum": "'
_hashed: dict[tuple[str, int, int], str] = {}
"""(path, size, mtime) -> SHA-256: each process hashes a file once."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file whose content differs from what was written."""

    step: str
    """Step of the file, relative to the study: `runs/pocket-m.en.s3/train`. Empty: a file of the study itself."""
    file: str
    """Path relative to the step."""
    what: str
    """Predicate of the message: "is missing", "is 3 bytes and was 1,234"."""
    next: str
    """Remedy, as a sentence."""

    def __str__(self) -> str:
        return f"{self.step}/{self.file} {self.what}. {self.next}".removeprefix("/")


# ------------------------------------------------------------------------------------------------------- sealed JSON


def write_sealed(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> str:
    """Write a JSON object atomically, with a checksum of itself as the last key.

    Args:
        path: the file.
        value: the object; must not have the key `checksum`.
        durable: sync the file to disk (see `atomic_write`).

    Returns:
        The first 16 hexadecimal digits of the file's SHA-256.
    """
    head = json.dumps(value, ensure_ascii=False, indent=1).removesuffix("\n}")
    text = f'{head},\n "checksum": "{hashlib.sha256(head.encode()).hexdigest()}"\n}}\n'
    write_text(path, text, durable=durable)
    return checksum_of(text.encode())


def checksum_of(text: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(text).hexdigest()[:16]


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Read a sealed JSON object and verify its checksum. An object without a checksum is accepted.

    Args:
        path: the file.

    Returns:
        The object without its checksum; None if the file does not exist.

    Raises:
        StoreError: the file was changed after it was written, or does not hold a JSON object.
    """
    text = read_bytes(path)
    if text is None:
        return None
    value = parse_json(path, text)
    if not isinstance(value, dict):
        raise StoreError(
            f"{path} is not a JSON object. Remove it; the results that depend on it will be created again."
        )
    if "checksum" in value:
        head = text.rpartition(_SEAL)[0]
        if hashlib.sha256(head).hexdigest() != value.pop("checksum"):
            raise StoreError(
                f"{path} was edited or damaged. Remove it; the results that depend on it will be created again."
            )
    return value


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Read the done-marker of a step.

    Args:
        folder: the step's folder.

    Returns:
        The keys "fingerprint", "inputs" and "outputs", and "step" and "files" in markers with checksums; None if the
        step is not finished.

    Raises:
        StoreError: the marker is damaged.
    """
    marker = read_sealed(folder / MARKER)
    if marker is None:
        return None
    kinds = {"fingerprint": str, "inputs": dict, "outputs": dict}
    if not all(isinstance(marker.get(key), kind) for key, kind in kinds.items()):
        raise StoreError(f"{folder / MARKER} is not a done-marker. Remove it; the step will be run again.")
    if "files" in marker and not is_table(marker["files"]):
        raise StoreError(f"{folder / MARKER} has an invalid list of files. Remove it; the step will be run again.")
    return marker


def is_table(value: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Return whether a value has the form of `records_of`."""
    return isinstance(value, dict) and all(
        isinstance(record, dict) and {"size", "sha256", "mtime_ns"} <= record.keys() for record in value.values()
    )


# ------------------------------------------------------------------------------------------------------------- files


def record_of(path: Path) -> dict[str, Any]:
    """Return {"size", "sha256", "mtime_ns"} of a file: size in bytes, hash, and modification time in nanoseconds."""
    stat = path.stat()
    # Always hashed again: a file that is rewritten quickly may keep its size and mtime.
    return {"size": stat.st_size, "sha256": _sha256(str(path), stat, refresh=True), "mtime_ns": stat.st_mtime_ns}


def records_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Record every file below a step's folder, except markers and hidden files.

    Args:
        folder: the step's folder.

    Returns:
        Relative name -> record as in `record_of`.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part[0] == "." for part in name.split("/"))
        if path.is_file() and not hidden and name not in (MARKER, STARTED) and not name.startswith(_ADDED_LATER):
            found[name] = record_of(path)
    return found


def damaged(folder: Path, files: Mapping[str, Mapping[str, Any]], *, thorough: bool = False) -> list[Damage]:
    """Find the files that differ from their records. A removed checkpoint folder is not damage.

    Args:
        folder: the step's folder.
        files: the result of `records_of`.
        thorough: hash every file, not only small files whose mtime differs.

    Returns:
        One entry per damaged file.
    """
    found = []
    for name, record in files.items():
        what = _what_is_wrong(f"{folder}/{name}", record, thorough=thorough)
        if what and not (what == MISSING and name.startswith(f"{CHECKPOINT}/") and not (folder / CHECKPOINT).exists()):
            found.append(name_damage(folder, name, what))
    return found


def step_damage(
    folder: Path, marker: Mapping[str, Any], *, names: Iterable[str] | None = None, thorough: bool = False
) -> list[Damage]:
    """Find the damaged files of a finished step. If the marker belongs to another step, the marker is the damage.

    Args:
        folder: the step's folder.
        marker: the step's done-marker.
        names: files to check, relative to the folder; None for all files of the marker.
        thorough: hash every file, not only small files whose mtime differs.

    Returns:
        One entry per damaged file.
    """
    if "files" not in marker:
        return _damage_without_table(folder, marker)
    files = marker["files"]
    wanted = files if names is None else {name: files[name] for name in names if name in files}
    found = damaged(folder, wanted, thorough=thorough)
    if found and "step" in marker and not f"/{folder.as_posix()}".endswith(f"/{marker['step']}"):
        return [name_damage(folder, MARKER, f"belongs to {marker['step']}")]
    return found


def _damage_without_table(folder: Path, marker: Mapping[str, Any]) -> list[Damage]:
    """Check a step whose marker lists no files. Markers of evaluations have always stored the hash of the scores;
    sizes and mtimes are unknown, so the scores are always hashed."""
    sha256 = marker.get("outputs", {}).get("scores")
    if sha256 is None:
        return []
    for name in ("predictions.parquet", "scores.parquet"):
        if not (folder / name).is_file():
            return [name_damage(folder, name, MISSING)]
    file = folder / "scores.parquet"
    if not _sha256(str(file), file.stat()).startswith(sha256):
        return [name_damage(folder, "scores.parquet", DIFFERENT)]
    return []


MISSING = "is missing"
DIFFERENT = "does not match its checksum"


def _what_is_wrong(path: str, record: Mapping[str, Any], *, thorough: bool) -> str:
    """Return a predicate such as `is missing`; empty if the file is intact."""
    try:
        return _compare(path, record, thorough=thorough)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _compare(path: str, record: Mapping[str, Any], *, thorough: bool) -> str:
    stat = os.stat(path)  # noqa: PTH116 - takes half the time of Path.stat and is called thousands of times
    if stat.st_size != record["size"]:
        return f"is {stat.st_size:,} bytes and was {record['size']:,}"
    unchanged = stat.st_mtime_ns == record["mtime_ns"]
    known = _hashed.get((path, stat.st_size, stat.st_mtime_ns))
    if known is None and not thorough and (unchanged or stat.st_size > HASHED_BYTES):
        return ""
    if (known or _sha256(path, stat)) == record["sha256"]:
        return ""
    if unchanged:
        with contextlib.suppress(OSError):
            os.utime(path)
    return DIFFERENT


def _sha256(path: str, stat: os.stat_result, *, refresh: bool = False) -> str:
    key = (path, stat.st_size, stat.st_mtime_ns)
    if refresh or key not in _hashed:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            _hashed[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashed[key]


def forget_hashes() -> None:
    """Clear this process's hash cache, so that a subsequent check reads every file again."""
    _hashed.clear()


def verify_files(folder: Path, names: Iterable[str] | None = None) -> None:
    """Verify files of a finished step by their hashes before they are used. Unlisted files cannot be verified.

    Args:
        folder: the step's folder.
        names: files to check, relative to the folder; None for all files of the marker.

    Raises:
        StoreError: a file is damaged; the message contains the remedy.
    """
    try:
        marker = read_marker(folder)
    except StoreError as error:
        raise StoreError(str(damage_of(folder, error))) from error
    for damage in step_damage(folder, marker or {}, names=names, thorough=True):
        raise StoreError(str(damage))


# ----------------------------------------------------------------------------------------------------------- messages


def damage_of(folder: Path, error: StoreError) -> Damage:
    """Convert the error of a damaged file into a `Damage`.

    Args:
        folder: the step's folder.
        error: an error with a message of the form `<path> <predicate>. <remedy>`.

    Returns:
        The damage.
    """
    file, _, rest = str(error).removeprefix(f"{folder}/").partition(" ")
    return name_damage(folder, file, rest.partition(". ")[0].removesuffix("."))


def name_damage(folder: Path, file: str, what: str) -> Damage:
    """Describe a damaged file; the step's name and the remedy follow from the location of the folder.

    Args:
        folder: the step's folder.
        file: the file, relative to the folder.
        what: predicate of the message, such as `is missing`.

    Returns:
        The damage.
    """
    if folder.parent.parent.name == "earlier":
        step, then = (
            "/".join(folder.parts[-3:]),
            "It belongs to an earlier definition; if asked for again, it is run again",
        )
    elif folder.parent.name in ("corpora", "tokens", "mixtures"):  # first, because a corpus may be called train
        step, then = "/".join(folder.parts[-2:]), "crosslift run prepares it again"
    elif folder.name == "train" and folder.parent.parent.name == "runs":
        step = "/".join(folder.parts[-3:])
        then = f"Finished evaluations remain valid; crosslift run trains again if one is missing or {step} is removed"
    elif folder.parent.name == "eval" and folder.parent.parent.parent.name == "runs":
        step = "/".join(folder.parts[-4:])
        then = {
            "scores.parquet": "crosslift run scores the predictions again",
            JUDGED: "Remove it and run crosslift judge, which reuses the replies",
        }.get(file, "crosslift run evaluates it again")
    elif folder.parent.name == "runs":
        step, then = "/".join(folder.parts[-2:]), "Remove it; no result depends on it"
        if file == "run.json":
            then = "crosslift run writes it again"
    else:
        step, then = "" if file.startswith(".") else folder.name, "crosslift run writes it again"
    return Damage(step=step, file=file, what=what, next=f"{then}.")
