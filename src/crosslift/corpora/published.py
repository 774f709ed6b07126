"""Common code of the readers of published data sets, which read the files that the authors released.

Data sets are read from local files as published. Every reader checks the known number of items, because an incomplete
download would otherwise result in a smaller corpus and wrong results.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.languages.numbers.notation import parse, write
from crosslift.untrusted.json_text import parse_json

MAX_SHOWN = 10
"""Problems reported per file; further ones are only counted."""


def find_file(source: Source, *names: str, folder: Path | None = None) -> Path:
    """Find a file of a data set.

    Args:
        source: Specification of the corpus.
        names: Alternative names, relative to the folder. The first existing file is returned.
        folder: Folder of the files; None means the path of the corpus.

    Raises:
        CorpusError: The path is missing, or none of the files exists.
    """
    folder = folder or source.path
    if folder is None:
        raise CorpusError(f"{source.place}: reader '{source.reader}' reads a folder. Add path = \"...\".")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CorpusError(
        f"{source.place}: the folder has no {' or '.join(names)}. Download the data set into it, or correct the path."
    )


def choose_split(source: Source, *known: str) -> str:
    """Return the split of the corpus.

    Args:
        source: Specification of the corpus.
        known: Splits of the data set.

    Raises:
        CorpusError: The data set does not have this split.
    """
    if source.split not in known:
        raise CorpusError(
            f"{source.place}: the data set has no split '{source.split}'. Known: {', '.join(known)}. Change split."
        )
    return source.split


def read_lines(source: Source, file: Path) -> list[str]:
    """Read the lines of a UTF-8 file.

    Lines are split at line feeds only, because `str.splitlines` also splits at U+2028, which may occur inside a text.

    Raises:
        CorpusError: The file cannot be read or is not UTF-8.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise CorpusError(
            f"{source.place}, {file.name}: cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{source.place}, {file.name}, line {line}: is not UTF-8. Download the file again."
        ) from error
    return text.removesuffix("\n").split("\n") if text else []


class Problems:
    """Collection of the problems of one file, which are raised together."""

    def __init__(self, source: Source, file: Path) -> None:
        self._place = f"{source.place}, {file.name}"
        self._found: list[str] = []

    def add(self, number: int, what: str, *, unit: str = "line") -> None:
        """Record a problem of one line.

        Args:
            number: Number of the line or item, from 1.
            what: Problem and remedy.
            unit: "line", "item" or "sentence".
        """
        self._found.append(f"{self._place}, {unit} {number}: {what}")

    def whole(self, what: str) -> None:
        """Record a problem of the whole file."""
        self._found.append(f"{self._place}: {what}")

    def stop(self) -> None:
        """Raise all recorded problems.

        Raises:
            CorpusError: At least one problem was recorded.
        """
        if self._found:
            more = len(self._found) - MAX_SHOWN
            rest = [f"{self._place}: {more} more problems."] if more > 0 else []
            raise CorpusError("\n".join(self._found[:MAX_SHOWN] + rest))


def read_objects(source: Source, file: Path, lines: Sequence[str], keys: Sequence[str]) -> list[dict[str, str]]:
    """Parse lines of JSON objects.

    Args:
        source: Specification of the corpus.
        file: The file, for messages.
        lines: Its lines.
        keys: Required keys, whose values must be non-empty strings.

    Returns:
        One dictionary per line, with exactly these keys.

    Raises:
        CorpusError: Some lines are invalid. The error lists them with their numbers.
    """
    problems = Problems(source, file)
    objects: list[dict[str, str]] = []
    for number, line in enumerate(lines, start=1):
        try:
            found = parse_json(line)
        except ValueError as error:
            problems.add(number, f"is not JSON ({error}). Download the file again.")
            continue
        if wrong := unknown_keys(found, keys):
            problems.add(number, wrong)
        else:
            objects.append({key: found[key] for key in keys})
    problems.stop()
    return objects


def unknown_keys(found: Any, keys: Sequence[str]) -> str:
    """Return why a value is not an object with non-empty strings under these keys, or "" if it is one."""
    if not isinstance(found, dict):
        return "is not an object in { }. Download the file again."
    wrong = [key for key in keys if not isinstance(found.get(key), str) or not found[key].strip()]
    return f"{', '.join(wrong)} must be a text. Download the file again." if wrong else ""


def plain_number(text: str) -> str | None:
    """Normalise a gold number: "2,125" -> "2125". Return None if the text is not a number."""
    try:
        return write(parse(text))
    except ValueError:
        return None


def message(question: str, answer: str) -> list[dict[str, str]]:
    """Return a conversation with one question and one answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def build(
    source: Source,
    rows: list[dict[str, Any]],
    files: Sequence[Path],
    *,
    licence: str,
    notes: Sequence[str] = (),
    hub: str | None = None,
) -> ParallelCorpus:
    """Build the corpus of a published data set.

    Args:
        source: Specification of the corpus.
        rows: Rows with the keys of `ROWS`.
        files: The files that were read. A hash of their content is the revision, unless `hub` is given.
        licence: Licence of the data set.
        notes: Notes of the reader.
        hub: "owner/name@commit" if the files come from the hub.

    Returns:
        The validated corpus.

    Raises:
        CorpusError: The rows are not parallel, or the revision differs from the one in the study file.
    """
    revision = hub or revision_of(source, files)
    return ParallelCorpus.build(
        source, pl.DataFrame(rows, schema=ROWS), licence=licence, revision=revision, notes=notes
    )


def revision_of(source: Source, files: Sequence[Path]) -> str:
    """Return the hash of the content of files.

    Raises:
        CorpusError: The hash differs from the revision in the study file.
    """
    revision = f"sha256:{fingerprint([fingerprint_file(file) for file in files])}"
    if source.revision not in (None, revision):
        raise CorpusError(
            f"{source.place}: its content is {revision} but the study file requires {source.revision}. Restore the "
            "old files, or change revision."
        )
    return revision
