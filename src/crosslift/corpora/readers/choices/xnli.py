"""Reader of XNLI (arXiv 1809.05053): whether a sentence follows from another, in fifteen languages.

`path` is a folder with a folder per language (`de/test-00000-of-00001.parquet`); without `path`, `facebook/xnli` is
read from the hub. The question is the premise, and a choice is a word of agreement, doubt or denial with the
hypothesis ("..., right? Yes, ..."), as in lm-evaluation-harness; ask with `prompt = "full"`.
"""

from __future__ import annotations

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.formats import columns
from crosslift.corpora.formats.choices import gold_answer
from crosslift.corpora.formats.columns import OPTIONS, Format, Item, Row, text_of

NEEDS_PATH = None

__all__ = ["FORMAT", "NEEDS_PATH", "OPTIONS", "read"]

WORDS = {
    "ar": ("صحيح", "نعم", "لذا", "رقم"),
    "bg": ("правилно", "да", "така", "не"),
    "de": ("richtig", "Ja", "Auch", "Nein"),
    "el": ("σωστός", "Ναί", "Έτσι", "όχι"),
    "en": ("right", "Yes", "Also", "No"),
    "es": ("correcto", "Sí", "Asi que", "No"),
    "fr": ("correct", "Oui", "Aussi", "Non"),
    "hi": ("सही", "हाँ", "इसलिए", "नहीं"),
    "ru": ("правильно", "Да", "Так", "Нет"),
    "sw": ("sahihi", "Ndiyo", "Hivyo", "Hapana"),
    "th": ("ถูกต้อง", "ใช่", "ดังนั้น", "ไม่"),
    "tr": ("doğru", "Evet", "Böylece", "Hayır"),
    "ur": ("صحیح", "جی ہاں", "اس لئے", "نہیں"),
    "vi": ("đúng", "Vâng", "Vì vậy", "Không"),
    "zh": ("正确", "是的", "所以", "不是的"),
}
"""Language -> "right", and the words for entailment, neutral and contradiction, from lm-evaluation-harness."""


def _item(row: Row, tag: str) -> Item:
    if tag not in WORDS:
        raise ValueError(f"is in '{tag}', which XNLI does not have; it has {', '.join(WORDS)}")
    right, *words = WORDS[tag]
    hypothesis = text_of(row, "hypothesis")
    choices = [f", {right}? {word}, {hypothesis}" for word in words]
    return Item(question=text_of(row, "premise"), answer=gold_answer(choices, int(row["label"]), delimiter=""))


FORMAT = Format(
    title="a row of XNLI",
    hub="facebook/xnli",
    licence="CC BY-NC 4.0",
    task="multiple_choice",
    columns=(("premise", "hypothesis", "label"),),
    splits={"train": ("train",), "validation": ("validation",), "test": ("test",)},
    convert=_item,
    language=("language",),
)


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: A language or split without file, missing columns, or invalid rows.
    """
    return columns.read(source, FORMAT)
