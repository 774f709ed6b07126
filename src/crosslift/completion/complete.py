"""Asking for completions in rounds, until every language has as many as wanted.

Each round asks as many prompts as completions are still missing, so that no prompt is asked in vain: what is kept is
the first n acceptable completions in the order of the prompts, however often the process is interrupted. Every reply is
written to a journal before it is used, and a known reply is never requested again.

A completion is dropped if it was cut off at the token limit, is empty, or is clearly in another language than its
prompt. Prompts are not asked again: the next one takes their place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from crosslift.completion.prompts import Prompt, Queues, Reasons, Unit
from crosslift.completion.recipe import CompletionRecipe, CompletionService
from crosslift.errors import CorpusError, EndpointError
from crosslift.languages.identify import in_language
from crosslift.languages.language import language
from crosslift.remote.endpoint import CompletionRequest, FailedRequest, Reply, send_requests
from crosslift.remote.journal import request_key

BYTES_PER_TOKEN = 3.5
"""Approximate UTF-8 bytes per token, for the estimate before there are replies."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A completion that was kept."""

    prompt: Prompt
    text: str


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A completion that was dropped."""

    prompt: Prompt
    text: str
    reason: str
    """"truncated", "empty" or "wrong_language"; "other_language_dropped" if the item is dropped for that."""


@dataclass(kw_only=True)
class Outcome:
    """Completions in the order of their prompts."""

    kept: dict[str, list[Completed]]
    """Language -> completions, as many as wanted."""
    dropped: list[Dropped]
    prompts_dropped: Reasons
    """Prompts that were not asked."""
    num_asked: Counter[str] = field(default_factory=Counter)
    """Language -> prompts that were asked, earlier processes included."""
    num_prompt_tokens: int = 0
    """Of all replies that were used, as the endpoint counts them."""
    num_completion_tokens: int = 0
    num_requests: int = 0
    """Requests sent by this process."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is still to be asked."""

    num_known: int
    """Prompts whose reply is in the journal."""
    num_requests: int
    """Requests to send; more if completions are dropped."""
    num_prompt_tokens: int
    max_completion_tokens: int
    """Completion tokens if every answer has the maximum length."""
    max_cost: float | None
    """In the currency of the prices; None without prices."""


