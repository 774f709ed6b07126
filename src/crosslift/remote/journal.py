"""Append-only journal of finished requests, so that an interrupted process loses only the requests in flight.

Each reply is written and synced to disk before it is used. An incomplete last line, such as after a power failure, is
dropped when the file is opened again. Requests are identified by content, so identical requests (a greeting, the
description of a tool) are sent and paid for once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from crosslift.fingerprint import fingerprint
from crosslift.system.files import write_text
from crosslift.system.refusals import as_store_error


def request_key(*texts: str) -> str:
    """Compute the key of a request.

    Args:
        *texts: the model and the texts that determine the reply.

    Returns:
        The fingerprint of the arguments.
    """
    return fingerprint(list(texts))


class Journal:
    """A journal file in JSON lines.

    `entries` maps the key of each finished request to its entry.
    """

    def __init__(self, path: Path) -> None:
        """Read the entries of the file, if it exists, and open it for appending."""
        self.path = path
        self.entries, valid, is_whole = _read(path)
        if not is_whole:
            write_text(path, "".join(f"{line}\n" for line in valid))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._refused(error) from error

    @staticmethod
    def read(path: Path) -> dict[str, dict[str, Any]]:
        """Read the entries of a journal without opening it for writing; there are none if it does not exist."""
        return _read(path)[0]

    def add(self, key: str, **entry: Any) -> None:
        """Append a finished request and sync the file to disk.

        Args:
            key: key of the request, from `request_key`.
            **entry: the reply, in JSON types.

        Raises:
            StoreError: the disk is full; earlier entries are intact.
        """
        line = (json.dumps({"key": key, **entry}, ensure_ascii=False) + "\n").encode()
        try:
            while line:  # a write to an almost full disk may be partial
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refused(error) from error
        self.entries[key] = {"key": key, **entry}

    def _refused(self, error: OSError) -> OSError:
        return as_store_error(error, f"{self.path} cannot be written") or error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], list[str], bool]:
    """The entries, their lines, and whether the file has no other lines."""
    entries: dict[str, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    valid = []
    for line in lines:
        try:
            entry = json.loads(line)
            entries[entry["key"]] = entry
            valid.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return entries, valid, len(valid) == len([line for line in lines if line])
