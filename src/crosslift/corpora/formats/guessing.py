"""Recognizing the format of a file, a folder or a data set of the hub by its columns and names of files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.formats.columns import Format, data_files, is_data, language_of_row
from crosslift.corpora.formats.file_names import language_of_name, split_of_name
from crosslift.corpora.formats.tables import SUFFIXES, load_rows
from crosslift.discover import member, module_names
from crosslift.errors import visible

NUM_ROWS = 10
NUM_READ = 10_000
"""Rows of a file that are searched for languages."""
OWN = frozenset({"item_id", "answer"})
"""Columns of the readers `jsonl` and `parquet`."""
BY_NAME = (
    ("mgsm_", ".tsv", "mgsm", "math", "test"),
    ("newstest2019-", ".txt", "ntrex_sentences", "perplexity", "test"),
)
"""Beginning and end of a file's name -> reader, task and split, for formats without columns."""


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """A data set whose format is known."""

    source: Source
    splits: tuple[str, ...]
    """Splits that the names of files show; the source has the first."""
    rows: pl.DataFrame
    """The first rows of the first language, with columns item_id, language, messages, answer, cluster and origin."""

    def table(self, relative_to: Path | None = None) -> str:
        """Write the corpus table for study.toml.

        Args:
            relative_to: Folder of the study file; None keeps the path as it was given.
        """
        found = self.source
        name = "".join(one if one.isalnum() else "-" for one in found.name.lower()).strip("-") or found.reader
        lines = [f"[corpora.{json.dumps(name, ensure_ascii=False) if not name.isascii() else name}]"]
        keys: dict[str, Any] = {"reader": found.reader, "task": found.task, "split": found.split}
        if found.path is not None:
            path = found.path if relative_to is None else os.path.relpath(found.path, relative_to)
            keys["path"] = Path(path).as_posix()
        keys |= {"revision": found.revision} if found.revision is not None else {}
        keys |= found.options | {"languages": list(found.languages)}
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
        return "\n".join(lines) + "\n"


def formats() -> dict[str, Format]:
    """Return the formats of all readers that have one, by the reader's name."""
    groups = (".chat.", ".choices.", ".math.msvamp", ".texts.flores", ".texts.xquad")
    names = [name for name, module in module_names("reader").items() if any(group in module for group in groups)]
    return {name: member("reader", name).FORMAT for name in names}


def recognize(
    place: str, *, revision: str | None = None, languages: Sequence[str] = (), split: str | None = None
) -> Recognized:
    """Recognize the format of data and read its first rows.

    Args:
        place: A file, a folder, or a data set of the hub ("owner/name").
        revision: Commit or branch of a data set of the hub.
        languages: Language tags; default: those that the names of files or a column show.
        split: Split; default: the first that the names of files show.

    Raises:
        CorpusError: There is nothing at this place, or its format is not known.
    """
    path = Path(place)
    local = path.exists()
    name = (path.stem if path.is_file() else path.name) or path.resolve().name
    base = Source(name=name, reader="guess", task="", languages=(), path=path if local else None, revision=revision)
    if not local and place.count("/") != 1:
        raise CorpusError(
            f'{place}: there is no such file or folder, and it is no "owner/name" of the hub. Correct it.'
        )
    if not local and revision is None:
        branch = next((form.branch for form in formats().values() if form.hub == place), None)
        base = replace(base, revision=branch)
    names = _names(base, place)
    found = _by_name(base, names, split) if local else None
    if found is None:
        found = _by_columns(base, place, names, split)
    source, splits, shown = found
    chosen = tuple(languages) or shown
    if not chosen:
        raise CorpusError(
            f"{visible(place)}: has the format '{source.reader}', but neither the names of its files nor a column "
            "name the language. Add --languages, such as --languages en."
        )
    source = replace(source, languages=chosen)
    first = replace(source, languages=chosen[:1], max_items=NUM_ROWS, name=visible(place), incomplete="drop")
    corpus = member("reader", source.reader).read(first)
    if not local:  # later calls read the same commit
        source = replace(source, revision=corpus.revision.partition("@")[2] or revision)
    return Recognized(source=source, splits=splits, rows=corpus.rows.head(NUM_ROWS))


