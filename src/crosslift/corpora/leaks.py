"""Detection of evaluation items that occur in the training data, in any language.

An English training set that contains the same problem leaks a Swahili test item, because translated sets are made from
the same source. Texts are therefore compared across all languages of both corpora, and so are item ids that contain
letters. The whole training corpus is compared, not only the items that a mixture draws, because mixtures change more
often.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.findings import FINDINGS, as_findings, frame_of, texts_of

MIN_LETTERS = 20
"""Minimum number of letters and digits of compared texts, since shorter texts coincide by chance."""


def find_leaks(trained: Iterable[ParallelCorpus], evaluated: ParallelCorpus) -> pl.DataFrame:
    """Find rows of an evaluation corpus whose text (in any language) or id occurs in a training corpus.

    Args:
        trained: The training corpora.
        evaluated: The evaluation corpus.

    Returns:
        Columns as in `FINDINGS`, with the check "leaks". The language is that of the evaluated row.
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
    """Return item_id, language and a hash of the letters and digits of each prompt that is long enough to compare."""
    texts = texts_of(corpus, 0, corpus.num_items, frame_of(corpus))
    parts = []
    for tag, prompts in texts.prompts.items():
        letters = prompts.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", "")
        rows = texts.frame(hash=letters.hash(), long=letters.str.len_chars() >= MIN_LETTERS)
        parts.append(rows.filter("long").select("item_id", "hash", language=pl.lit(tag)))
    return pl.concat(parts)
