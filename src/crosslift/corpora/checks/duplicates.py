"""Check for duplicates in any language and for near-duplicates in the reference language.

Duplicates have equal hashes of all letters, digits and arithmetic signs, regardless of spacing. Near-duplicates agree
in the four smallest hashes of their words (a bottom-k sketch, Broder 1997) and share at least 90 % of their words.
Texts that differ in a number are not near-duplicates, since the same story with other numbers is another problem.
Equal texts in two languages of one item are reported by the check `untranslated`.
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora.findings import Texts, as_findings, found_in

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
        self._reference = sample.reference

    def look(self, texts: Texts) -> pl.DataFrame:
        self._ids.append(texts.item_ids)
        for tag, prompts in texts.prompts.items():
            self._hashes[tag].append(prompts.str.to_lowercase().str.replace_all(_SPACING, "").hash())
        prompts = texts.prompts[texts.reference]
        self._near.append(texts.frame(text=prompts, sketch=_sketches(prompts)).drop_nulls())
        return as_findings([])

    def finish(self) -> pl.DataFrame:
        ids = pl.concat(self._ids)
        exact = [self._exact(ids, tag, pl.concat(parts)) for tag, parts in self._hashes.items()]
        near = pl.concat(self._near)
        return as_findings([*exact, self._nearly(near.filter(pl.col("sketch").is_duplicated()), exact)])

    @staticmethod
    def _exact(ids: pl.Series, tag: str, hashes: pl.Series) -> pl.DataFrame:
        rows = pl.DataFrame({"item_id": ids, "hash": hashes}).filter(pl.col("hash").is_duplicated())
        first = rows.with_columns(first=pl.col("item_id").first().over("hash")).filter(
            pl.col("item_id") != pl.col("first")
        )
        return found_in(first, tag, pl.format("the same text as '{}'", "first"))

    def _nearly(self, near: pl.DataFrame, exact: list[pl.DataFrame]) -> pl.DataFrame:
        known = {item for part in exact for item in part["item_id"]}
        like: dict[str, str] = {}
        for _, group in near.sort("item_id").group_by("sketch", maintain_order=True):
            sets = [set(words) for words in _words(group["text"]).str.split(" ")]
            for place, item in enumerate(group["item_id"]):
                first = None if item in known else _first_like(sets, place)
                if first is not None:
                    like[item] = group["item_id"][first]
        rows = pl.DataFrame(
            {"item_id": [*like], "first": [*like.values()]}, schema=dict.fromkeys(["item_id", "first"], pl.String)
        )
        return found_in(rows, self._reference, pl.format("nearly the same text as '{}'", "first"))


def _sketches(prompts: pl.Series) -> pl.Series:
    """Compute a hash per text that near-duplicates share; null for texts of fewer than `MIN_WORDS` words.

    All words with digits enter the hash, so that texts with different numbers have different hashes.
    """
    words = pl.DataFrame({"words": _words(prompts).str.split(" ").list.unique()}).with_row_index("row")
    long = words.filter(pl.col("words").list.len() >= MIN_WORDS).explode("words")
    hashed = long.select("row", number=pl.col("words").str.contains(r"\d"), hash=pl.col("words").hash())
    counted = pl.col("hash").filter("number").sum().alias("numbers")
    smallest = pl.col("hash").filter(~pl.col("number")).bottom_k(_SKETCH).sort().implode().alias("smallest")
    per_text = hashed.group_by("row").agg(counted, smallest)
    places = [pl.col("smallest").list.get(place, null_on_oob=True).alias(f"at_{place}") for place in range(_SKETCH)]
    sketch = per_text.with_columns(places).select(
        "row", sketch=pl.struct("numbers", *(f"at_{place}" for place in range(_SKETCH))).hash()
    )
    return words.select("row").join(sketch, on="row", how="left", maintain_order="left")["sketch"]


def _first_like(sets: list[set[str]], place: int) -> int | None:
    for earlier in range(place):
        both, either = len(sets[place] & sets[earlier]), len(sets[place] | sets[earlier])
        differing = sets[place] ^ sets[earlier]
        if both >= MIN_SHARED * either and not any(word.isdigit() for word in differing):
            return earlier
    return None


def _words(series: pl.Series) -> pl.Series:
    return series.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
