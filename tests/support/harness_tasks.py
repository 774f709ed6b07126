"""Tasks for lm-evaluation-harness on this machine: items of the pocket world, each in the harness's own format.

reading_<tag>       multiple choice with full answers (as XCOPA, XStoryCloze)
letters_<tag>       multiple choice with letters (as Belebele, Global-MMLU)
next_<tag>          the result of a word problem among four numbers (as MMLU by cloze)
solving_<tag>       word problems with generated answers, the filters and the metric of mgsm_direct
text_<tag>          bits per byte of whole texts (as WikiText)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket

MULTIPLE_CHOICE = """
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: {choices}
doc_to_target: gold
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_bytes
  - metric: acc_mutual_info
"""

SOLVING = """
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
output_type: generate_until
test_split: test
target_delimiter: ""
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: ["\\n\\n"]
  do_sample: false
  max_gen_toks: 64
filter_list:
  - name: remove_whitespace
    filter:
      - function: remove_whitespace
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: (-?[$0-9.,]{{2,}})|(-?[0-9]+)
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: true
"""

TEXT = """
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - metric: bits_per_byte
  - metric: byte_perplexity
"""


def pocket_rows(task: str, tag: str, num_items: int) -> list[dict[str, Any]]:
    """Test items of the pocket world in one language."""
    source = Source(name="test", reader="pocket", task=task, split="test", languages=(tag,), max_items=num_items)
    return list(pocket.read(source).rows.iter_rows(named=True))


def write_harness_tasks(folder: Path, tags: tuple[str, ...], *, num_items: int = 8, num_solved: int = 0) -> Path:
    """Write tasks and their data; `solving` and `text` have `num_solved` items and are left out if it is 0."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for tag in tags:
        reading = [
            {"id": row["item_id"], "question": row["messages"][0]["content"], **json.loads(row["answer"])}
            for row in pocket_rows("multiple_choice", tag, num_items)
        ]
        _write(folder, f"reading_{tag}", MULTIPLE_CHOICE, reading, choices='"{{choices}}"')
        lettered = [
            {
                **row,
                "question": "\n".join(
                    [row["question"], *(f"{x}: {y}" for x, y in zip("ABCD", row["choices"], strict=True)), "Answer:"]
                ),
                "choices": ["A", "B", "C", "D"],
            }
            for row in reading
        ]
        _write(folder, f"letters_{tag}", MULTIPLE_CHOICE, lettered, choices='"{{choices}}"')
        numbers = []
        for row in pocket_rows("math", tag, num_items):
            right = int(row["answer"])
            options = sorted({right, right + 1, right + 10, right * 2})
            question = f"{row['messages'][0]['content']}\nAnswer:"
            numbers.append(
                {
                    "id": row["item_id"],
                    "question": question,
                    "choices": [str(one) for one in options],
                    "gold": options.index(right),
                }
            )
        _write(folder, f"next_{tag}", MULTIPLE_CHOICE, numbers, choices='"{{choices}}"')
        if num_solved:
            solved = pocket_rows("math", tag, num_solved)
            _write(
                folder,
                f"solving_{tag}",
                SOLVING,
                [{"question": row["messages"][0]["content"], "answer": row["answer"]} for row in solved],
            )
            texts = [{"text": "\n".join(message["content"] for message in row["messages"])} for row in solved]
            _write(folder, f"text_{tag}", TEXT, texts)
    return folder


def _write(folder: Path, task: str, template: str, rows: list[dict[str, Any]], **slots: str) -> None:
    file = f"data/{task}.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / f"{task}.yaml").write_text(template.format(task=task, file=file, **slots), encoding="utf-8")
