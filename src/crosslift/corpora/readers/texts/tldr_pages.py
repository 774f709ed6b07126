"""Reader of tldr pages: descriptions of shell commands with examples.

`path` is a folder with `<language>.jsonl`, one page per line: {"page": "linux/ls.md", "text": Markdown}. The task of
the corpus determines the items:

    summarization   a page: its examples -> the first line of its description
    open_ended      an example: its description -> the command

Translations lag behind English. Examples are aligned with English by position if both pages have the same number of
examples. Other pages, and examples whose commands differ apart from `{{placeholders}}`, are missing in that language,
so set incomplete = "drop".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines, read_objects
from crosslift.errors import UnknownName
from crosslift.languages.tags import resolve

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "CC BY 4.0"

_EXAMPLE = re.compile(r"^- (?P<wanted>.+?)[:：]*\s*\n\s*\n`(?P<command>.+)`\s*$", re.MULTILINE)
_SUMMARY = re.compile(r"^> (.+)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}+")


@dataclass(frozen=True, kw_only=True)
class Page:
    summary: str
    examples: tuple[tuple[str, str], ...]
    """Pairs of description and command."""


def read(source: Source) -> ParallelCorpus:
    """Read pages or examples in the requested languages.

    Raises:
        CorpusError: An unsupported task, missing files or invalid lines.
    """
    choose_split(source, "test")
    if source.task not in ("summarization", "open_ended"):
        raise CorpusError(f'{source.place}: task must be "summarization" (pages) or "open_ended" (commands).')
    files = {tag: _file(source, tag) for tag in dict.fromkeys(("en", *source.languages))}
    pages = {tag: _read(source, file) for tag, file in files.items()}
    make = _page_rows if source.task == "summarization" else _example_rows
    rows = [
        {
            "item_id": item,
            "language": tag,
            "messages": message(*text),
            "answer": text[1],
            "cluster": name,
            "origin": "human",
        }
        for tag in source.languages
        for name, page in pages[tag].items()
        if name in pages["en"]
        for item, text in make(name, page, pages["en"][name])
    ]
    return build(source, rows, list(files.values()), licence=LICENCE)


def _page_rows(name: str, page: Page, english: Page) -> list[tuple[str, tuple[str, str]]]:
    if len(page.examples) != len(english.examples) or not page.summary:
        return []
    text = "\n\n".join(f"- {wanted}:\n`{command}`" for wanted, command in page.examples)
    return [(name, (text, page.summary))]


def _example_rows(name: str, page: Page, english: Page) -> list[tuple[str, tuple[str, str]]]:
    if len(page.examples) != len(english.examples):
        return []
    return [
        (f"{name}#{number}", example)
        for number, (example, other) in enumerate(zip(page.examples, english.examples, strict=True), start=1)
        if _PLACEHOLDER.sub("", example[1]) == _PLACEHOLDER.sub("", other[1])
    ]


def _file(source: Source, tag: str) -> Path:
    """Return the file of a language, whose name may be any code that resolves to the tag."""
    folder = source.path
    for file in sorted(folder.glob("*.jsonl")) if folder and folder.is_dir() else []:
        try:
            if resolve(file.stem) == tag:
                return file
        except UnknownName:
            continue
    return find_file(source, f"{tag}.jsonl")


def _read(source: Source, file: Path) -> dict[str, Page]:
    problems = Problems(source, file)
    pages = {}
    for number, found in enumerate(read_objects(source, file, read_lines(source, file), ("page", "text")), start=1):
        summary = _SUMMARY.search(found["text"])
        examples = tuple((match["wanted"], match["command"]) for match in _EXAMPLE.finditer(found["text"]))
        if not examples:
            problems.add(number, f"page {found['page']} has no example. Download the file again.")
        pages[found["page"]] = Page(summary=summary[1].strip() if summary else "", examples=examples)
    problems.stop()
    return pages
