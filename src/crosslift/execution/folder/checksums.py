"""Is a finished step still what was written? Its done-marker lists size and SHA-256 of every file.

Two checks, because a status of 200 runs may not read their checkpoints:

    quick       one stat per file. Another size is damage; with another time of change, a small file is hashed.
    thorough    every file is hashed: where it is read anyway, and by `crosslift verify`.

A thorough check that finds other bytes under an unchanged size and time of change (a failing disk) sets the file's time
of change, so that quick checks see the damage from then on. A JSON file that decides something holds a checksum of
itself in its last line ("sealed"). Markers written before there were checksums list no files: they cannot be verified
and count as whole.
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
"""A training step's folder that may be removed as a whole: a site may say so, to save disk."""
JUDGED = "judged.parquet"
"""Verdicts of judges on the predictions beside it, where any were asked."""

_ADDED_LATER = "recommendation/"
"""In the report's folder; written whenever somebody asks."""

HASHED_BYTES = 16 << 20
"""Larger files are not hashed by a quick check, whatever their time of change: the checkpoints of a study that was
copied elsewhere would take minutes."""

_SEAL = b',\n "checksum": "'
_hashed: dict[tuple[str, int, int], str] = {}
"""(path, size, time of change) -> SHA-256: a process hashes a file once."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that is not what was written."""

    step: str
    """The step that it belongs to, relative to the study: `runs/pocket-m.en.s3/train`. Empty: to the study itself."""
    file: str
    """Relative to the step."""
    what: str
    """A phrase: "is missing", "is 3 bytes and was 1,234"."""
    next: str
    """A sentence: what mends it."""

    def __str__(self) -> str:
        return f"{self.step}/{self.file} {self.what}. {self.next}".removeprefix("/")


# ------------------------------------------------------------------------------------------------------- sealed JSON


