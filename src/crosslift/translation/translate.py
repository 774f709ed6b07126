"""Rounds of requests until every row is translated or set aside.

First the values of calls, alone; then the texts around them; then, where the recipe asks, the way back. In each round
all texts that still lack a usable translation are asked at once, with the reason why the last one was refused. What is
refused `max_attempts` times sets its row aside, in that language, with the reason; the row is written apart and nothing
half translated enters the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ROWS, ParallelCorpus
from crosslift.errors import EndpointError
from crosslift.files import write_json, write_text
from crosslift.journal import Journal, key_of
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language, language
from crosslift.translation.protect import Masked, mask
from crosslift.translation.recipe import COMPLAINT, Recipe, Service
from crosslift.translation.rows import Item, assembled, texts_of, values_of
from crosslift.translation.translator import Request, Translated, Translator
from crosslift.translation.verify import verified
from crosslift.untrusted.csv_file import write_csv

BYTES_PER_TOKEN = 3.5
"""Of English, roughly; for the estimate before anything is spent."""
EXPANSION_FACTOR = 2.0
"""Tokens of a translation per token of English, roughly, over the world's languages."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a translation will cost at most roughly, before the first request."""

    num_texts: int
    num_prompt_tokens: int
    num_completion_tokens: int
    cost: float | None
    """In the currency of the prices; None without prices."""


@dataclass(kw_only=True)
class Outcome:
    """What came of it."""

    rows: pl.DataFrame
    """As in corpora.corpus.ROWS, the source's rows among them."""
    set_aside: list[dict[str, str]]
    """item_id, language, reason, text."""
    scores: pl.DataFrame
    """item_id, language, in_language, back_chrf (null where it was not asked)."""
    num_requests: int = 0
    """Sent now."""
    num_known: int = 0
    """Taken from the journal."""
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0


def items_of(corpus: ParallelCorpus) -> list[Item]:
    return [
        Item(item_id=row["item_id"], messages=row["messages"], answer=row["answer"], cluster=row["cluster"])
        for row in corpus.rows.iter_rows(named=True)
    ]


def estimate(recipe: Recipe, service: Service, items: Iterable[Item]) -> Estimate:
    """Texts and tokens of the first attempt of everything, back-translation included."""
    texts = {}
    for item in items:
        for masked in [*map(mask, values_of(item, recipe)), *texts_of(item, recipe, {})]:
            texts[masked.text] = len(masked.text.encode()) / BYTES_PER_TOKEN
    overhead = len(recipe.prompt.encode()) / BYTES_PER_TOKEN
    ways = 2 if recipe.back_translate else 1
    num_texts = len(texts) * len(recipe.languages) * ways
    inside = sum(texts.values()) * len(recipe.languages)
    prompt = inside * (1 + (EXPANSION_FACTOR if ways == 2 else 0)) + overhead * num_texts
    completion = inside * (EXPANSION_FACTOR + (1 if ways == 2 else 0))
    cost = None
    if service.prices is not None:
        cost = (prompt * service.prices[0] + completion * service.prices[1]) / 1e6
    return Estimate(
        num_texts=num_texts, num_prompt_tokens=round(prompt), num_completion_tokens=round(completion), cost=cost
    )


