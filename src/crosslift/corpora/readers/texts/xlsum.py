"""Reader of XL-Sum (arXiv 2106.13822): BBC articles with their opening summaries, in 44 languages.

`path` is a folder with one sub-folder per language, named as published ("french", "chinese_simplified"); without
`path`, the Parquet conversion of `csebuetnlp/xlsum` is read from the hub. A row has `text` and `summary`, among others.

The data set is not parallel: articles differ between languages. Item n is the n-th article of each language, so that
mixtures and test sets can be drawn as usual; only the position links the articles. Intervals that pair runs remain
valid, because both runs are evaluated on the same article, but comparisons between languages also compare different
articles. The number of articles per language varies (6,000 to 300,000 in training); a corpus has as many items as the
language with the fewest articles.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.corpora import hub
from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source, taken_in_order
from crosslift.corpora.published import choose_split, message

OPTIONS: dict[str, type] = {}
NEEDS_PATH = None
HUB = "csebuetnlp/xlsum"
PARQUET = "refs/convert/parquet"
"""The main revision is a loading script, which is never executed."""
LICENCE = "CC BY-NC-SA 4.0"
NAMES = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "ja": "japanese",
    "ko": "korean",
    "pt": "portuguese",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
    "th": "thai",
    "zh": "chinese_simplified",
}


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language that the data set lacks, unreadable files or missing columns.
    """
    split = choose_split(source, "train", "validation", "test")
    foreign = [tag for tag in source.languages if tag not in NAMES]
    if foreign:
        raise CorpusError(f"{source.place}: XL-Sum has no {', '.join(foreign)}. It has: {', '.join(NAMES)}.")
    tables: dict[str, Any] = {}
    revisions: list[str] = []
    for tag in source.languages:
        tables[tag], revision = hub.table(source, HUB, part=NAMES[tag], split=split, default=PARQUET)
        hub.check_columns(source, tables[tag], ("text", "summary"))
        revisions.append(revision)
    shortest = min(len(found) for found in tables.values())
    ids = pl.Series([f"xlsum-{split}-{number:06d}" for number in range(1, shortest + 1)])
    chosen = taken_in_order(source, ids).head(source.max_items or shortest)
    places = ids.is_in(chosen.implode()).arg_true().to_list()
    rows = [
        {
            "item_id": ids[place],
            "language": tag,
            "messages": message(row["text"].strip(), row["summary"].strip()),
            "answer": row["summary"].strip(),
            "cluster": None,
            "origin": "human",
        }
        for tag, found in tables.items()
        for place, row in zip(places, found.select(places), strict=True)
    ]
    notes = ["Articles are not translations of each other: items are paired by position."]
    return ParallelCorpus.build(
        source,
        pl.DataFrame(rows, schema=ROWS),
        licence=LICENCE,
        revision=" ".join(dict.fromkeys(revisions)),
        notes=notes,
    )
