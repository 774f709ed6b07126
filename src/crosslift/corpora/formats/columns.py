"""Common code of the readers of data sets in files with columns, as they lie on the hub.

A reader of this kind has a `FORMAT`: its columns, where its splits and languages stand in the names of files, and how a
row becomes an item. `read` finds the files of the requested languages and split in a folder or on the hub, checks the
columns, and converts the rows; `guessing` recognizes a data set by these columns. Files are Parquet, JSON, JSON lines,
CSV, TSV, or for some formats plain text with a sentence per line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.formats.file_names import language_of_code, language_of_name, split_of_name
from crosslift.corpora.formats.tables import SUFFIXES, load_rows
from crosslift.corpora.published import Problems, build, choose_split, message

OPTIONS: dict[str, type] = {"hub": str, "files": str, "licence": str}
"""hub: another data set of the hub with the same columns ("owner/name"). files: pattern of the names of its files that
are read, such as "*_cleaned.json". licence: its licence."""

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a row says in one language."""

    question: str = ""
    answer: str
    messages: Sequence[Mapping[str, str]] | None = None
    """Conversation; None for the question alone, which is what tasks by likelihood need."""
    id: str | None = None
    """Id in all languages; None for the position of the row in its file."""
    cluster: str | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a data set lies on the hub."""

    title: str
    hub: str | None = None
    """The data set that is read without `path`; None if the study file must name a place."""
    branch: str | None = None
    """Revision with files instead of a loading script, which is never executed."""
    licence: str = "unknown"
    task: str
    columns: tuple[tuple[str, ...], ...]
    """Alternatives of the columns that every file has; a file with the columns of one of them has this format."""
    splits: Mapping[str, tuple[str, ...]]
    """Split -> its names in the names of files."""
    convert: Callable[[Row, str], Item]
    """Converts a row in a language; raises ValueError with what is wrong with the row."""
    language: tuple[str, ...] = ()
    """Columns with the code or English name of the row's language; files need not have them."""
    passage: str | None = None
    """Column whose equal values make items dependent; values are numbered in each file, so that they may be text."""
    is_lenient: bool = False
    """Whether rows that cannot be converted are left out and counted in the notes; otherwise they are errors."""
    texts: tuple[str, ...] = ()
    """Suffixes of plain files with a text per line, which become rows with the column `text`."""

    def fits(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the largest alternative that is part of these columns; empty if there is none."""
        there = set(columns)
        return max((one for one in self.columns if there.issuperset(one)), key=len, default=())


def read(source: Source, form: Format) -> ParallelCorpus:
    """Read the requested languages of a data set.

    Args:
        source: Specification of the corpus.
        form: Format of the data set.

    Raises:
        CorpusError: The place is missing, a language or split has no file, or a file has other columns or invalid rows.
    """
    split = choose_split(source, *form.splits)
    folder, names, commit = _place(source, form)
    chosen = select(names, form, split, source.languages)
    if commit is not None:
        wanted = [name for found in chosen.values() for name in found]
        folder, commit = hub.folder(_at_branch(source, form), commit, wanted)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    files = [folder / name for found in chosen.values() for name in found]
    missing = [tag for tag in source.languages if tag not in chosen and "" not in chosen]
    if missing or not files:
        raise CorpusError(
            f"{source.place}: has no file of the split '{split}' in {', '.join(missing or source.languages)}. Files "
            f"name language and split, such as de/{split}.parquet or {split}_de.jsonl. Found: "
            f"{', '.join(list(names)[:5]) or 'none'}."
        )
    for tag, found in chosen.items():
        counts = _Counts()
        for name in found:
            rows += _convert(source, form, folder / name, tag or None, counts)
        notes += [f"{number} rows were left out: {reason}." for reason, number in sorted(counts.left_out.items())]
    licence = str(source.options.get("licence", form.licence))
    return build(source, rows, sorted(files), licence=licence, notes=notes, hub=commit)


def select(names: Sequence[str], form: Format, split: str, languages: Sequence[str]) -> dict[str, list[str]]:
    """Choose the files of a split and of languages by their names.

    Args:
        names: Paths of the files, relative to the data set.
        form: Format of the data set.
        split: Split of the corpus.
        languages: Language tags.

    Returns:
        Language tag -> files, in the order of their names; "" for files whose name has no language.
    """
    found: dict[str, list[str]] = {}
    tagged = {name: language_of_name(name) for name in names}
    known = {one for words in form.splits.values() for one in words}
    splits = {name: split_of_name(name, known) for name in names}
    for name in sorted(names):
        if splits[name] is not None and splits[name] not in form.splits[split]:
            continue
        tag = tagged[name] or ""
        if tag in languages or not tag:
            found.setdefault(tag, []).append(name)
    if len(found) > 1 and "" in found:  # beside files of languages, one without is a list or a description
        del found[""]
    return found


def data_files(folder: Path) -> list[str]:
    """Return the files below a folder, without hidden ones, as relative names with "/"."""
    return sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def is_data(name: str, texts: Sequence[str] = ()) -> bool:
    """Return whether a file can contain rows, by its name."""
    file = PurePosixPath(name)
    return file.suffix in (*SUFFIXES, *texts) and file.stem.lower() not in ("dataset_info", "dataset_infos", "state")


def _at_branch(source: Source, form: Format) -> Source:
    if source.revision is None and form.branch is not None and "hub" not in source.options:
        return replace(source, revision=form.branch)
    return source


def _place(source: Source, form: Format) -> tuple[Path, list[str], str | None]:
    """Return the folder, the names of its files, and the data set of the hub if the files are there."""
    path = source.path
    if path is not None:
        if path.is_file():
            return path.parent, [path.name], None
        if not path.is_dir():
            raise CorpusError(f"{source.place}: {path} does not exist. Correct the path.")
        return path, [name for name in data_files(path) if is_data(name, form.texts)], None
    place = source.options.get("hub", form.hub)
    if place is None:
        raise CorpusError(f'{source.place}: needs a place. Add path = "..." or hub = "owner/name".')
    names = hub.listing(_at_branch(source, form), place)
    wanted = str(source.options.get("files", "*"))
    return Path(), [name for name in names if is_data(name, form.texts) and fnmatch(name, wanted)], str(place)


@dataclass
class _Counts:
    """Rows per language, passages and rows left out so far, over the files of one language."""

    rows: dict[str, int] = field(default_factory=dict)
    passages: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason -> rows, for formats that are lenient."""


def _convert(source: Source, form: Format, file: Path, tag: str | None, counts: _Counts) -> list[dict[str, Any]]:
    """Return the items of a file, with the keys of `ROWS`."""
    rows: list[dict[str, Any]] = []
    found = load_rows(source, file, texts=form.texts)
    problems = Problems(source, file)
    text = file.suffix in form.texts
    if found and not text and not form.fits(found[0]):
        problems.whole(
            f"has no columns {' or '.join(', '.join(one) for one in form.columns)}; it has {', '.join(found[0])}. "
            "Check that the reader fits the data (crosslift read), or rename them."
        )
        problems.stop()
    for place, row in enumerate(found, start=1):
        spoken = language_of_row(row, form) or tag or (source.languages[0] if len(source.languages) == 1 else None)
        if spoken is None:
            problems.add(place, "has no language. Name the file after it (de.jsonl), or add a column.", unit="row")
            continue
        counts.rows[spoken] = counts.rows.get(spoken, 0) + 1
        if spoken not in source.languages:
            continue
        try:
            item = form.convert(row, spoken)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error}" if type(error) is ValueError else f"is not {form.title} ({type(error).__name__})"
            if form.is_lenient:
                counts.left_out[reason] = counts.left_out.get(reason, 0) + 1
                continue
            problems.add(place, f"{reason}. Correct the data.", unit="row")
            continue
        cluster = item.cluster
        if form.passage is not None and row.get(form.passage) is not None:
            number = counts.passages.setdefault(str(row[form.passage]), len(counts.passages) + 1)
            cluster = f"passage-{number}"
        rows.append(
            {
                "item_id": item.id or f"{source.reader}-{source.split}-{counts.rows[spoken]:06d}",
                "language": spoken,
                "messages": item.messages or _question(source, form, item),
                "answer": item.answer,
                "cluster": cluster,
                "origin": "unknown",
            }
        )
    problems.stop()
    return rows


def _question(source: Source, form: Format, item: Item) -> list[dict[str, str]]:
    """The question alone; in the split that is trained on, with the right choice as its answer."""
    if source.split != "train" or form.task != "multiple_choice":
        return [{"role": "user", "content": item.question}]
    gold = json.loads(item.answer)
    return message(item.question, gold["choices"][gold["gold"]])


def language_of_row(row: Row, form: Format) -> str | None:
    """Return the tag of a row's language from its columns; None if it has none."""
    for column in form.language:
        if isinstance(row.get(column), str) and (tag := language_of_code(row[column])):
            return tag
    return None


def text_of(row: Row, *columns: str) -> str:
    """Return the first of these columns that is a text with content, without outer space.

    Raises:
        ValueError: There is none.
    """
    for column in columns:
        if isinstance(row.get(column), str) and row[column].strip():
            return str(row[column]).strip()
    raise ValueError(f"{' or '.join(columns)} must be a text")
