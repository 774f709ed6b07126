"""API-Bank through a served pocket translator: structure kept or row set aside, faults and kills without a trace.

    python benchmarks/translation.py DATA [ITEMS [MODEL]]      # MODEL: a translator trained before

A pocket model is fine-tuned to translate (its references are exact: the grammar writes every text in fourteen
languages), served by `transformers serve`, and asked for its own world first, then for API-Bank, whose words it does
not know: there most rows are set aside, and what is returned must be whole. DATA is the folder of API-Bank's release.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from openai import OpenAI

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from endpoints import FaultyServer, serving
from served import transformers_serving

from crosslift.chat import load_tokenizer
from crosslift.corpora.corpus import ROWS, ParallelCorpus, Source
from crosslift.corpora.readers.calls import api_bank
from crosslift.corpora.readers.general import pocket
from crosslift.discover import member
from crosslift.evaluation.calls import parse_calls
from crosslift.execution.phases import tokens
from crosslift.languages.language import language
from crosslift.pocket.checkpoints import folder as checkpoint
from crosslift.training.trainer import SFTConfig, TrainingRequest
from crosslift.translation import translate as work
from crosslift.translation.recipe import PROMPT, Recipe

LANGUAGES = ("de", "sw")
OWN = 50
"""Items of the pocket world before those of API-Bank."""
MODEL = "cohere-l"  # of Qwen models `transformers serve` expects the chat template of the hub, and parses by it


def lesson(num_items: int) -> ParallelCorpus:
    """Requests to translate, with the exact translation, into every language in turn."""
    rows = []
    marks = random.Random(1)
    for task in ("math", "api_calling", "summarization"):
        source = Source(name="c", reader="pocket", task=task, languages=("en", *LANGUAGES), max_items=num_items)
        found = pocket.read(source).rows.rows(named=True)
        for english, *others in zip(*[iter(found)] * (1 + len(LANGUAGES)), strict=True):
            for other in others:
                for text, answer in pairs(english, other):
                    text, answer = with_marks(text, answer, marks)
                    prompt = PROMPT.format(language=language(other["language"]).name, text=text)
                    rows.append(
                        {
                            "item_id": f"{len(rows)}",
                            "language": "en",
                            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
                            "answer": answer,
                            "cluster": f"{len(rows)}",
                            "origin": "grammar",
                        }
                    )
    random.Random(0).shuffle(rows)
    return ParallelCorpus(
        name="lesson",
        task="open_ended",
        licence="",
        revision="",
        languages=("en",),
        rows=pl.DataFrame(rows, schema=ROWS),
    )


def pairs(english: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Texts of one item and their exact translations: the last lines of its messages, the values of its calls."""
    calls = parse_calls(english["answer"]) if english["answer"].startswith("[") else []
    if not calls:
        for before, after in zip(english["messages"], other["messages"], strict=True):
            yield before["content"].rpartition("\n")[2], after["content"].rpartition("\n")[2]
        return
    yield english["messages"][0]["content"].rpartition("\n")[2], other["messages"][0]["content"].rpartition("\n")[2]
    for call, same in zip(calls, parse_calls(other["answer"]), strict=True):
        for (_, value), (_, translated) in zip(call.arguments, same.arguments, strict=True):
            if not any(character.isdigit() for character in str(value)):
                yield str(value), str(translated)


def with_marks(text: str, answer: str, choice: random.Random) -> tuple[str, str]:
    """In half of the pairs some numbers become marks, or marks stand before or behind: they must come through."""
    if choice.random() < 0.5:
        return text, answer
    number = 0
    for digits in dict.fromkeys(re.findall(r"\d+", text)):
        if choice.random() < 0.5 and len(re.findall(rf"\b{digits}\b", answer)) == len(
            re.findall(rf"\b{digits}\b", text)
        ):
            number += 1
            text, answer = (re.sub(rf"\b{digits}\b", f"<{number}>", one) for one in (text, answer))
    for place in ("before", "behind"):
        if choice.random() < 0.5:
            number += 1
            mark = f"<{number}>"
            text, answer = (f"{mark} {one}" if place == "before" else f"{one} {mark}" for one in (text, answer))
    return text, answer


def train(folder: Path) -> Path:
    from crosslift.evaluation.task import task

    base = checkpoint(MODEL)
    rows = lesson(700).rows
    found = tokens.tokenise(
        rows, corpus="lesson", task=task("open_ended"), prompt="bare", tokenizer=load_tokenizer(base)
    )
    zeros = np.zeros(rows.height, dtype=np.int64)
    table = tokens.gather(
        [found], corpus=zeros, row=np.arange(rows.height), language=zeros, languages=("en",), task=zeros,
        tasks=("open_ended",),
    )  # fmt: skip
    request = TrainingRequest(
        model=str(base),
        revision=None,
        config=SFTConfig(epochs=2, learning_rate=1e-3, batch_examples=16, max_length=512),
        examples=table,
        validation=None,
        seed=0,
        folder=folder,
    )
    member("trainer", "native").train(request)
    return folder / "checkpoint"


