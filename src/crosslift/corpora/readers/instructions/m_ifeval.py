"""Reader of M-IFEval (arXiv 2502.04688): prompts with verifiable instructions, in English, Spanish and French.

`path` is the folder of the release with `<language>_input_data.jsonl`. The prompts differ between languages, so a
corpus has one language. The data set has no completions; the assistant message contains the names of the instructions.
"""

from __future__ import annotations

import json
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "Apache-2.0"
NUM_ITEMS = {"en": 541, "es": 115, "fr": 235}


def read(source: Source) -> ParallelCorpus:
    """Read one language.

    Raises:
        CorpusError: Several languages, an unsupported language, a missing file, invalid lines or a wrong number of
            lines.
    """
    choose_split(source, "test")
    if len(source.languages) > 1 or source.languages[0] not in NUM_ITEMS:
        raise CorpusError(
            f"{source.place}: prompts differ between languages. Use one corpus per language: {', '.join(NUM_ITEMS)}."
        )
    (tag,) = source.languages
    file = find_file(source, f"{tag}_input_data.jsonl")
    problems = Problems(source, file)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        try:
            found = parse_json(line)
            gold = {key: found[key] for key in ("instruction_id_list", "kwargs")}
            prompt = found["prompt"].strip()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.add(number, f"is not an object with prompt, instruction_id_list and kwargs ({error}).")
            continue
        rows.append(
            {
                "item_id": f"m-ifeval-{tag}-{number:03d}",
                "language": tag,
                "messages": message(prompt, ", ".join(gold["instruction_id_list"])),
                "answer": json.dumps(gold, ensure_ascii=False),
                "cluster": None,
                "origin": "human",
            }
        )
    if len(rows) != NUM_ITEMS[tag]:
        problems.whole(f"has {len(rows)} items and must have {NUM_ITEMS[tag]}. Download the file again.")
    problems.stop()
    return build(source, rows, [file], licence=LICENCE)
