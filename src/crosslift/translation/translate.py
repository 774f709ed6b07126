"""Translation of a corpus in rounds of requests, until every row is translated or rejected.

The values of calls are translated first, then the texts around them, then the back-translations if the recipe has them.
Each round sends all texts without a valid translation at once; a retry includes the reason why the previous translation
was rejected. A row of which a text fails `max_attempts` times is rejected in that language, with the reason, and is
written to a separate file, so that the corpus contains no partially translated row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ROWS, ParallelCorpus
from crosslift.errors import EndpointError
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language, language
from crosslift.remote.journal import Journal, request_key
from crosslift.translation.protect import MaskedText, mask
from crosslift.translation.recipe import RETRY_NOTE, Recipe
from crosslift.translation.rows import Item, assemble_conversation, translatable_texts, translatable_values
from crosslift.translation.translator import Request, Translation, Translator
from crosslift.translation.verify import verify_translation

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Outcome:
    """Result of a translation."""

    rows: pl.DataFrame
    """Translated rows and the rows of the source, with the schema `corpora.corpus.ROWS`."""
    set_aside: list[dict[str, str]]
    """Rejected rows: item_id, language, reason, text."""
    scores: pl.DataFrame
    """Columns item_id, language, in_language, back_chrf (null without back-translation)."""
    num_requests: int = 0
    """Requests sent by this process."""
    num_known: int = 0
    """Requests answered from the journal."""
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0


def items_of(corpus: ParallelCorpus) -> list[Item]:
    """The rows of a corpus as items."""
    return [
        Item(item_id=row["item_id"], messages=row["messages"], answer=row["answer"], cluster=row["cluster"])
        for row in corpus.rows.iter_rows(named=True)
    ]


def translate(
    recipe: Recipe,
    items: list[Item],
    translator: Translator,
    folder: Path,
    *,
    origin: str,
    say: Say = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Outcome:
    """Translate all items; requests that the folder's journal contains are not sent again.

    Args:
        recipe: the recipe.
        items: items of the source corpus.
        translator: the translator.
        folder: folder of the journal.
        origin: value of the column `origin` for rows of the source.
        say: called with progress messages.
        check: called before each round of requests and before each reply is stored; raises if this process must stop.

    Raises:
        EndpointError: the translator rejects all requests. Finished requests are kept in the journal.
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
            work = _Work(
                recipe=recipe,
                translator=translator,
                journal=journal,
                source=source,
                target=language(tag),
                check=check,
            )
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
"""Per item: messages, answer, and the reason of its rejection ("" if it is valid). Rejected items have the messages of
the source."""


