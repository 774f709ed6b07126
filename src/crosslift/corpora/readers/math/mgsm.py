"""Reader of MGSM (arXiv 2210.03057): 250 problems of the GSM8K test set, translated into ten languages by humans.

`path` is the folder of the release; without `path`, `juletxu/mgsm` with the same files is read from the hub:

    mgsm_<language>.tsv                   split "test": a question and a number per line; lines are aligned
    exemplars.py (or exemplars.json)      split "train": the eight worked problems for few-shot prompts

In the test split, the assistant message is the number alone, because MGSM has no worked solutions there. Four answers
have a thousands separator in every language, which is removed in `answer`. The labels of the exemplars ("Question:",
"Step-by-Step Answer:") are removed, because the study file determines the prompt form.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, plain_number, read_lines
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {}
NEEDS_PATH = None
HUB = "juletxu/mgsm"
LICENCE = "CC BY 4.0"
NUM_ITEMS = 250
NUM_EXEMPLARS = 8

_LABEL = re.compile(r"^[^:：\n]{1,40}[:：]\s*")


def read(source: Source) -> ParallelCorpus:
    """Read the requested languages.

    Raises:
        CorpusError: Missing files, invalid lines, a wrong number of lines, or answers that differ between languages.
    """
    split = choose_split(source, "test", "train")
    folder, commit = hub.folder(source, HUB, ["mgsm_*.tsv", "exemplars.*"])
    if split == "train":
        file = find_file(source, "exemplars.py", "exemplars.json", folder=folder)
        return build(source, _exemplars(source, file), [file], licence=LICENCE, hub=commit)
    files = [find_file(source, f"mgsm_{tag}.tsv", folder=folder) for tag in source.languages]
    tables = [_read(source, file) for file in files]
    for file, table in zip(files, tables, strict=True):
        for number, ((_, answer), (_, first)) in enumerate(zip(table, tables[0], strict=True), start=1):
            if answer != first:
                raise CorpusError(
                    f"{source.place}, {file.name}, line {number}: the answer is {answer} here and {first} in "
                    f"{files[0].name}. Download both again."
                )
    rows: list[dict[str, Any]] = [
        {
            "item_id": f"mgsm-{number:04d}",
            "language": tag,
            "messages": message(question, answer),
            "answer": plain_number(answer),
            "cluster": None,
            "origin": "human",
        }
        for tag, table in zip(source.languages, tables, strict=True)
        for number, (question, answer) in enumerate(table, start=1)
    ]
    return build(source, rows, files, licence=LICENCE, hub=commit)


def _read(source: Source, file: Path) -> list[tuple[str, str]]:
    problems = Problems(source, file)
    table: list[tuple[str, str]] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        question, tab, answer = line.partition("\t")
        if not tab or not question.strip() or plain_number(answer) is None:
            problems.add(number, f"is not a question, a tab and a number: {line!r:.60}. Download the file again.")
        table.append((question.strip(), answer.strip()))
    if len(table) != NUM_ITEMS:
        problems.whole(f"has {len(table)} lines and must have {NUM_ITEMS}. Download the file again.")
    problems.stop()
    return table


def _exemplars(source: Source, file: Path) -> list[dict[str, Any]]:
    """Return eight items per language. The Python file is parsed for literals and never executed."""
    try:
        found = _literals("\n".join(read_lines(source, file)), file)
        answers, texts = found["EXEMPLAR_NUMBER_ANSWERS"], found["MGSM_EXEMPLARS"]
        rows = [
            {
                "item_id": f"mgsm-exemplar-{number}",
                "language": tag,
                "messages": message(_LABEL.sub("", texts[tag][key]["q"]), _LABEL.sub("", texts[tag][key]["a"])),
                "answer": str(answers[number - 1]),
                "cluster": None,
                "origin": "human",
            }
            for tag in source.languages
            for number, key in enumerate(map(str, range(1, NUM_EXEMPLARS + 1)), start=1)
        ]
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError) as error:
        raise CorpusError(
            f"{source.place}, {file.name}: does not contain {NUM_EXEMPLARS} exemplars in {', '.join(source.languages)} "
            f"({type(error).__name__}: {error}). Download the file again, or request other languages."
        ) from error
    return rows


def _literals(text: str, file: Path) -> dict[str, Any]:
    if file.suffix == ".json":
        return dict(parse_json(text))
    return {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
