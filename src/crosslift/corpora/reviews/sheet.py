"""Review sheets: a sample of rows per language, as CSV to fill in and as HTML to read.

    review/<language>.csv     row, item_id, language, source, text, verdict, comment
    review/<language>.html    the same rows side by side
    review/drawn.json         seed, and the rows that were drawn

A row is identified by a hash of its content, so that a verdict cannot be counted for a text that has changed since.
Cells that a spreadsheet would compute are escaped, and so is every text in HTML.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import CorpusError, Source, taken_in_order
from crosslift.corpora.made import MadeCorpus
from crosslift.errors import StoreError, StudyError
from crosslift.fingerprint import fingerprint
from crosslift.languages.language import language
from crosslift.system.files import read_json, write_json, write_text
from crosslift.untrusted.csv_file import write_csv

FOLDER = "review"
DRAWN = "drawn.json"
COLUMNS = ("row", "item_id", "language", "source", "text", "verdict", "comment")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem }}
table {{ border-collapse: collapse; table-layout: fixed; width: 100% }}
th, td {{ border: 1px solid #bbb; padding: .5rem; text-align: start; vertical-align: top; overflow-wrap: anywhere }}
td {{ white-space: pre-wrap }}
th:first-child, td:first-child {{ width: 9rem; font-family: monospace; font-size: 12px }}
</style></head><body><h1>{title}</h1><p>{lede}</p>
<table><thead><tr><th>row</th><th>source</th><th>text</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def row_key(row: dict[str, Any]) -> str:
    """Key of a row: a hash of its id, language and messages. It begins with letters, so that spreadsheets keep it."""
    said = [[one["role"], one["content"]] for one in row["messages"]]
    return f"row-{fingerprint([row['item_id'], row['language'], said])[:12]}"


def write_sheets(corpus: MadeCorpus, *, num_rows: int, seed: int, languages: tuple[str, ...] = ()) -> list[Path]:
    """Draw rows and write one sheet per language. Languages of parallel corpora have the same items.

    Args:
        corpus: the corpus.
        num_rows: rows per language; all if there are fewer.
        seed: seed of the draw.
        languages: language tags; default: all that were made.

    Returns:
        The CSV files.

    Raises:
        StudyError: a language was not made.
        CorpusError: the corpus cannot be read, or has no row in a language.
        StoreError: a sheet exists already, or cannot be written.
    """
    chosen = languages or corpus.languages
    if foreign := [tag for tag in chosen if tag not in corpus.languages]:
        raise StudyError([f"{tag}: was not made. Made: {', '.join(corpus.languages)}." for tag in foreign])
    folder = corpus.folder / FOLDER
    if there := [f"{tag}.csv" for tag in chosen if (folder / f"{tag}.csv").exists()]:
        raise StoreError(
            f"{folder} has {', '.join(there)}, which may have verdicts. Read them back (crosslift review "
            "DIR --verdicts FILE), or move them away to draw again."
        )
    sheets = {tag: _sheet(corpus, tag, num_rows=num_rows, seed=seed) for tag in chosen}
    drawn = read_json(folder / DRAWN) or {"languages": {}}
    for tag, sheet in sheets.items():
        write_text(folder / f"{tag}.html", _html(corpus, tag, sheet))
        write_csv(folder / f"{tag}.csv", sheet)
        drawn["languages"][tag] = {"seed": seed, "rows": sheet["row"].to_list()}
    write_json(folder / DRAWN, drawn)
    return [folder / f"{tag}.csv" for tag in sheets]


def _sheet(corpus: MadeCorpus, tag: str, *, num_rows: int, seed: int) -> pl.DataFrame:
    rows = {row["item_id"]: row for row in corpus.rows(tag).iter_rows(named=True)}
    if not rows:
        raise CorpusError(f"{corpus.folder}: has no row in '{tag}'. Make the corpus first.")
    order = Source(name="review", reader="jsonl", task="", languages=(tag,), order="random", data_seed=seed)
    ids = taken_in_order(order, pl.Series(list(rows), dtype=pl.String)).head(num_rows)
    sources: dict[str, str] = {}
    if corpus.source_language is not None:
        wanted = corpus.rows(corpus.source_language).filter(pl.col("item_id").is_in(ids.implode()))
        sources = {row["item_id"]: _said(row["messages"]) for row in wanted.iter_rows(named=True)}
    found = []
    for item_id in ids:
        messages = rows[item_id]["messages"]
        asked, text = sources.get(item_id, ""), _said(messages)
        if corpus.source_language is None:  # the prompt is the source, the answer is what was made
            asked, text = _said(messages[:-1]), messages[-1]["content"]
        found.append((row_key(rows[item_id]), item_id, tag, asked, text, "", ""))
    return pl.DataFrame(found, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def _said(messages: list[dict[str, str]]) -> str:
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{one['role']}: {one['content']}" for one in messages)


def _html(corpus: MadeCorpus, tag: str, sheet: pl.DataFrame) -> str:
    name = language(tag).name
    lede = (
        f"{sheet.height} rows. Write accept or reject into the column verdict of {tag}.csv: accept a text that is "
        "right and reads as a speaker of the language would write it."
    )
    source = f' lang="{escape(corpus.source_language or tag)}" dir="auto"'
    rows = "\n".join(
        f"<tr><td>{row['row']}<br>{escape(row['item_id'])}</td><td{source}>{escape(row['source'])}</td>"
        f'<td lang="{escape(tag)}" dir="auto">{escape(row["text"])}</td></tr>'
        for row in sheet.iter_rows(named=True)
    )
    return _PAGE.format(title=escape(f"Review: {name}"), lede=escape(lede), rows=rows)