def recipe(source: Source) -> Recipe:
    return Recipe(
        source=source,
        languages=LANGUAGES,
        fields=("prompt", "completion"),
        values=("text",),
        names=(),
        unit="line",
        prompt=PROMPT,
        max_attempts=2,
        back_translate=False,
    )


def run(corpus: ParallelCorpus, source: Source, base_url: str, model: Path, folder: Path) -> work.Outcome:
    options = {"base_url": base_url, "model": str(model), "concurrency": 2}
    translator = member("translator", "endpoint").Translator(options, place="site.toml")
    return work.translate(recipe(source), work.items_of(corpus), translator, folder, origin="human")


def main() -> None:
    data = Path(sys.argv[1])
    num_items = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    folder = Path(tempfile.mkdtemp())
    model = Path(sys.argv[3]) if len(sys.argv) > 3 else train(folder / "model")
    level = {"level": 3}
    source = Source(name="api", reader="api_bank", task="api_calling", languages=("en",), path=data, options=level)
    parts = [api_bank.read(replace(source, split=split)).rows for split in ("test", "train")]
    both = {tags: pocket.read(Source(name="own", reader="pocket", task="api_calling", split="test", languages=tags,
                                     max_items=OWN)).rows for tags in (("en",), ("en", *LANGUAGES))}  # fmt: skip
    rows = pl.concat([both["en",], pl.concat(parts).head(num_items)])
    corpus = ParallelCorpus(name="c", task="api_calling", licence="", revision="", languages=("en",), rows=rows)
    with transformers_serving(model) as base_url:
        outcome = run(corpus, source, base_url, model, folder / "api-bank")
        check(corpus, outcome)
        found = outcome.rows.filter(pl.col("language") != "en").join(both["en", *LANGUAGES], on=["item_id", "language"])
        # The grammar leaves the lines about tools in English; what is asked and what is called must be its own.
        exact = sum(map(_same, found["messages"].to_list(), found["messages_right"].to_list()))
        print(f"of its own world {found.height} of {OWN * len(LANGUAGES)} rows returned, {exact} as the grammar writes")
        stormy(corpus, source, base_url, model, folder / "stormy", outcome)


def _same(messages: list[dict[str, str]], others: list[dict[str, str]]) -> bool:
    question, asked = (one[0]["content"].rpartition("\n")[2] for one in (messages, others))
    return question == asked and parse_calls(messages[-1]["content"]) == parse_calls(others[-1]["content"])


def stormy(
    corpus: ParallelCorpus, source: Source, base_url: str, model: Path, folder: Path, calm: work.Outcome
) -> None:
    """The same through a server that fails on every twentieth request, killed in the middle and started again."""
    client = OpenAI(base_url=base_url, api_key="none")

    class Relay(FaultyServer):
        def reply(self, body: dict, text: str) -> tuple[str, str]:
            choice = client.chat.completions.create(**body).choices[0]
            return choice.message.content or "", choice.finish_reason

    with serving(str, server=Relay, fault_every=20) as server:
        child = get_context("spawn").Process(target=run, args=(corpus, source, server.base_url, model, folder))
        child.start()
        journal = folder / "journal.jsonl"
        while child.is_alive() and (
            not journal.is_file() or journal.read_bytes().count(b"\n") < calm.num_requests // 2
        ):
            time.sleep(0.2)
        child.kill()
        child.join()
        finished = journal.read_bytes().count(b"\n")
        server.asked.clear()
        outcome = run(corpus, source, server.base_url, model, folder)
    print(f"killed after {finished} answers, started again: {outcome.num_requests} requests, {outcome.num_known} known")
    print(f"{sum(server.faults.values())} faults: {dict(server.faults)}")
    assert finished + outcome.num_requests <= calm.num_requests + 2, "a finished text was sent again"
    assert outcome.rows.equals(calm.rows)
    print("the corpus is the same")


def check(corpus: ParallelCorpus, outcome: work.Outcome) -> None:
    english = dict(zip(corpus.rows["item_id"], corpus.rows["messages"], strict=True))
    whole = 0
    for row in outcome.rows.filter(pl.col("language") != "en").iter_rows(named=True):
        before, after = (
            parse_calls(messages[-1]["content"]) for messages in (english[row["item_id"]], row["messages"])
        )
        same = [(call.name, [key for key, _ in call.arguments]) for call in before]
        assert same == [(call.name, [key for key, _ in call.arguments]) for call in after], row["item_id"]
        whole += 1
    reasons: dict[str, int] = {}
    for aside in outcome.set_aside:
        assert aside["reason"]
        kind = " ".join(word for word in aside["reason"].split(":")[-1].split() if word.isalpha())
        reasons[kind] = reasons.get(kind, 0) + 1
    print(f"{corpus.num_items} items: {whole} rows returned with the structure of their call, "
          f"{len(outcome.set_aside)} set aside")  # fmt: skip
    print(json.dumps(dict(sorted(reasons.items(), key=lambda one: -one[1])[:6])))
    print(f"{outcome.num_requests:,} requests, {outcome.num_completion_tokens:,} tokens answered")


if __name__ == "__main__":
    main()