def translate(
    recipe: Recipe, items: list[Item], translator: Translator, folder: Path, *, origin: str, say: Say = lambda _: None
) -> Outcome:
    """Translate all items; what the folder's journal holds is not asked again.

    Args:
        origin: of the source's rows.

    Raises:
        EndpointError: the translator cannot be asked at all. What was translated is kept.
    """
    source = language(recipe.source.languages[0])
    parts = [
        {"item_id": item.item_id, "language": source.tag, "messages": item.messages, "answer": item.answer,
         "cluster": item.cluster, "origin": origin}
        for item in items
    ]  # fmt: skip
    outcome = Outcome(rows=pl.DataFrame(), set_aside=[], scores=pl.DataFrame())
    scores: list[dict[str, Any]] = []
    with Journal(folder / "journal.jsonl") as journal:
        for tag in recipe.languages:
            work = _Work(recipe=recipe, translator=translator, journal=journal, source=source, target=language(tag))
            done = _one_language(work, items, say)
            for item, (messages, answer, reason) in zip(items, done, strict=True):
                if reason:
                    outcome.set_aside.append(
                        {"item_id": item.item_id, "language": tag, "reason": reason, "text": messages[0]["content"]}
                    )
                    continue
                parts.append(
                    {"item_id": item.item_id, "language": tag, "messages": messages, "answer": answer,
                     "cluster": item.cluster, "origin": f"mt:{translator.name}"}
                )  # fmt: skip
            scores += _scored(work, items, done)
            outcome.num_requests += work.num_requests
            outcome.num_known += work.num_known
            outcome.num_prompt_tokens += work.num_prompt_tokens
            outcome.num_completion_tokens += work.num_completion_tokens
    outcome.rows = pl.DataFrame(parts, schema=ROWS)
    outcome.scores = pl.DataFrame(
        scores,
        schema={"item_id": pl.String, "language": pl.String, "in_language": pl.Boolean, "back_chrf": pl.Float64},
    )
    return outcome


Done = list[tuple[list[dict[str, str]], str, str]]
"""Per item: messages, answer, and why it is set aside ("" where it is not; the messages are then the source's)."""