def _names(base: Source, place: str) -> list[str]:
    if base.path is None:
        return hub.listing(base, place)
    return [base.path.name] if base.path.is_file() else data_files(base.path)


def _by_name(
    base: Source, names: Sequence[str], split: str | None
) -> tuple[Source, tuple[str, ...], tuple[str, ...]] | None:
    for start, end, reader, task, usual in BY_NAME:
        files = [name for name in names if name.startswith(start) and name.endswith(end)]
        if files and base.path is not None:
            tags = dict.fromkeys(tag for name in files if (tag := _code(name)))
            folder = base.path.parent if base.path.is_file() else base.path
            source = replace(base, reader=reader, task=task, split=split or usual, path=folder)
            return source, (usual,), tuple(tags)
    return None


def _code(name: str) -> str | None:
    return language_of_name(
        name.removeprefix("mgsm_").replace("newstest2019-ref.", "").replace("newstest2019-src.", "")
    )


def _by_columns(
    base: Source, place: str, names: Sequence[str], split: str | None
) -> tuple[Source, tuple[str, ...], tuple[str, ...]]:
    known = formats()
    texts = tuple(suffix for form in known.values() for suffix in form.texts)
    tables = [name for name in names if is_data(name, texts)]
    if not tables:
        raise CorpusError(
            f"{visible(place)}: has no file of a known format ({', '.join(SUFFIXES)}). Give such a file, a folder with "
            "such files, or a data set of the hub."
        )
    folder = base.path or Path()
    if base.path is None:
        folder, _ = hub.folder(base, place, tables[:1])
    elif base.path.is_file():
        folder = base.path.parent
    file = folder / tables[0]
    rows = load_rows(replace(base, name=visible(place)), file, texts=texts, limit=NUM_READ)
    if not rows:
        raise CorpusError(f"{visible(place)}: {tables[0]} is empty. Fill it, or give another file.")
    if set(rows[0]) >= OWN and file.suffix in (".jsonl", ".parquet") and base.path is not None:
        tags = dict.fromkeys(str(row["language"]) for row in rows if row.get("language"))
        of_files = dict.fromkeys(tag for name in tables if (tag := language_of_name(name)))
        reader = file.suffix[1:]
        return (
            replace(base, reader=reader, task=_own_task(rows[0]), split=split or "train"),
            (),
            tuple(tags or of_files),
        )
    if file.suffix in texts:
        fitting = {name: ("text",) for name, form in known.items() if file.suffix in form.texts}
    else:
        fitting = {name: columns for name, form in known.items() if (columns := form.fits(rows[0]))}
    if not fitting:
        columns = ", ".join(visible(column, 40) for column in list(rows[0])[:12])
        raise CorpusError(
            f"{visible(place)}: has the columns {columns}, which are those of no known format. Rename them to those of "
            "the reader 'jsonl': item_id, language, prompt, completion, answer (docs/study-file.md)."
        )
    reader = max(fitting, key=lambda name: len(fitting[name]))
    form = known[reader]
    words = {word: one for one, several in form.splits.items() for word in several}
    there = {words[word] for name in tables if (word := split_of_name(name, words))}
    splits = tuple(one for one in form.splits if one in there) or tuple(form.splits)[:1]
    tags = dict.fromkeys(tag for name in tables if (tag := language_of_name(name)))
    tags = tags or dict.fromkeys(tag for row in rows if (tag := language_of_row(row, form)))
    options: Mapping[str, Any] = {} if base.path is not None or place == form.hub else {"hub": place}
    usual = "test" if "test" in splits and form.task != "open_ended" else splits[0]
    source = replace(base, reader=reader, task=form.task, split=split or usual, options=dict(options))
    return source, splits, tuple(tags)


def _own_task(row: Mapping[str, Any]) -> str:
    answer = str(row["answer"]).strip()
    if answer.startswith("{") and '"choices"' in answer:
        return "multiple_choice"
    return "math" if answer.replace(".", "").replace(",", "").removeprefix("-").isdigit() else "open_ended"