def write_sealed(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> str:
    """Write a JSON object with a checksum of itself as last key; returns the first 16 digits of its SHA-256."""
    head = json.dumps(value, ensure_ascii=False, indent=1).removesuffix("\n}")
    text = f'{head},\n "checksum": "{hashlib.sha256(head.encode()).hexdigest()}"\n}}\n'
    write_text(path, text, durable=durable)
    return checksum_of(text.encode())


def checksum_of(text: bytes) -> str:
    """The first 16 digits of the SHA-256."""
    return hashlib.sha256(text).hexdigest()[:16]


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The object without its checksum; None where there is no such file. An object that has none is taken as it is.

    Raises:
        StoreError: the file was changed after it was written, or holds something else.
    """
    text = read_bytes(path)
    if text is None:
        return None
    value = parse_json(path, text)
    if not isinstance(value, dict):
        raise StoreError(f"{path} holds no JSON object. Remove it, and what depends on it is made again.")
    if "checksum" in value:
        head = text.rpartition(_SEAL)[0]
        if hashlib.sha256(head).hexdigest() != value.pop("checksum"):
            raise StoreError(f"{path} was edited or damaged. Remove it, and what depends on it is made again.")
    return value


def read_marker(folder: Path) -> dict[str, Any] | None:
    """A step's done-marker: "fingerprint", "inputs", "outputs", and of newer ones "step" and "files"; None where the
    step is not finished.

    Raises:
        StoreError: it is damaged.
    """
    marker = read_sealed(folder / MARKER)
    if marker is None:
        return None
    kinds = {"fingerprint": str, "inputs": dict, "outputs": dict}
    if not all(isinstance(marker.get(key), kind) for key, kind in kinds.items()):
        raise StoreError(f"{folder / MARKER} is no done-marker. Remove it, and the step is made again.")
    if "files" in marker and not is_table(marker["files"]):
        raise StoreError(f"{folder / MARKER} lists no files. Remove it, and the step is made again.")
    return marker


def is_table(value: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(value, dict) and all(
        isinstance(record, dict) and {"size", "sha256", "mtime_ns"} <= record.keys() for record in value.values()
    )


# ------------------------------------------------------------------------------------------------------------- files


def record_of(path: Path) -> dict[str, Any]:
    """{"size", "sha256", "mtime_ns"} of a file."""
    stat = path.stat()
    # Hashed anew in any case: a file rewritten at once may have the size and time of change that it had before.
    return {"size": stat.st_size, "sha256": _sha256(str(path), stat, anew=True), "mtime_ns": stat.st_mtime_ns}


def records_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative name -> record of every file below a step's folder; markers and hidden files are none of its result."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part[0] == "." for part in name.split("/"))
        if path.is_file() and not hidden and name not in (MARKER, STARTED) and not name.startswith(_ADDED_LATER):
            found[name] = record_of(path)
    return found


def damaged(folder: Path, files: Mapping[str, Mapping[str, Any]], *, thorough: bool = False) -> list[Damage]:
    """The files that are not what the table says.

    Args:
        files: as `records_of` gives them.
        thorough: hash every file, not only small ones whose time of change is another.
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
    """What is damaged of a finished step, by its own marker: that itself, where it is another step's.

    Args:
        names: only these files; None for all that the marker lists.
    """
    if "files" not in marker:
        return _damage_without_table(folder, marker)
    files = marker["files"]
    wanted = files if names is None else {name: files[name] for name in names if name in files}
    found = damaged(folder, wanted, thorough=thorough)
    if found and "step" in marker and not f"/{folder.as_posix()}".endswith(f"/{marker['step']}"):
        return [name_damage(folder, MARKER, f"is that of {marker['step']}")]
    return found


def _damage_without_table(folder: Path, marker: Mapping[str, Any]) -> list[Damage]:
    """Of a step that was finished before there were checksums: an evaluation's marker has always told that of its
    scores. Sizes and times are not known, so those are hashed in any case."""
    sha256 = marker.get("outputs", {}).get("scores")
    if sha256 is None:
        return []
    for name in ("predictions.parquet", "scores.parquet"):
        if not (folder / name).is_file():
            return [name_damage(folder, name, MISSING)]
    file = folder / "scores.parquet"
    if not _sha256(str(file), file.stat()).startswith(sha256):
        return [name_damage(folder, "scores.parquet", "holds other bytes than were written")]
    return []


MISSING = "is missing"


def _what_is_wrong(path: str, record: Mapping[str, Any], *, thorough: bool) -> str:
    """A phrase; empty when the file is whole."""
    try:
        return _compare(path, record, thorough=thorough)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _compare(path: str, record: Mapping[str, Any], *, thorough: bool) -> str:
    stat = os.stat(path)  # noqa: PTH116 - half of the time of Path.stat, thousands of times
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
    return "holds other bytes than were written"


def _sha256(path: str, stat: os.stat_result, *, anew: bool = False) -> str:
    key = (path, stat.st_size, stat.st_mtime_ns)
    if anew or key not in _hashed:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            _hashed[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashed[key]


def forget_hashes() -> None:
    """Let everything be read again, for a check that must not trust this process's memory."""
    _hashed.clear()


def verify_files(folder: Path, names: Iterable[str] | None = None) -> None:
    """Hash files of a finished step before they are used. What its marker does not list cannot be verified.

    Args:
        names: relative to the folder; None for all that the marker lists.

    Raises:
        StoreError: one is damaged; the message names it and says what mends it.
    """
    try:
        marker = read_marker(folder)
    except StoreError as error:
        raise StoreError(str(damage_of(folder, error))) from error
    for damage in step_damage(folder, marker or {}, names=names, thorough=True):
        raise StoreError(str(damage))


# ------------------------------------------------------------------------------------------------------------- words


def damage_of(folder: Path, error: StoreError) -> Damage:
    """What an error says of a file of a folder. Such messages are `<path> <what is wrong>. <what to do>`."""
    file, _, rest = str(error).removeprefix(f"{folder}/").partition(" ")
    return name_damage(folder, file, rest.partition(". ")[0].removesuffix("."))


def name_damage(folder: Path, file: str, what: str) -> Damage:
    """With the step's name and what is to be done, both told from where the folder lies."""
    if folder.parent.name in ("corpora", "tokens", "mixtures"):  # first, for a corpus may be called train
        step, then = "/".join(folder.parts[-2:]), "crosslift run prepares it again"
    elif folder.name == "train" and folder.parent.parent.name == "runs":
        step = "/".join(folder.parts[-3:])
        then = f"Finished evaluations stand; where one is missing, or {step} is removed, crosslift run trains it again"
    elif folder.parent.name == "eval" and folder.parent.parent.parent.name == "runs":
        step = "/".join(folder.parts[-4:])
        then = {
            "scores.parquet": "crosslift run scores the predictions again",
            JUDGED: "Remove it and call crosslift judge, which pays for no reply twice",
        }.get(file, "crosslift run evaluates it again")
    elif folder.parent.name == "runs":
        step, then = "/".join(folder.parts[-2:]), "Remove it; no result stands on it"
        if file == "run.json":
            then = "crosslift run writes it again"
    else:
        step, then = "" if file.startswith(".") else folder.name, "crosslift run writes it again"
    return Damage(step=step, file=file, what=what, next=f"{then}.")
