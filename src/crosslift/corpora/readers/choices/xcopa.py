"""Reader of XCOPA (arXiv 2005.00333): the cause or effect of a sentence among two, in eleven languages.

`path` is a folder with a folder per language (`et/test-00000-of-00001.parquet`); without `path`, `cambridgeltl/xcopa`
is read from the hub. The question is the sentence without its full stop and a conjunction, and the choices begin in
lower case, as in lm-evaluation-harness.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]

CONJUNCTIONS = {
    "et": {"cause": "sest", "effect": "seetõttu"},
    "ht": {"cause": "poukisa", "effect": "donk sa"},
    "it": {"cause": "perché", "effect": "quindi"},
    "id": {"cause": "karena", "effect": "maka"},
    "qu": {"cause": "imataq", "effect": "chaymi"},
    "sw": {"cause": "kwa sababu", "effect": "kwa hiyo"},
    "zh": {"cause": "因为", "effect": "所以"},
    "ta": {"cause": "காரணமாக", "effect": "எனவே"},
    "th": {"cause": "เพราะ", "effect": "ดังนั้น"},
    "tr": {"cause": "çünkü", "effect": "bu yüzden"},
    "vi": {"cause": "bởi vì", "effect": "vì vậy"},
}
"""Language -> conjunction before a cause and before an effect, from lm-evaluation-harness."""


def _item(row: Row, tag: str) -> Item:
    if tag not in CONJUNCTIONS:
        raise ValueError(f"is in '{tag}', which XCOPA does not have; it has {', '.join(CONJUNCTIONS)}")
    choices = [text_of(row, "choice1"), text_of(row, "choice2")]
    return Item(
        question=f"{text_of(row, 'premise')[:-1]} {CONJUNCTIONS[tag][text_of(row, 'question')]}",
        answer=gold_answer([one[0].lower() + one[1:] for one in choices], int(row["label"])),
        id=f"xcopa-{row['idx']}" if row.get("idx") is not None else None,
    )


FORMAT = Format(
    title="a row of XCOPA",
    hub="cambridgeltl/xcopa",
    licence="CC BY 4.0",
    task="multiple_choice",
    columns=(("premise", "choice1", "choice2", "question", "label"),),
    splits={"test": ("test",), "validation": ("validation", "val")},
    convert=_item,
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
