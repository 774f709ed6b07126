"""Reader of GSM8K (arXiv 2110.14168) with worked solutions, and of its training questions in seven other languages.

`path` is a folder that contains

    gsm8k/train.jsonl, gsm8k/test.jsonl                 the release by OpenAI: question and worked solution, English
    gsm8k_translated_questions/<language>-en/train.*    the questions of MGSM8KInstruct as published by QAlign: line by
                                                        line in the language and in English (`train.en`), which
                                                        identifies the item

or, instead of these pairs, `gsm8k_translated_questions/train.<language>` with a table `gsm8k_train_ids.tsv` beside them
(columns lang, line, gsm8k_train_index, both counted from 0).

Only questions are translated. In every language the assistant message is the published English solution, without its
calculator annotations `<<48/2=24>>` and with its last line `#### 72`, which the scorer of `math` parses. Such data
train a model to understand a language but not to generate it; report `in_language` beside accuracy.

No language has all 7,473 items, and the missing items differ, so training on several languages requires incomplete =
"drop": 7,342 items exist in all eight. GSM8K has no validation split; `num_validation` uses the first items of the
training file, because more translations are missing towards its end.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import (
    Problems,
    build,
    choose_split,
    find_file,
    message,
    plain_number,
    read_lines,
    read_objects,
)

OPTIONS: dict[str, type] = {"untranslated": str, "num_validation": int}
"""untranslated: "keep" (default) or "drop" questions that are English in the file of another language; dropping them
makes their items incomplete. num_validation: number of items at the beginning of the training file that form the split
"validation" and are excluded from "train"; use the same number in both corpora."""
NEEDS_PATH = True
LICENCE = "MIT; the translated questions state none (upstream MIT)"
NUM_ITEMS = {"train": 7473, "test": 1319}
TRANSLATOR = "mt:chatgpt"

_CALCULATOR = re.compile(r"<<[^<>\n]*>>")


def read(source: Source) -> ParallelCorpus:
    """Read one split: "train" and "validation" in eight languages, "test" in English.

    Raises:
        CorpusError: Missing files, invalid lines, unknown options or a wrong number of items.
    """
    split = choose_split(source, "train", "validation", "test")
    untranslated = source.options.get("untranslated", "keep")
    if untranslated not in ("keep", "drop"):
        raise CorpusError(f"{source.place}: untranslated must be 'keep' or 'drop', not {untranslated!r}. Change it.")
    file = find_file(source, f"gsm8k/{'test' if split == 'test' else 'train'}.jsonl")
    items = _read_items(source, file)
    part = _part(source, split, len(items))
    files, notes = [file], []
    rows = (
        [_row(file, index, "en", items[index][0], items[index]) for index in part] if "en" in source.languages else []
    )
    for tag in source.languages:
        if tag == "en":
            continue
        if split == "test":
            raise CorpusError(f"{source.place}: the test split is English only. Use MGSM for '{tag}'.")
        translated = find_file(
            source, f"gsm8k_translated_questions/{tag}-en/train.{tag}", f"gsm8k_translated_questions/train.{tag}"
        )
        if translated.parent.name == f"{tag}-en":
            key = find_file(source, f"gsm8k_translated_questions/{tag}-en/train.en")
            index = _match_english(source, key, items)
        else:
            key = find_file(source, "gsm8k_translated_questions/gsm8k_train_ids.tsv")
            index = _read_index(source, key, tag, len(items))
        files += [translated, *([] if key in files else [key])]
        questions = _read_translated(source, translated, index)
        english = [index for index in part if questions.get(index) == items[index][0]]
        if english:
            kept = "were dropped" if untranslated == "drop" else "remain in English"
            notes.append(f"{tag}: {len(english)} of {len(part)} questions are not translated and {kept}.")
        solved = sum("<<" in questions.get(index, "") for index in part)
        if solved:
            notes.append(f"{tag}: {solved} questions contain steps of the solution (<<...>>).")
        skipped = set(english) if untranslated == "drop" else set()
        rows += [
            _row(file, index, tag, questions[index], items[index])
            for index in part
            if index in questions and index not in skipped
        ]
    if set(source.languages) - {"en"}:
        notes.append("Solutions are English in all languages.")
    return build(source, rows, files, licence=LICENCE, notes=notes)


def _read_items(source: Source, file: Path) -> list[tuple[str, str, str]]:
    """Return (question, solution, answer) for every line."""
    problems = Problems(source, file)
    items: list[tuple[str, str, str]] = []
    objects = read_objects(source, file, read_lines(source, file), ("question", "answer"))
    for number, found in enumerate(objects, start=1):
        solution = _CALCULATOR.sub("", found["answer"]).strip()
        answer = plain_number(solution.rpartition("####")[2])
        if "####" not in solution or answer is None:
            problems.add(number, "the solution does not end in '#### <number>'. Download the file again.")
        items.append((found["question"].strip(), solution, answer or ""))
    if len(items) != NUM_ITEMS[file.stem]:
        problems.whole(f"has {len(items)} lines and must have {NUM_ITEMS[file.stem]}. Download the file again.")
    problems.stop()
    return items


def _part(source: Source, split: str, num_items: int) -> range:
    held_out = int(source.options.get("num_validation", 0))
    if not 0 <= held_out < num_items or (split == "validation" and not held_out):
        raise CorpusError(
            f"{source.place}: num_validation is {held_out} and must be between {int(split == 'validation')} and "
            f"{num_items - 1}. GSM8K has no validation split; the option uses the first items of its training file."
        )
    if split == "test":
        return range(num_items)
    return range(held_out, num_items) if split == "train" else range(held_out)


def _match_english(source: Source, file: Path, items: list[tuple[str, str, str]]) -> list[int]:
    """Return the training item of each line of an English file. Questions in GSM8K are unique."""
    known = {" ".join(question.split()): index for index, (question, _, _) in enumerate(items)}
    problems = Problems(source, file)
    index: list[int] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        found = known.pop(" ".join(line.split()), None)
        if found is None:
            problems.add(number, f"is no question of gsm8k/train.jsonl, or stands there twice: {line!r:.60}.")
        else:
            index.append(found)
    problems.stop()
    return index


def _read_index(source: Source, file: Path, tag: str, num_items: int) -> list[int]:
    """Return the training item of each line of a translated file."""
    problems = Problems(source, file)
    index: list[int] = []
    for number, line in enumerate(read_lines(source, file), start=1):
        cells = line.split("\t")
        if number == 1 or cells[0] != tag:
            continue
        well_formed = len(cells) == 3 and cells[1] == str(len(index)) and cells[2].isascii() and cells[2].isdigit()
        if not well_formed or int(cells[2]) >= num_items or (index and int(cells[2]) <= index[-1]):
            problems.add(number, f"is not the next line of {tag} and a later item: {line!r:.60}. Restore the file.")
            break
        index.append(int(cells[2]))
    problems.stop()
    return index


def _read_translated(source: Source, file: Path, index: list[int]) -> dict[int, str]:
    """Return training item -> question in the language."""
    problems = Problems(source, file)
    lines = [line.strip() for line in read_lines(source, file)]
    for number, line in enumerate(lines, start=1):
        if not line:
            problems.add(number, "is empty. Download the file again.")
    if len(lines) != len(index):
        problems.whole(f"has {len(lines)} lines and its list of items has {len(index)}. Download both files again.")
    problems.stop()
    return dict(zip(index, lines, strict=True))


def _row(file: Path, index: int, tag: str, question: str, item: tuple[str, str, str]) -> dict[str, Any]:
    _, solution, answer = item
    return {
        "item_id": f"gsm8k-{file.stem}-{index + 1:04d}",
        "language": tag,
        "messages": message(question, solution),
        "answer": answer,
        "cluster": None,
        "origin": "human" if tag == "en" else TRANSLATOR,
    }
