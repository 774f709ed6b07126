"""Reader of translated open-ended prompts without references: LLMZoo questions and OpenAssistant prompts.

`path` is the folder of a release, which is recognised by its files:

    <language>100.jsonl     LLMZoo: {"id", "label", "query"}, 100 per language
    test_<language>.jsonl   OpenAssistant, translated for arXiv 2404.04850: {"id", "prompt"}, 50 per language

Items are aligned by id, not by line, because one OpenAssistant file has a different prompt on one line. `answer` is the
English prompt, which judges use as the question. The data sets have no completions, so the only split is "test".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {}
NEEDS_PATH = True
LICENCE = "CC BY-NC 4.0"


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages. With incomplete = "drop", invalid lines are dropped and recorded in the notes.

    Raises:
        CorpusError: Missing files or invalid lines.
    """
    choose_split(source, "test")
    notes: list[str] = []
    files = {
        tag: find_file(source, f"{tag}100.jsonl", f"test_{tag}.jsonl")
        for tag in dict.fromkeys(("en", *source.languages))
    }
    found = {tag: _read(source, file, notes) for tag, file in files.items()}
    rows: list[dict[str, Any]] = [
        {
            "item_id": item,
            "language": tag,
            "messages": message(prompt, found["en"].get(item, prompt)),
            "answer": found["en"].get(item, prompt),
            "cluster": None,
            "origin": "human",
        }
        for tag in source.languages
        for item, prompt in found[tag].items()
    ]
    return build(source, rows, list(files.values()), licence=LICENCE, notes=notes)


def _read(source: Source, file: Path, notes: list[str]) -> dict[str, str]:
    problems = Problems(source, file)
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(source, file), start=1):
        try:
            item = parse_json(line)
            text = item.get("query") or item["prompt"]
            found[str(item["id"])] = text.strip()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"is not an object with id and prompt ({error})."
            if source.incomplete == "drop":
                notes.append(f"{file.name}, line {number}: {what}")
            else:
                problems.add(number, f'{what} Correct it, or set incomplete = "drop".')
    problems.stop()
    if not found:
        raise CorpusError(f"{source.place}, {file.name}: is empty. Download the file again.")
    return found
