"""Checkpoints of `SFTTrainer` from which an interrupted run resumes.

The trainer writes a folder of several files, not atomically. A marker that is written last makes it valid: it holds the
identity of the request, the sums of the metrics, and a checksum of every file. Folders without a valid marker, or of
another request, are removed.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from crosslift.fingerprint import fingerprint_file
from crosslift.system.files import remove, write_json
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.state import SaveInterval, request_fingerprint

MARKER = "resume.json"
_UNUSED = ("training_args.bin", "README.md")
"""Files that resuming does not read; the first is a pickle that contains the path of the folder."""

log = logging.getLogger(__name__)


class SavedCheckpoints:
    """Marks and finds the checkpoints of one request.

    Args:
        request: the request.
        folder: the trainer's output folder.
    """

    def __init__(self, request: TrainingRequest, folder: Path) -> None:
        self._folder = folder
        self._identity = request_fingerprint(request)
        self._interval = SaveInterval(request.save_seconds)

    def is_due(self) -> bool:
        """Whether the save interval has passed."""
        return self._interval.is_due()

    def mark(self, checkpoint: Path, step: int, content: dict[str, Any], *, started: float) -> None:
        """Make a checkpoint valid and remove all others.

        Args:
            checkpoint: its folder.
            step: completed steps.
            content: a JSON value to restore.
            started: `time.monotonic()` before the trainer began to write.
        """
        for name in _UNUSED:
            (checkpoint / name).unlink(missing_ok=True)
        said = {"identity": self._identity, "step": step, "files": _checksums(checkpoint), "content": content}
        write_json(checkpoint / MARKER, said)
        for other in self._folder.iterdir():
            if other != checkpoint:
                remove(other)
        self._interval.saved(started=started)

    def find(self) -> tuple[Path, int, dict[str, Any]] | None:
        """Find the newest valid checkpoint of this request, and remove all others.

        Returns:
            Its folder, the completed steps and the JSON value; None if there is none.
        """
        found = [one for folder in self._folder.glob("*/") if (one := self._read(folder)) is not None]
        found.sort(key=lambda one: one[1])
        chosen = found[-1] if found else None
        for folder in self._folder.glob("*"):
            if chosen is None or folder != chosen[0]:
                remove(folder)
        return chosen

    def _read(self, checkpoint: Path) -> tuple[Path, int, dict[str, Any]] | None:
        try:
            said = json.loads((checkpoint / MARKER).read_bytes())
            if said["identity"] != self._identity:
                return None
            if said["files"] != _checksums(checkpoint):
                log.warning("%s is damaged; the training does not resume from it", checkpoint.name)
                return None
            return checkpoint, int(said["step"]), said["content"]
        except FileNotFoundError:  # the process was killed while the trainer wrote
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s of %s is damaged (%s)", MARKER, checkpoint.name, error)
            return None


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MARKER)
    return {file.relative_to(folder).as_posix(): fingerprint_file(file) for file in files}