@dataclass(kw_only=True)
class _Work:
    """Translation in one direction, with its counts."""

    recipe: Recipe
    translator: Translator
    journal: Journal
    source: Language
    target: Language
    check: Callable[[], None]
    """Raises when this process may not go on."""
    num_requests: int = 0
    num_known: int = 0
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Masked text -> its raw translation and the reason of its rejection."""

    def fetch(self, wanted: Iterable[MaskedText]) -> None:
        """Translate each text, until it is valid or the attempts are used up."""
        left = {masked.text: masked for masked in wanted if masked.text not in self.texts}
        reasons = dict.fromkeys(left, "")
        for attempt in range(self.recipe.max_attempts):
            if not left:
                break
            requests = [self._request(text, reasons[text], attempt) for text in left]
            for text, (raw, failure, is_complete) in zip(list(left), self._answers(requests), strict=True):
                reasons[text] = (
                    failure or verify_translation(raw, left[text], self.source, self.target, is_complete=is_complete)[1]
                )
                self.texts[text] = (raw, reasons[text])
            left = {text: masked for text, masked in left.items() if self.texts[text][1]}

    def _request(self, text: str, reason: str, num_refused: int) -> Request:
        prompt = self.recipe.prompt.replace("{language}", self.target.name).replace("{text}", text)
        complaint = RETRY_NOTE.replace("{number}", str(num_refused)).replace("{reason}", reason) if reason else ""
        return Request(
            text=text,
            source=self.source,
            target=self.target,
            prompt=prompt + complaint,
        )

    def _answers(self, requests: list[Request]) -> list[tuple[str, str, bool]]:
        """For each request the raw translation, the reason if there is none, and whether it is complete."""
        keys = [request_key(self.translator.name, request.prompt, request.target.tag) for request in requests]
        failed: dict[str, str] = {}
        unknown = [place for place, key in enumerate(keys) if key not in self.journal.entries]
        self.num_known += len(requests) - len(unknown)

        def done(place: int, found: Translation | str) -> None:
            self.check()
            key = keys[unknown[place]]
            if isinstance(found, str):
                failed[key] = found
                return
            self.num_prompt_tokens += found.num_prompt_tokens
            self.num_completion_tokens += found.num_completion_tokens
            self.journal.add(key, text=found.text, is_whole=found.is_complete)

        if unknown:
            self.check()
            self.num_requests += len(unknown)
            self.translator.translate([requests[place] for place in unknown], done)
        answers = []
        for key in keys:
            entry = self.journal.entries.get(key)
            if entry is None:
                answers.append(("", failed.get(key, "there was no answer"), True))
            else:
                answers.append((entry["text"], "", entry["is_whole"]))
        return answers


def _one_language(work: _Work, items: list[Item], say: Say) -> Done:
    values = {value: mask(value) for item in items for value in translatable_values(item, work.recipe)}
    work.fetch(values.values())
    say(f"{work.target.tag}: {len(values)} values of calls")
    glossary = {
        value: verify_translation(work.texts[masked.text][0], masked, work.source, work.target, is_complete=True)[0]
        for value, masked in values.items()
        if not work.texts[masked.text][1]
    }
    own = [_own(item, work.recipe, glossary) for item in items]
    texts = [translatable_texts(item, work.recipe, words) for item, words in zip(items, own, strict=True)]
    work.fetch(masked for part in texts for masked in part)
    say(f"{work.target.tag}: {sum(map(len, texts))} texts")
    done: Done = []
    for item, words, part in zip(items, own, texts, strict=True):
        refused = [work.texts[masked.text][1] for masked in part if work.texts[masked.text][1]]
        refused += [
            f"value '{value}': {work.texts[values[value].text][1]}"
            for value in translatable_values(item, work.recipe)
            if work.texts[values[value].text][1]
        ]
        if refused:
            done.append((item.messages, item.answer, refused[0]))
            continue
        finished = [
            verify_translation(work.texts[masked.text][0], masked, work.source, work.target, is_complete=True)[0]
            for masked in part
        ]
        done.append((*assemble_conversation(item, work.recipe, words, finished), ""))
    return done


def _own(item: Item, recipe: Recipe, glossary: dict[str, str]) -> dict[str, str]:
    """The glossary of one item, without values of other items, which must not affect its text."""
    return {value: glossary[value] for value in translatable_values(item, recipe) if value in glossary}


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
    """chrF of the back-translation of each item's first user message against the original (sacrebleu, 0 to 1)."""
    from sacrebleu.metrics.chrf import CHRF

    measure = CHRF()
    home = _Work(
        recipe=work.recipe,
        translator=work.translator,
        journal=work.journal,
        source=work.target,
        target=work.source,
        check=work.check,
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
        text, _ = verify_translation(raw, masked, work.target, work.source, is_complete=True)
        found[item_id] = measure.sentence_score(text, [pairs[item_id][1]]).score / 100
    work.num_requests += home.num_requests
    work.num_known += home.num_known
    work.num_prompt_tokens += home.num_prompt_tokens
    work.num_completion_tokens += home.num_completion_tokens
    return found


def _first(messages: list[dict[str, str]]) -> str:
    return next(message["content"] for message in messages if message["role"] == "user")


__all__ = ["EndpointError", "Item", "Outcome", "items_of", "translate"]
