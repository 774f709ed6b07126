"""Published data sets in the files that their authors released: what their readers share.

The sets lie where the user put them and are read as published. Every reader checks the counts that its set is known to
have: a download that stopped half-way is otherwise a smaller corpus and a wrong result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.languages.notation import parse, write
from crosslift.untrusted.json_text import parse_json

MAX_SHOWN = 10
"""Problems that are shown per file; their number is always told."""


def find_file(source: Source, *names: str, folder: Path | None = None) -> Path:
    """The file of that name in the folder, or below the corpus's path; of several names the first that exists.

    Raises:
        CorpusError: no path, or none of the files.
    """
    folder = folder or source.path
    if folder is None:
        raise CorpusError(f"{source.place}: reader '{source.reader}' reads a folder. Say which: path = \"...\".")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CorpusError(
        f"{source.place}: the folder holds no {' and no '.join(names)}. Download the set into it, or correct the path."
    )


def choose_split(source: Source, *known: str) -> str:
    """The split that was asked for.

    Raises:
        CorpusError: the set does not have it.
    """
    if source.split not in known:
        raise CorpusError(
            f"{source.place}: there is no split '{source.split}' in this set. Known: {', '.join(known)}. Change split."
        )
    return source.split


def read_lines(source: Source, file: Path) -> list[str]:
    """The lines of a UTF-8 file. Split at line feeds only: `str.splitlines` also splits at U+2028 inside a text.

    Raises:
        CorpusError: it cannot be read or is not UTF-8.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise CorpusError(f"{source.place}, {file.name}: cannot be read: {error.strerror}. Correct it.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{source.place}, {file.name}, line {line}: is not UTF-8. Download the file again."
        ) from error
    return text.removesuffix("\n").split("\n") if text else []


class Problems:
    """What is wrong with one file, line by line, to be raised at once."""

    def __init__(self, source: Source, file: Path) -> None:
        self._place = f"{source.place}, {file.name}"
        self._found: list[str] = []

    def add(self, number: int, what: str, *, unit: str = "line") -> None:
        """Note a problem in a line (or item), counted from 1."""
        self._found.append(f"{self._place}, {unit} {number}: {what}")

    def whole(self, what: str) -> None:
        """Note a problem of the file as a whole."""
        self._found.append(f"{self._place}: {what}")

    def stop(self) -> None:
        """Raise CorpusError where anything was noted."""
        if self._found:
            more = len(self._found) - MAX_SHOWN
            rest = [f"{self._place}: {more} more problems."] if more > 0 else []
            raise CorpusError("\n".join(self._found[:MAX_SHOWN] + rest))


def read_objects(source: Source, file: Path, lines: Sequence[str], keys: Sequence[str]) -> list[dict[str, str]]:
    """JSON objects, one per line, of which these keys are texts.

    Raises:
        CorpusError: each bad line with its number.
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
    """Why this is not an object in which these keys are texts that are not empty; "" where it is."""
    if not isinstance(found, dict):
        return "is not an object in { }. Download the file again."
    wrong = [key for key in keys if not isinstance(found.get(key), str) or not found[key].strip()]
    return f"{', '.join(wrong)} must be a text. Download the file again." if wrong else ""


def plain_number(text: str) -> str | None:
    """A gold number without group marks, "2,125" -> "2125"; None where the text is no number."""
    try:
        return write(parse(text))
    except ValueError:
        return None


def message(question: str, answer: str) -> list[dict[str, str]]:
    """A conversation of one question and one answer."""
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
    """The corpus; its revision is the content of its files, or `hub` ("owner/name@commit") where they come from there.

    Raises:
        CorpusError: the rows are not parallel, or the files are not those that the study asks for.
    """
    revision = hub or revision_of(source, files)
    return ParallelCorpus.build(
        source, pl.DataFrame(rows, schema=ROWS), licence=licence, revision=revision, notes=notes
    )


def revision_of(source: Source, files: Sequence[Path]) -> str:
    """Hash of the files' content.

    Raises:
        CorpusError: it is not the revision that the study asks for.
    """
    revision = f"sha256:{fingerprint([fingerprint_file(file) for file in files])}"
    if source.revision not in (None, revision):
        raise CorpusError(
            f"{source.place}: its content is {revision} and the study asks for {source.revision}. Bring the old files "
            "back, or change revision."
        )
    return revision
