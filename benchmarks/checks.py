"""All checks on a large corpus, and the same checks row by row in plain Python.

    python benchmarks/checks.py                 # a million items in ten languages; plain Python on the first 5,000
    python benchmarks/checks.py 100000 5000

The corpus is pocket math, written once for 20,000 items and repeated with a number of its own before each text, the
same in all languages. One item in a thousand is spoilt in one language, so that there is something to find. Both passes
see the same rows; plain Python is measured on the first items and stated per million rows.
"""

from __future__ import annotations

import hashlib
import re
import resource
import sys
import time
import unicodedata

import polars as pl

from crosslift.corpora.checks import language as language_check
from crosslift.corpora.checks.protected import EXACT
from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.quality import find, summarise
from crosslift.corpora.readers.general import pocket
from crosslift.discover import members
from crosslift.languages.identify import in_language
from crosslift.languages.language import language
from crosslift.languages.numbers.numerals import numbers, parse

LANGUAGES = ("en", "ar", "de", "es", "fr", "ja", "ru", "sw", "th", "zh")
WRITTEN = 20_000


def make(num_items: int) -> ParallelCorpus:
    source = Source(name="large", reader="pocket", task="math", languages=LANGUAGES, max_items=min(WRITTEN, num_items))
    seed = pocket.read(source).rows.with_columns(
        prompt=pl.col("messages").list.get(0).struct.field("content"),
        completion=pl.col("messages").list.get(1).struct.field("content"),
    )
    per = source.max_items * len(LANGUAGES)
    parts = []
    for copy in range(-(-num_items // WRITTEN)):
        number = pl.int_range(pl.len()) // len(LANGUAGES) + copy * WRITTEN + 100
        spoilt = (number % 1000 == 0) & (pl.col("language") == "sw")
        prompt = pl.format("({}) {}", number, pl.when(spoilt).then(pl.lit("Hakuna.")).otherwise(pl.col("prompt")))
        message = [
            pl.struct(role=pl.lit(role), content=content)
            for role, content in (("user", prompt), ("assistant", pl.col("completion")))
        ]
        parts.append(
            seed.head(per).select(
                item_id=pl.format("item-{}", number),
                language="language",
                messages=pl.concat_list(message),
                answer="answer",
                cluster=pl.format("item-{}", number),
                origin="origin",
            )
        )
    rows = pl.concat(parts, rechunk=True)
    return ParallelCorpus(name="large", task="math", licence="", revision="", languages=LANGUAGES, rows=rows)


def plainly(corpus: ParallelCorpus, num_items: int) -> tuple[float, int]:
    """Seconds and findings of a straightforward pass over the first items."""
    rows = corpus.rows.head(num_items * len(LANGUAGES)).to_dicts()
    spoken = {tag: language(tag) for tag in LANGUAGES}
    begun = time.perf_counter()
    found = 0
    seen: dict[tuple[str, str], str] = {}
    for start in range(0, len(rows), len(LANGUAGES)):
        item = {row["language"]: row for row in rows[start : start + len(LANGUAGES)]}
        english = item["en"]["messages"][0]["content"]
        wanted = [number for number in numbers(english, spoken["en"]) if number.value >= 10]
        for tag, row in item.items():
            text = row["messages"][0]["content"]
            bare = re.sub(r"[\W_]+", "", text.lower())
            key = (tag, hashlib.md5(bare.encode(), usedforsecurity=False).hexdigest())
            found += key in seen
            seen[key] = row["item_id"]
            letters = [c for c in text if c.isalpha()]
            script = language_check.SCRIPTS[spoken[tag].script]
            own = sum(1 for c in letters if _is_in(c, script))
            found += len(letters) >= 12 and own * 2 < len(letters)
            found += not in_language(text, spoken[tag])
            if tag == "en":
                continue
            found += bare == re.sub(r"[\W_]+", "", english.lower())
            found += parse(row["answer"]) != parse(item["en"]["answer"])
            there = {value for number in numbers(text, spoken[tag]) for value in number.readings}
            found += any(not there & set(number.readings) for number in wanted)
            for pattern in EXACT.values():
                found += not set(re.findall(pattern, english)) <= set(re.findall(pattern, text))
            ratio = (len(text.encode()) + 1) / (len(english.encode()) + 1)
            found += not 0.2 < ratio < 6
    return time.perf_counter() - begun, found


def _is_in(character: str, script: str) -> bool:
    name = unicodedata.name(character, "").split(" ")[0].title()
    return name in script or (name == "Cjk" and "Han" in script)


def main() -> None:
    num_items, plain_items = (int(word) for word in (sys.argv[1:3] or ("1000000", "5000")))
    corpus = make(num_items)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    begun = time.perf_counter()
    findings = find(corpus, members("check"))
    ours = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rows = num_items * len(LANGUAGES)
    print(
        f"{num_items:,} items in {len(LANGUAGES)} languages: {ours:.1f} s, {1e6 * ours / rows:.2f} s per million rows"
    )
    print(f"memory: {peak:.1f} GiB at most, {made:.1f} GiB before the checks began")
    print(summarise(findings))
    seconds, found = plainly(corpus, plain_items)
    per_million = 1e6 * seconds / (plain_items * len(LANGUAGES))
    print(
        f"plain Python, {plain_items:,} items: {seconds:.1f} s, {per_million:.0f} s per million rows, {found} findings"
    )
    print(f"ratio {per_million / (1e6 * ours / rows):.0f}")


if __name__ == "__main__":
    main()
