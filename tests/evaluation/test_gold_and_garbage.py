"""For every task in every language of the pocket world: the gold answer scores 1 and garbage never scores."""

from __future__ import annotations

import pytest

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.evaluation.task import task
from crosslift.languages.language import language
from crosslift.pocket.grammar import tags

TASKS = ("math", "api_calling", "summarization", "instruction_following")
GARBAGE = (
    "",
    " \n",
    "???",
    "。。。",
    "\x00",
    "<|end|>",
    "qwz xkv",
    "[[[",
    "{]",
    "= = =",
    "🙂🙂",
    "\\boxed{}",
    "f(",
    "None",
)
TAGS = tags()


@pytest.mark.parametrize("name", TASKS)
def test_gold_scores_1_and_garbage_never(name: str):
    module = task(name)
    source = Source(name="gold", reader="pocket", task=name, split="test", languages=TAGS, max_items=12)
    for row in pocket.read(source).rows.iter_rows(named=True):
        spoken_in = language(row["language"])
        gold = module.score(row["messages"][-1]["content"], row["answer"], spoken_in)
        assert gold.status == "scored" and gold.values[module.METRICS[0]] == pytest.approx(1.0), row
        if not row["answer"] or row["answer"] == "[]":
            continue  # silence is right where no call helps
        for text in GARBAGE:
            found = module.score(text, row["answer"], spoken_in)
            assert found.values[module.METRICS[0]] < 1e-9, (row["language"], text, row["answer"])
