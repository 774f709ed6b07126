"""Reader of X-SCITLDR (arXiv 2205.15051): cross-lingual summaries of papers, one or two sentences per abstract.

`path` is the folder of the release with `postedit/<language>/{train,val}.jsonl` for de, it and zh, whose English
sources are aligned by line, and `human/ja/`, which covers other papers. The first of several references is the gold
answer. With `abstracts = "translated"`, the source is the machine-translated abstract in `abstract_mt/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {"abstracts": str}
"""abstracts: "english" (default) or "translated"."""
NEEDS_PATH = True
LICENCE = "MIT (data set page)"
NUM_ITEMS = {"train": 1992, "validation": 619}
NUM_ITEMS_JA = {"train": 1607, "validation": 200}


def read(source: Source) -> ParallelCorpus:
    """Read a split. Japanese requires a separate corpus, because it covers other papers.

    Raises:
        CorpusError: Missing files, invalid lines, a wrong number of lines, or sources that differ between languages.
    """
    split = choose_split(source, "train", "validation")
    if "ja" in source.languages and len(source.languages) > 1:
        raise CorpusError(
            f"{source.place}: ja covers other papers than the other languages. Use a separate corpus for it."
        )
    abstracts = str(source.options.get("abstracts", "english"))
    if abstracts not in ("english", "translated"):
        raise CorpusError(f"{source.place}: abstracts must be 'english' or 'translated', not {abstracts!r}. Change it.")
    name = {"train": "train", "validation": "val"}[split]
    rows: list[dict[str, Any]] = []
    files: list[Path] = []
    first: list[str] = []
    for tag in source.languages:
        file = find_file(source, f"postedit/{tag}/{name}.jsonl", f"human/{tag}/{name}.jsonl")
        found = _read(source, file, (NUM_ITEMS_JA if tag == "ja" else NUM_ITEMS)[split])
        sources = [text for text, _ in found]
        first = first or sources
        if sources != first:
            raise CorpusError(
                f"{source.place}, {file}: its sources differ from those of the other languages. Download both again."
            )
        files.append(file)
        if abstracts == "translated":
            files.append(find_file(source, f"abstract_mt/{tag}/{name}.target"))
            sources = read_lines(source, files[-1])
        rows += [
            {
                "item_id": f"xscitldr-{'ja-' if tag == 'ja' else ''}{name}-{number:04d}",
                "language": tag,
                "messages": message(text.strip(), targets[0]),
                "answer": targets[0],
                "cluster": None,
                "origin": "human" if tag == "ja" else "mt, post-edited",
            }
            for number, (text, (_, targets)) in enumerate(zip(sources, found, strict=False), start=1)
        ]
    return build(source, rows, files, licence=LICENCE)


def _read(source: Source, file: Path, num_items: int) -> list[tuple[str, list[str]]]:
    problems = Problems(source, file)
    found: list[tuple[str, list[str]]] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        try:
            item = parse_json(line)
            text, targets = item["source"], item["target"]
        except (ValueError, KeyError, TypeError) as error:
            problems.add(number, f"is not an object with source and target ({error}). Download the file again.")
            continue
        targets = [target.strip() for target in ([targets] if isinstance(targets, str) else targets)]
        if not isinstance(text, str) or not targets or not targets[0]:
            problems.add(number, "lacks its source or its summary. Download the file again.")
        found.append((" ".join(text) if isinstance(text, list) else str(text), targets))
    if len(found) != num_items:
        problems.whole(f"has {len(found)} lines and must have {num_items}. Download the file again.")
    problems.stop()
    return found
