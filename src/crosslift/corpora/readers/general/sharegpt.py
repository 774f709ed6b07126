"""Reader of conversations in the ShareGPT format, one file per language.

`path` is a folder with `<language>.json`: a list of objects (or one object per line) with

    id               equal in all languages
    conversations    list of {"from": "human" | "gpt" | "system", "value": text}; it begins with "human" or "system" and
                     is truncated after the last "gpt"

The completions of arXiv 2504.16677 are not published. Generate them with any model and name it in `origin`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.formats.conversations import conversation
from crosslift.corpora.published import Problems, build, choose_split, find_file, read_lines
from crosslift.untrusted.json_text import is_writable, parse_json

OPTIONS: dict[str, type] = {"turns": int, "origin": str, "licence": str}
"""turns: keep the first n exchanges of each conversation (default: all). origin: source of the completions."""
NEEDS_PATH = True


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: Missing files or invalid conversations, each with its number.
    """
    choose_split(source, "train", "validation", "test")
    files = [find_file(source, f"{tag}.json", f"{tag}.jsonl") for tag in source.languages]
    rows: list[dict[str, Any]] = []
    for tag, file in zip(source.languages, files, strict=True):
        problems = Problems(source, file)
        for number, item in enumerate(_items(source, file), start=1):
            if not is_writable(item):
                problems.add(number, "contains a lone surrogate, half of a character. Correct it.", unit="item")
                continue
            messages = _messages(item, int(source.options.get("turns", 0)))
            if messages is None:
                problems.add(
                    number, "is not {id, conversations: [{from, value}]} with an answer. Correct it.", unit="item"
                )
                continue
            rows.append(
                {
                    "item_id": str(item["id"]),
                    "language": tag,
                    "messages": messages,
                    "answer": messages[-1]["content"],
                    "cluster": None,
                    "origin": source.options.get("origin", "unknown"),
                }
            )
        problems.stop()
    return build(source, rows, files, licence=str(source.options.get("licence", "unknown")))


def _items(source: Source, file: Path) -> Iterator[Any]:
    lines = read_lines(source, file)
    try:
        if lines and lines[0].lstrip().startswith("["):
            yield from json.loads("\n".join(lines))
            return
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise CorpusError(f"{source.place}, {file.name}: is not JSON ({reason}). Correct the file.") from error
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                yield parse_json(line)
        except ValueError as error:
            raise CorpusError(
                f"{source.place}, {file.name}, line {number}: is not JSON ({error}). Correct the line."
            ) from error


def _messages(item: Any, turns: int) -> list[dict[str, str]] | None:
    """Return the conversation up to the last answer, or None if the item is invalid."""
    if not isinstance(item, dict) or "id" not in item or not isinstance(item.get("conversations"), list):
        return None
    messages = conversation(item["conversations"])
    if messages is None:
        return None
    answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    return messages[: answers[turns - 1 if 0 < turns <= len(answers) else -1] + 1]
