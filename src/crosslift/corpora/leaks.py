"""Detection of evaluation items that occur in the training data, in any language.

An English training set that contains the same problem leaks a Swahili test item, because translated sets are made from
the same source. Texts are therefore compared across all languages of both corpora, and so are item ids that contain
letters. The whole training corpus is compared, not only the items that a mixture draws, because mixtures change more
often.

Of API calling, the names of the called APIs are compared as well: API-Bank's splits and those of arXiv 2604.13286 have
disjoint APIs, so that the test is about calls that were never trained on. Common APIs are a warning.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.findings import FINDINGS, as_findings, frame_of, texts_of

CALLING = "api_calling"
"""The task whose APIs are compared."""
MIN_LETTERS = 20
"""Minimum number of letters and digits of compared texts, since shorter texts coincide by chance."""


def find_leaks(trained: Iterable[ParallelCorpus], evaluated: ParallelCorpus) -> pl.DataFrame:
    """Find rows of an evaluation corpus whose text (in any language) or id occurs in a training corpus.

    Args:
        trained: The training corpora.
        evaluated: The evaluation corpus.

    Returns:
        Columns as in `FINDINGS`, with the check "leaks". The language is that of the evaluated row. Common texts and
        ids are errors, common APIs warnings.
    """
    trained, held_out = list(trained), _rows(evaluated)
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
    found = as_findings(parts).with_columns(check=pl.lit("leaks"), severity=pl.lit("error")).select(FINDINGS.names())
    if evaluated.task != CALLING:
        return found
    return pl.concat([found, *(_common_apis(corpus, evaluated) for corpus in trained if corpus.task == CALLING)])


def _common_apis(corpus: ParallelCorpus, evaluated: ParallelCorpus) -> pl.DataFrame:
    """One warning per API that both corpora call, at its first item in the evaluation corpus."""
    known = set(_apis(corpus)["api"])
    first = _apis(evaluated).filter(pl.col("api").is_in(list(known))).unique("api", keep="first", maintain_order=True)
    reason = pl.format("corpora.{} trains calls of the API '{}'", pl.lit(corpus.name), "api")
    warnings = as_findings([first.select("item_id", "language", reason=reason)])
    return warnings.with_columns(check=pl.lit("leaks"), severity=pl.lit("warning")).select(FINDINGS.names())


def _apis(corpus: ParallelCorpus) -> pl.DataFrame:
    """Return item_id, language and the name of the first API that the gold answer calls, as text or as JSON."""
    written = pl.coalesce(
        pl.col("answer").str.extract(r"^\s*\[?\s*([\p{L}_][\w.]*)\s*\("),
        pl.col("answer").str.extract(r'"name"\s*:\s*"([^"]+)"'),
    )
    return corpus.rows.select("item_id", "language", api=written).drop_nulls("api")


def _rows(corpus: ParallelCorpus) -> pl.DataFrame:
    """Return item_id, language and a hash of the letters and digits of each prompt that is long enough to compare."""
    texts = texts_of(corpus, 0, corpus.num_items, frame_of(corpus))
    parts = []
    for tag, prompts in texts.prompts.items():
        letters = prompts.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", "")
        rows = texts.frame(hash=letters.hash(), long=letters.str.len_chars() >= MIN_LETTERS)
        parts.append(rows.filter("long").select("item_id", "hash", language=pl.lit(tag)))
    return pl.concat(parts)
