"""Data sets of the Hugging Face hub, and local folders that hold the same files.

A reader with a HUB reads that data set where the study gives no `path`: at `revision`, a commit or a branch, or else as
it is now. What was read is kept in the study's folder and its commit in lock.json, so a study never changes under way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.published import revision_of

_COMMIT = re.compile(r"@([0-9a-f]{40})/")


def folder(source: Source, hub: str, patterns: Sequence[str]) -> tuple[Path, str | None]:
    """Where the files lie: the study's path, or a snapshot of the data set with the files that match.

    Returns:
        The folder, and "owner/name@commit" for a snapshot.

    Raises:
        CorpusError: it cannot be downloaded.
    """
    if source.path is not None:
        return source.path, None
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CorpusError(_no_package(source, hub)) from error
    try:
        found = snapshot_download(hub, repo_type="dataset", revision=_branch(source), allow_patterns=list(patterns))
    except OSError as error:  # unknown name, unknown revision, gated, no network: all are OSErrors
        raise CorpusError(_unreachable(source, hub, error)) from error
    return Path(found), f"{hub}@{Path(found).name}"


def table(
    source: Source, hub: str, *, part: str | None = None, split: str, default: str | None = None
) -> tuple[Any, str]:
    """A split as a `datasets.Dataset`, of the study's path or of the hub.

    Args:
        part: the sub-folder that holds it (a configuration, a language).
        default: revision where the study says none.

    Returns:
        The data set and its revision.

    Raises:
        CorpusError: it cannot be read.
    """
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError as error:
        raise CorpusError(_no_package(source, hub)) from error
    datasets.disable_progress_bars()
    place: dict[str, Any] = {"path": hub, "revision": _branch(source) or default}
    local: list[Path] = []
    if source.path is not None:
        place = {"path": str(source.path)}
        below = source.path / part if part else source.path
        local = sorted(file for file in below.rglob("*") if file.is_file() and not file.name.startswith("."))
        if not local:
            raise CorpusError(
                f"{source.place}: {part or 'the folder'} holds no file. Bring the data set's files there."
            )
    try:
        found = datasets.load_dataset(**place, data_dir=part, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        if source.path is None:
            raise CorpusError(_unreachable(source, hub, error)) from error
        where = f"{part}, " if part else ""
        raise CorpusError(
            f"{source.place}: {where}split '{split}' cannot be read: {error}. The folder must hold the files of {hub}."
        ) from error
    return found, revision_of(source, local) if local else f"{hub}@{_commit(found)}"


def check_columns(source: Source, found: Any, columns: Sequence[str]) -> None:
    """Raise CorpusError where the data set lacks one of the columns."""
    lacking = [name for name in columns if name not in found.column_names]
    if lacking:
        raise CorpusError(
            f"{source.place}: has no column {', '.join(lacking)}; it has {', '.join(found.column_names)}. Is this the "
            "data set that the reader is for?"
        )


def _branch(source: Source) -> str | None:
    if source.revision is not None and source.revision.startswith("sha256:"):
        raise CorpusError(
            f"{source.place}: revision {source.revision} is the content of files, and there is no path. Name a commit "
            "of the hub, or the folder."
        )
    return source.revision


def _commit(found: Any) -> str:
    """The commit that was read, as the addresses of the files tell it."""
    for address in found.download_checksums or {}:
        if match := _COMMIT.search(str(address)):
            return match[1]
    return "unknown"


def _no_package(source: Source, hub: str) -> str:
    return f"{source.place}: {hub} is read by packages that are not installed. Run: pip install 'crosslift[hub]'"


def _unreachable(source: Source, hub: str, error: Exception) -> str:
    at = f" at revision {source.revision}" if source.revision else ""
    return (
        f"{source.place}: {hub}{at} is not on this disk and cannot be downloaded ({type(error).__name__}). Check the "
        'name and network, or say path = "..." for a folder with the same files; gated sets need: hf auth login'
    )