class Completions:
    """Completions of the prompts of a recipe by the model of a site."""

    def __init__(
        self,
        recipe: CompletionRecipe,
        service: CompletionService,
        queues: Queues,
        entries: Mapping[str, Mapping[str, Any]],
        *,
        add: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        """Prepare the work.

        Args:
            recipe: what is asked.
            service: the model.
            queues: the prompts; they are used up.
            entries: entries of the journal.
            add: `Journal.add`, after which the entry is in `entries`; not needed for the estimate.
        """
        self._recipe, self._service, self._queues = recipe, service, queues
        self._entries, self._add = entries, add
        self._wanted = recipe.num_items + recipe.num_validation
        self._settings = request_settings(recipe)

    def estimate(self) -> Estimate:
        """Count what is still to be asked, without asking. The prompts are used up afterwards.

        Raises:
            CorpusError: the source has too few prompts.
        """
        unknown: list[Prompt] = []
        num_known = 0
        for name, units in self._queues.units.items():
            num_open = 0
            while num_open < self._wanted:
                unit = next(units, None)
                if unit is None:
                    raise CorpusError(self._too_few({name: num_open}))
                new = [prompt for prompt in unit if self.key(prompt) not in self._entries]
                num_known += len(unit) - len(new)
                num_open += bool(new) or not self._faults(unit)
                unknown += new
        prompt = sum(sum(len(text.encode()) for _, text in self._messages(one)) for one in unknown) / BYTES_PER_TOKEN
        most = len(unknown) * self._recipe.sampling.max_tokens
        prices = self._service.prices
        return Estimate(
            num_known=num_known,
            num_requests=len(unknown),
            num_prompt_tokens=round(prompt),
            max_completion_tokens=most,
            max_cost=None if prices is None else (prompt * prices[0] + most * prices[1]) / 1e6,
        )

    def complete(self, *, say: Say = lambda _: None, check: Callable[[], None] = lambda: None) -> Outcome:
        """Ask until every language has as many completions as wanted.

        Args:
            say: receives a line per round.
            check: called before each reply is stored; raises if this process must stop.

        Raises:
            CorpusError: the source has too few prompts.
            EndpointError: the endpoint rejects the requests, or gave no reply to some. Finished ones are kept.
        """
        found = Outcome(kept={}, dropped=[], prompts_dropped=self._queues.dropped)
        accepted: dict[str, list[Unit]] = {name: [] for name in self._queues.units}
        left = dict.fromkeys(accepted, self._recipe.max_asked * self._wanted)
        number = 0
        while True:
            batch = [
                (name, unit)
                for name, units in self._queues.units.items()
                for unit in islice(units, min(self._wanted - len(accepted[name]), left[name]))
            ]
            missing = {name: self._wanted - len(kept) for name, kept in accepted.items()}
            coming = Counter(name for name, _ in batch)
            short = {name: len(accepted[name]) + coming[name] for name in missing if coming[name] < missing[name]}
            if short:  # known before the last prompts are paid
                raise CorpusError(self._too_few(short, found))
            if not batch:
                break
            number += 1
            found.num_requests += self._ask([prompt for _, unit in batch for prompt in unit], check)
            for name, unit in batch:
                left[name] -= 1
                if self._count(unit, found):
                    accepted[name].append(unit)
            open_ = sum(self._wanted - len(kept) for kept in accepted.values())
            say(f"round {number}: {len(batch):,} asked, {open_:,} still missing")
        found.kept = {tag: [] for tag in self._recipe.source.languages}
        for units in accepted.values():
            for prompt in (one for unit in units for one in unit):
                found.kept[prompt.language].append(Completed(prompt=prompt, text=self._entry(prompt)["text"].strip()))
        return found

    def key(self, prompt: Prompt) -> str:
        """Key of a request: model, settings and messages."""
        said = [f"{role}: {text}" for role, text in self._messages(prompt)]
        return request_key(self._service.endpoint.model, self._settings, *said)

    def _entry(self, prompt: Prompt) -> Mapping[str, Any]:
        return self._entries[self.key(prompt)]

    def _messages(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        system = self._recipe.system
        return ((("system", system),) if system else ()) + prompt.messages

    def _ask(self, prompts: Iterable[Prompt], check: Callable[[], None]) -> int:
        """Ask the prompts without a reply.

        Returns:
            Number of requests.
        """
        unknown = {key: prompt for prompt in prompts if (key := self.key(prompt)) not in self._entries}
        keys = list(unknown)
        failed: dict[str, str] = {}
        sampling = self._recipe.sampling
        requests = [
            CompletionRequest(
                messages=[{"role": role, "content": text} for role, text in self._messages(prompt)],
                **(asdict(sampling) | ({} if sampling.temperature else {"seed": None})),  # no draw, no seed
            )
            for prompt in unknown.values()
        ]

        def answered(place: int, reply: Reply | FailedRequest) -> None:
            check()
            if isinstance(reply, FailedRequest):
                failed[keys[place]] = reply.reason
                return
            self._add(
                keys[place],
                text=reply.text,
                finish=reply.finish,
                num_prompt_tokens=reply.num_prompt_tokens,
                num_completion_tokens=reply.num_completion_tokens,
            )

        if requests:
            send_requests(self._service.endpoint, requests, answered, check=check)
        if failed:
            key, reason = next(iter(failed.items()))
            one = unknown[key]
            raise EndpointError(
                f"{len(failed)} of {len(requests)} prompts have no reply, such as '{one.prompt_id}' in {one.language}: "
                f"{reason}. Run the command again: replies are kept. If it stays so, add the id to completion.exclude."
            )
        return len(requests)

    def _count(self, unit: Unit, found: Outcome) -> bool:
        """Add the completions of a unit to the counts. Return whether it is kept."""
        faults = self._faults(unit)
        for prompt in unit:
            entry = self._entry(prompt)
            found.num_asked[prompt.language] += 1
            found.num_prompt_tokens += int(entry["num_prompt_tokens"])
            found.num_completion_tokens += int(entry["num_completion_tokens"])
            if faults:
                reason = faults.get(prompt.language, "other_language_dropped")
                found.dropped.append(Dropped(prompt=prompt, text=entry["text"], reason=reason))
        return not faults

    def _faults(self, unit: Unit) -> dict[str, str]:
        """Language -> why its completion is dropped."""
        reasons = {prompt.language: fault(self._entry(prompt), prompt.language) for prompt in unit}
        return {tag: reason for tag, reason in reasons.items() if reason}

    def _too_few(self, short: dict[str, int], found: Outcome | None = None) -> str:
        counts = ", ".join(f"{number:,}" + (f" in {name}" if name else "") for name, number in short.items())
        reasons = Counter(self._queues.dropped)
        reasons.update((one.prompt.language, one.reason) for one in (found.dropped if found else ()))
        dropped = [f"{number:,} {tag or 'other'} {reason}" for (tag, reason), number in sorted(reasons.items())]
        why = f" (dropped: {', '.join(dropped)})" if dropped else ""
        return (
            f"{self._recipe.source.place}: has too few prompts: {self._wanted:,} completions are wanted in each "
            f"language, and there can be {counts}{why}; at most {self._recipe.max_asked} prompts are asked for each "
            "(completion.max_asked). Lower completion.items, add prompts, or choose a model that answers in the "
            "language. Replies are kept."
        )


def request_settings(recipe: CompletionRecipe) -> str:
    """The settings of a recipe that determine replies, as text."""
    return ", ".join(f"{name}={value}" for name, value in asdict(recipe.sampling).items())


def fault(entry: Mapping[str, Any], tag: str) -> str:
    """Why a completion is dropped; "" if it is kept.

    Args:
        entry: text and finish of the reply.
        tag: language of the prompt.
    """
    if entry["finish"] == "length":
        return "truncated"
    if not entry["text"].strip():
        return "empty"
    return "" if in_language(entry["text"], language(tag)) else "wrong_language"
