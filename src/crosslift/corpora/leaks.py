"""Evaluation items that training has seen, in whatever language.

A test set in Swahili is leaked by a training set in English that holds the same problem: that is how translated sets
are made. So texts are compared between all languages that both corpora hold, English among them, and ids too where they
are more than a number. What a corpus holds counts, not what a mixture draws of it: mixtures change more often.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.findings import FINDINGS, as_findings, frame_of, texts_of

MIN_LETTERS = 20
"""Shorter texts meet by accident."""


def find_leaks(trained: Iterable[ParallelCorpus], evaluated: ParallelCorpus) -> pl.DataFrame:
    """Rows of `evaluated` whose text, in any language, or id stands in a corpus that is trained on.

    Returns:
        Columns as in FINDINGS, check "leaks"; the language is that of the evaluated row.
    """
    held_out = _rows(evaluated)
    parts = []
    for corpus in trained:
        seen = _rows(corpus).rename({"item_id": "seen_id", "language": "seen_language"})
        texts = held_out.join(seen.unique("hash"), on="hash", how="inner", maintain_order="left")
        same = pl.format("corpora.{} holds this text as '{}' in {}", pl.lit(corpus.name), "seen_id", "seen_language")
        parts.append(texts.select("item_id", "language", reason=same))
        named = held_out.filter(pl.col("item_id").str.contains(r"\p{L}")).unique("item_id", maintain_order=True)
        ids = named.join(
            seen.unique("seen_id"), left_on="item_id", right_on="seen_id", how="semi", maintain_order="left"
        )
        ids = ids.join(texts, on="item_id", how="anti", maintain_order="left")
        parts.append(
            ids.select("item_id", "language", reason=pl.format("corpora.{} holds this id", pl.lit(corpus.name)))
        )
    return as_findings(parts).with_columns(check=pl.lit("leaks"), severity=pl.lit("error")).select(FINDINGS.names())


def _rows(corpus: ParallelCorpus) -> pl.DataFrame:
    """item_id, language, hash of the letters and digits of the prompt; of texts long enough to mean something."""
    texts = texts_of(corpus, 0, corpus.num_items, frame_of(corpus))
    parts = []
    for tag, prompts in texts.prompts.items():
        letters = prompts.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", "")
        rows = texts.frame(hash=letters.hash(), long=letters.str.len_chars() >= MIN_LETTERS)
        parts.append(rows.filter("long").select("item_id", "hash", language=pl.lit(tag)))
    return pl.concat(parts)
