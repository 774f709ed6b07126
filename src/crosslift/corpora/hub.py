"""Data sets from the Hugging Face hub, and local folders with the same files.

A reader with a HUB reads that data set if the study file has no `path`, at `revision` (a commit or branch) or else at
the latest revision. The study's folder keeps the rows that were read, and lock.json the commit, so the data of a study
do not change between runs.
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
    """Locate the files of a data set, and download them if the study file has no path.

    Args:
        source: Specification of the corpus.
        hub: Name of the data set, "owner/name".
        patterns: Glob patterns of the files to download.

    Returns:
        The folder, and "owner/name@commit" for a snapshot of the hub or None for a local folder.

    Raises:
        CorpusError: The data set cannot be downloaded, or the package is not installed.
    """
    if source.path is not None:
        return source.path, None
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CorpusError(_no_package(source, hub)) from error
    try:
        found = snapshot_download(hub, repo_type="dataset", revision=_branch(source), allow_patterns=list(patterns))
    except OSError as error:  # unknown name or revision, gated data set, no network
        raise CorpusError(_unreachable(source, hub, error)) from error
    return Path(found), f"{hub}@{Path(found).name}"


def listing(source: Source, hub: str) -> list[str]:
    """Return the names of the files of a data set on the hub.

    Args:
        source: Specification of the corpus.
        hub: Name of the data set, "owner/name".

    Raises:
        CorpusError: The data set cannot be reached, or the package is not installed.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise CorpusError(_no_package(source, hub)) from error
    try:
        return sorted(HfApi().list_repo_files(hub, repo_type="dataset", revision=_branch(source)))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise CorpusError(_unreachable(source, hub, error)) from error


def table(
    source: Source, hub: str, *, part: str | None = None, split: str, default: str | None = None
) -> tuple[Any, str]:
    """Load a split as a `datasets.Dataset`, from the study's path or from the hub.

    Args:
        source: Specification of the corpus.
        hub: Name of the data set, "owner/name".
        part: Sub-folder of the split (a configuration or a language).
        split: Name of the split.
        default: Revision to use if the study file has none.

    Returns:
        The data set and its revision.

    Raises:
        CorpusError: The data set cannot be read, or the package is not installed.
    """
    try:
        import datasets
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
                f"{source.place}: {part or 'the folder'} contains no file. Copy the files of the data set there."
            )
    try:
        found = datasets.load_dataset(**place, data_dir=part, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        if source.path is None:
            raise CorpusError(_unreachable(source, hub, error)) from error
        where = f"{part}, " if part else ""
        raise CorpusError(
            f"{source.place}: {where}split '{split}' cannot be read: {error}. The folder must have the files of {hub}."
        ) from error
    return found, revision_of(source, local) if local else f"{hub}@{_commit(found)}"


def check_columns(source: Source, found: Any, columns: Sequence[str]) -> None:
    """Check that a data set has the required columns.

    Raises:
        CorpusError: The data set lacks one of the columns.
    """
    lacking = [name for name in columns if name not in found.column_names]
    if lacking:
        raise CorpusError(
            f"{source.place}: has no column {', '.join(lacking)}; it has {', '.join(found.column_names)}. Check "
            "that the reader supports this data set."
        )


def _branch(source: Source) -> str | None:
    if source.revision is not None and source.revision.startswith("sha256:"):
        raise CorpusError(
            f"{source.place}: revision {source.revision} is a content hash, but there is no path. Use a commit of the "
            "hub, or set path."
        )
    return source.revision


def _commit(found: Any) -> str:
    """Return the commit of a data set, parsed from the URLs of its files."""
    for address in found.download_checksums or {}:
        if match := _COMMIT.search(str(address)):
            return match[1]
    return "unknown"


def _no_package(source: Source, hub: str) -> str:
    return f"{source.place}: reading {hub} requires packages that are not installed. Run: pip install 'crosslift[hub]'"


def _unreachable(source: Source, hub: str, error: Exception) -> str:
    at = f" at revision {source.revision}" if source.revision else ""
    return (
        f"{source.place}: {hub}{at} is not on this disk and cannot be downloaded ({type(error).__name__}). Check the "
        'name and network, or set path = "..." to a folder with the same files; gated data sets need: hf auth login'
    )
