"""Items that say the same as another item: letter by letter in any language, nearly in the reference language.

Exact: the hash of all letters, digits and signs of arithmetic, however they are spaced; two languages of one item are
`untranslated`'s business. Nearly: the four smallest hashes of a text's words agree (a bottom-k sketch, Broder 1997),
and then at least nine tenths of the words of both do. Numbers count: the same story with other numbers is another problem.
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora.findings import Texts, found_in, gathered

SEVERITY = "warning"
TITLE = "another item says the same"
MIN_WORDS = 6
MIN_SHARED = 0.9
_SKETCH = 4
_SPACING = r"[^\p{L}\p{M}\p{N}+=<>^/*]+"


class Check:
    def __init__(self, sample: Texts) -> None:
        self._ids: list[pl.Series] = []
        self._hashes: dict[str, list[pl.Series]] = {tag: [] for tag in sample.languages}
        self._near: list[pl.DataFrame] = []

    def look(self, texts: Texts) -> pl.DataFrame:
        self._ids.append(texts.item_ids)
        for tag, prompts in texts.prompts.items():
            self._hashes[tag].append(prompts.str.to_lowercase().str.replace_all(_SPACING, "").hash())
        words = texts.frame(words=_words(texts.prompts[texts.reference]).str.split(" ").list.unique())
        long = words.filter(pl.col("words").list.len() >= MIN_WORDS)
        smallest = pl.col("words").list.eval(pl.element().hash()).list.sort().list.head(_SKETCH)
        self._near.append(
            long.with_columns(sketch=smallest.list.eval(pl.element().cast(pl.String)).list.join(" ").hash())
        )
        self._near[-1] = self._near[-1].with_columns(language=pl.lit(texts.reference))
        return gathered([])

    def finish(self) -> pl.DataFrame:
        ids = pl.concat(self._ids)
        exact = [self._exact(ids, tag, pl.concat(parts)) for tag, parts in self._hashes.items()]
        near = pl.concat(self._near)
        near = near.filter(pl.col("sketch").is_duplicated())
        return gathered([*exact, self._nearly(near, exact)])

    @staticmethod
    def _exact(ids: pl.Series, tag: str, hashes: pl.Series) -> pl.DataFrame:
        rows = pl.DataFrame({"item_id": ids, "hash": hashes}).filter(pl.col("hash").is_duplicated())
        first = rows.with_columns(first=pl.col("item_id").first().over("hash")).filter(
            pl.col("item_id") != pl.col("first")
        )
        return found_in(first, tag, pl.format("the same text as '{}'", "first"))

    @staticmethod
    def _nearly(near: pl.DataFrame, exact: list[pl.DataFrame]) -> pl.DataFrame:
        known = {item for part in exact for item in part["item_id"]}
        parts = []
        for _, group in near.sort("item_id").group_by("sketch", maintain_order=True):
            sets = [set(words) for words in group["words"]]
            like = [None, *(_first_like(sets, place) for place in range(1, len(sets)))]
            rows = group.with_columns(
                first=pl.Series([None if place is None else group["item_id"][place] for place in like], dtype=pl.String)
            ).filter(pl.col("first").is_not_null() & ~pl.col("item_id").is_in(list(known)))
            if not rows.is_empty():
                parts.append(found_in(rows, rows["language"][0], pl.format("nearly the same text as '{}'", "first")))
        return gathered(parts)


def _first_like(sets: list[set[str]], place: int) -> int | None:
    for earlier in range(place):
        both, either = len(sets[place] & sets[earlier]), len(sets[place] | sets[earlier])
        differing = sets[place] ^ sets[earlier]
        if both >= MIN_SHARED * either and not any(word.isdigit() for word in differing):
            return earlier
    return None


def _words(series: pl.Series) -> pl.Series:
    return series.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