@dataclass(kw_only=True)
class _Work:
    """One direction, and what it took."""

    recipe: Recipe
    translator: Translator
    journal: Journal
    source: Language
    target: Language
    num_requests: int = 0
    num_known: int = 0
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Masked text -> its raw translation and why that is refused."""

    def fetch(self, wanted: Iterable[Masked]) -> None:
        """A usable translation of each text, or the reason after the last attempt."""
        left = {masked.text: masked for masked in wanted if masked.text not in self.texts}
        reasons = dict.fromkeys(left, "")
        for attempt in range(self.recipe.max_attempts):
            if not left:
                break
            requests = [self._request(text, reasons[text], attempt) for text in left]
            for text, (raw, failure, is_whole) in zip(list(left), self._answers(requests), strict=True):
                reasons[text] = failure or verified(raw, left[text], self.source, self.target, is_whole=is_whole)[1]
                self.texts[text] = (raw, reasons[text])
            left = {text: masked for text, masked in left.items() if self.texts[text][1]}

    def _request(self, text: str, reason: str, num_refused: int) -> Request:
        prompt = self.recipe.prompt.replace("{language}", self.target.name).replace("{text}", text)
        complaint = COMPLAINT.replace("{number}", str(num_refused)).replace("{reason}", reason) if reason else ""
        return Request(
            text=text,
            source=self.source,
            target=self.target,
            prompt=prompt + complaint,
        )

    def _answers(self, requests: list[Request]) -> list[tuple[str, str, bool]]:
        """Raw translation, reason where there is none, and whether it is whole."""
        keys = [key_of(self.translator.name, request.prompt, request.target.tag) for request in requests]
        failed: dict[str, str] = {}
        unknown = [place for place, key in enumerate(keys) if key not in self.journal.known]
        self.num_known += len(requests) - len(unknown)

        def done(place: int, found: Translated | str) -> None:
            key = keys[unknown[place]]
            if isinstance(found, str):
                failed[key] = found
                return
            self.num_prompt_tokens += found.num_prompt_tokens
            self.num_completion_tokens += found.num_completion_tokens
            self.journal.add(key, text=found.text, is_whole=found.is_whole)

        if unknown:
            self.num_requests += len(unknown)
            self.translator.translate([requests[place] for place in unknown], done)
        answers = []
        for key in keys:
            entry = self.journal.known.get(key)
            if entry is None:
                answers.append(("", failed.get(key, "there was no answer"), True))
            else:
                answers.append((entry["text"], "", entry["is_whole"]))
        return answers


def _one_language(work: _Work, items: list[Item], say: Say) -> Done:
    values = {value: mask(value) for item in items for value in values_of(item, work.recipe)}
    work.fetch(values.values())
    say(f"{work.target.tag}: {len(values)} values of calls")
    glossary = {
        value: verified(work.texts[masked.text][0], masked, work.source, work.target, is_whole=True)[0]
        for value, masked in values.items()
        if not work.texts[masked.text][1]
    }
    own = [_own(item, work.recipe, glossary) for item in items]
    texts = [texts_of(item, work.recipe, words) for item, words in zip(items, own, strict=True)]
    work.fetch(masked for part in texts for masked in part)
    say(f"{work.target.tag}: {sum(map(len, texts))} texts")
    done: Done = []
    for item, words, part in zip(items, own, texts, strict=True):
        refused = [work.texts[masked.text][1] for masked in part if work.texts[masked.text][1]]
        refused += [
            f"value '{value}': {work.texts[values[value].text][1]}"
            for value in values_of(item, work.recipe)
            if work.texts[values[value].text][1]
        ]
        if refused:
            done.append((item.messages, item.answer, refused[0]))
            continue
        finished = [
            verified(work.texts[masked.text][0], masked, work.source, work.target, is_whole=True)[0] for masked in part
        ]
        done.append((*assembled(item, work.recipe, words, finished), ""))
    return done


def _own(item: Item, recipe: Recipe, glossary: dict[str, str]) -> dict[str, str]:
    """The translated values of this item: those of others must not touch its text."""
    return {value: glossary[value] for value in values_of(item, recipe) if value in glossary}


def _scored(work: _Work, items: list[Item], done: Done) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    back = _back(work, items, done) if work.recipe.back_translate else {}
    for item, (messages, _, reason) in zip(items, done, strict=True):
        if not reason:
            text = "\n".join(message["content"] for message in messages if message["role"] == "user")
            rows.append(
                {
                    "item_id": item.item_id,
                    "language": work.target.tag,
                    "in_language": in_language(text, work.target),
                    "back_chrf": back.get(item.item_id),
                }
            )
    return rows


def _back(work: _Work, items: list[Item], done: Done) -> dict[str, float]:
    """chrF of each item's first user message, there and back again, against the original (sacrebleu, 0 to 1)."""
    from sacrebleu.metrics.chrf import CHRF

    measure = CHRF()
    home = _Work(
        recipe=work.recipe, translator=work.translator, journal=work.journal, source=work.target, target=work.source
    )
    pairs = {
        item.item_id: (_first(messages), _first(item.messages))
        for item, (messages, _, reason) in zip(items, done, strict=True)
        if not reason
    }
    masks = {item_id: mask(there) for item_id, (there, _) in pairs.items()}
    home.fetch(masks.values())
    found = {}
    for item_id, masked in masks.items():
        raw, _ = home.texts[masked.text]
        text, _ = verified(raw, masked, work.target, work.source, is_whole=True)
        found[item_id] = measure.sentence_score(text, [pairs[item_id][1]]).score / 100
    work.num_requests += home.num_requests
    work.num_known += home.num_known
    work.num_prompt_tokens += home.num_prompt_tokens
    work.num_completion_tokens += home.num_completion_tokens
    return found


def _first(messages: list[dict[str, str]]) -> str:
    return next(message["content"] for message in messages if message["role"] == "user")


def write(folder: Path, outcome: Outcome, manifest: dict[str, Any]) -> None:
    """The corpus as one file per language (reader "jsonl"), what was set aside, scores and a manifest.

    Raises:
        StoreError: the folder cannot be written.
    """

    for (tag,), rows in outcome.rows.group_by("language", maintain_order=True):
        write_text(folder / f"{tag}.jsonl", rows.write_ndjson())
    lines = "".join(pl.DataFrame([row]).write_ndjson() for row in outcome.set_aside)
    write_text(folder / "set_aside.jsonl", lines)
    write_csv(folder / "scores.csv", outcome.scores)
    write_json(folder / "manifest.json", manifest)


__all__ = ["EndpointError", "Estimate", "Item", "Outcome", "estimate", "items_of", "translate", "write"]
