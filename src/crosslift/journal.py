"""Every answer that was paid for, in a file that only grows: a kill loses the requests in flight and nothing else.

A line is written and synced before its answer is used. A line that a power cut left half is dropped when the file
is opened again. Requests are known by content: what is asked twice (a greeting, a tool's description) is paid once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from crosslift.files import write_text
from crosslift.fingerprint import fingerprint
from crosslift.refusals import as_store_error


def key_of(*asked: str) -> str:
    """A request by what it asks, and of whom."""
    return fingerprint(list(asked))


class Journal:
    """Finished requests by key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        whole = []
        for line in lines:
            try:
                entry = json.loads(line)
                self.known[entry["key"]] = entry
                whole.append(line)
            except (ValueError, KeyError, TypeError):
                continue
        if len(whole) != len([line for line in lines if line]):
            write_text(path, "".join(f"{line}\n" for line in whole))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._refused(error) from error

    def add(self, key: str, **entry: Any) -> None:
        """Keep a finished request, on the disk before this returns.

        Raises:
            StoreError: there is no room for it; what was kept before is kept.
        """
        line = (json.dumps({"key": key, **entry}, ensure_ascii=False) + "\n").encode()
        try:
            while line:  # a disk that is nearly full takes a part
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refused(error) from error
        self.known[key] = {"key": key, **entry}

    def _refused(self, error: OSError) -> OSError:
        return as_store_error(error, f"{self.path} cannot be written") or error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
