"""Reader of the Dolly prompts of the Aya evaluation suite (arXiv 2402.06619): 200 open-ended prompts, 100+ languages.

`path` is a folder with the sub-folder `dolly_machine_translated` as published; without `path`,
`CohereLabs/aya_evaluation_suite` is read from the hub. A row has

    source_id              id of the Dolly item, equal in all languages
    inputs, targets        prompt and reference answer
    language, script       "fra", "Latn"; Chinese and Arabic occur in several variants

The original is English; prompts and references in other languages are machine translations (NLLB). The only split is
"test".
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora import hub
from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import choose_split, message
from crosslift.languages.language import language

OPTIONS: dict[str, type] = {"subset": str}
"""subset: "dolly_machine_translated" (default) or "dolly_human_edited", which has ar, es, fr, hi, ru and sr only."""
NEEDS_PATH = None
HUB = "CohereLabs/aya_evaluation_suite"
LICENCE = "Apache-2.0"
SUBSETS = ("dolly_machine_translated", "dolly_human_edited")
CODES = {"zh": ("zho", "Hans"), "ar": ("arb", "Arab")}
"""Languages whose code in the data set differs from ISO 639-3, or whose code has several scripts."""


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: Unreadable files, missing columns, an unknown subset or a language that the data set lacks.
    """
    choose_split(source, "test")
    subset = source.options.get("subset", SUBSETS[0])
    if subset not in SUBSETS:
        raise CorpusError(f"{source.place}: subset must be {' or '.join(SUBSETS)}, not {subset!r}. Change it.")
    found, revision = hub.table(source, HUB, part=subset, split="test")
    hub.check_columns(source, found, ("source_id", "inputs", "targets", "language", "script"))
    rows = []
    for tag in source.languages:
        code, script = CODES.get(tag, (language(tag).iso639_3, None))
        places = [
            place
            for place, (row_code, row_script) in enumerate(zip(found["language"], found["script"], strict=True))
            if row_code == code and script in (None, row_script)
        ]
        rows += [
            {
                "item_id": f"dolly-{row['source_id']}",
                "language": tag,
                "messages": message(row["inputs"].strip(), row["targets"].strip()),
                "answer": row["targets"].strip(),
                "cluster": None,
                "origin": "human" if tag == "en" else "mt:nllb",
            }
            for row in found.select(places)
        ]
    frame = pl.DataFrame(rows, schema=ROWS)
    return ParallelCorpus.build(source, frame, licence=LICENCE, revision=revision)
