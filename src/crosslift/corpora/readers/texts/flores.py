"""Reader of FLORES-200 and FLORES+ (arXiv 2207.04672): parallel sentences, whose likelihood a model is asked for.

`path` is a folder with the files of the release (`devtest/deu_Latn.devtest`, a sentence per line) or of FLORES+
(`devtest/deu_Latn.parquet`); without `path`, `openlanguagedata/flores_plus` is read from the hub, where one has to
accept its conditions. `dev` is the split "validation", `devtest` the split "test". Sentences of one article are
dependent.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]


def _item(row: Row, tag: str) -> Item:
    text = text_of(row, "text", "sentence")
    article = row.get("url") or row.get("URL")
    return Item(
        question=text,
        answer=text,
        id=f"flores-{row['id']}" if row.get("id") is not None else None,
        cluster=str(article) if article else None,
    )


FORMAT = Format(
    title="a row of FLORES",
    hub="openlanguagedata/flores_plus",
    licence="CC BY-SA 4.0",
    task="perplexity",
    columns=(("id", "iso_639_3", "iso_15924", "text"), ("id", "URL", "domain", "topic", "sentence")),
    splits={"validation": ("dev",), "test": ("devtest",)},
    convert=_item,
    texts=(".dev", ".devtest"),
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
