"""Reader of mCoT-MATH (arXiv 2406.02301): math problems with worked solutions, machine-translated into ten languages.

`path` is a folder with the files of the release (JSON); without `path`, `laihuiyuan/mCoT-MATH` is read from the hub. A
row has

    lang-id     language and number, such as "sw-1234"; the number identifies the item
    question    the problem
    answer      a worked solution that ends with the answer

The data set has more than half a million items per language, so `max_items` is recommended. The gold answer is the last
number of the English solution, or of the first requested language without English. Solutions were translated
independently of problems, and some end with a different number; a note states how many, and `mismatched = "drop"` drops
them. Languages lack some items, so set incomplete = "drop". There is no validation split; `num_validation` uses the
first items for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from crosslift.corpora import hub
from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source, taken_in_order
from crosslift.corpora.published import choose_split, message
from crosslift.languages.language import language
from crosslift.languages.numerals import Number, fold, numbers, write

OPTIONS: dict[str, type] = {"num_validation": int, "mismatched": str}
NEEDS_PATH = None
HUB = "laihuiyuan/mCoT-MATH"
LICENCE = "Apache-2.0"
LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
BATCH = 50_000
"""Items whose texts are held in memory at a time."""


def read(source: Source) -> ParallelCorpus:
    """Read one split in the requested languages.

    Raises:
        CorpusError: Unreadable files, missing columns, unknown options, or too few items.
    """
    split = choose_split(source, "train", "validation")
    mismatched = source.options.get("mismatched", "keep")
    if mismatched not in ("keep", "drop"):
        raise CorpusError(f"{source.place}: mismatched must be 'keep' or 'drop', not {mismatched!r}. Change it.")
    found, revision = hub.table(source, HUB, split="train")
    hub.check_columns(source, found, ("lang-id", "question", "answer"))
    index = _index(source, found)
    items = index["item"].unique(maintain_order=True)
    if source.incomplete == "drop":
        counts = index.group_by("item", maintain_order=True).len()
        items = counts.filter(pl.col("len") == len(source.languages))["item"]
    items = taken_in_order(source, items)
    first = int(source.options.get("num_validation", 0))
    items = items.head(first) if split == "validation" else items.slice(first)
    limit = source.max_items or len(items)
    rows, num_wrong, taken = [pl.DataFrame(schema=ROWS)], 0, 0
    for batch in _batches(items, limit):
        part, wrong = _read(source, found, index.filter(pl.col("item").is_in(batch.implode())))
        num_wrong += len(wrong)
        if mismatched == "drop":
            part = part.filter(~pl.col("item_id").is_in(wrong))
        rows.append(part)
        taken += part["item_id"].n_unique()
        if taken >= limit:
            break
    kept = "were dropped" if mismatched == "drop" else 'are kept; mismatched = "drop" drops them'
    notes = [f"{num_wrong} items whose solution ends with another number in a language {kept}."] if num_wrong else []
    return ParallelCorpus.build(source, pl.concat(rows), licence=LICENCE, revision=revision, notes=notes)


def _index(source: Source, found: Any) -> pl.DataFrame:
    """Return the columns row, language and item for the requested languages, in the order of the files."""
    ids = pl.Series("lang-id", found.select_columns(["lang-id"]).with_format("arrow")["lang-id"]).cast(pl.String)
    split = ids.str.splitn("-", 2).struct.rename_fields(["language", "item"]).struct.unnest()
    index = split.with_row_index("row").filter(pl.col("language").is_in(list(source.languages)))
    return index.filter(pl.col("item").is_not_null())


def _batches(items: pl.Series, limit: int) -> Iterator[pl.Series]:
    """Yield batches of slightly more items than the limit, because some items may be dropped."""
    size = min(BATCH, limit + limit // 10 + 10)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _read(source: Source, found: Any, index: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows of the items in `index`, and the ids of items whose solutions end with different numbers."""
    texts = found.select(index["row"].to_list())
    answers: dict[str, dict[str, Number | None]] = {}
    for tag, item, solution in zip(index["language"], index["item"], texts["answer"], strict=True):
        found_numbers = numbers(fold(solution), language(tag))
        answers.setdefault(item, {})[tag] = found_numbers[-1] if found_numbers else None
    gold = {item: _gold(source, by_tag) for item, by_tag in answers.items()}
    rows = [
        {
            "item_id": f"mcot-{item}",
            "language": tag,
            "messages": message(question.strip(), solution.strip()),
            "answer": "" if (number := gold[item]) is None else write(number.value),
            "cluster": None,
            "origin": "llm" if tag == "en" else "mt",
        }
        for tag, item, question, solution in zip(
            index["language"], index["item"], texts["question"], texts["answer"], strict=True
        )
    ]
    wrong = [f"mcot-{item}" for item, by_tag in answers.items() if not _agree(gold[item], by_tag)]
    return pl.DataFrame(rows, schema=ROWS), wrong


def _gold(source: Source, by_tag: dict[str, Number | None]) -> Number | None:
    """Return the number of the English solution, or of the first requested language that has one."""
    return by_tag.get("en") or next((by_tag[tag] for tag in source.languages if by_tag.get(tag)), None)


def _agree(gold: Number | None, by_tag: dict[str, Number | None]) -> bool:
    return gold is not None and all(number is not None and gold.value in number.readings for number in by_tag.values())
