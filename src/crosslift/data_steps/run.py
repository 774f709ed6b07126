"""What the steps of a study's data need, and making them one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from crosslift.data_steps.load import kind_of, load_steps
from crosslift.data_steps.state import State, record, state_of
from crosslift.data_steps.step import Expected, Making, Outlook, Step
from crosslift.system.files import make_folder
from crosslift.system.leases import waiting_lease

TOKENS_PER_SECOND = 50
"""Assumed speed of a reply. A request at a time takes its completion tokens divided by this."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """A step, its state and what it needs."""

    step: Step
    state: State
    expected: Expected

    @property
    def is_done(self) -> bool:
        return self.state.what == "done"

    @property
    def share_left(self) -> float:
        """Share of the requests whose reply is not in the journal."""
        if self.is_done:
            return 0.0
        return 1.0 if not (number := self.expected.num_requests) else max(0.0, 1 - self.expected.num_known / number)

    @property
    def asks(self) -> bool:
        """Whether requests go to an endpoint, which may cost."""
        return not self.is_done and bool(self.expected.service) and not self.expected.local

    @property
    def cost(self) -> float | None:
        """Price of the requests that are left; 0 if nothing is sent to an endpoint, None if it is not known."""
        if not self.asks:
            return 0.0
        one = self.expected
        if one.prices is None or one.num_prompt_tokens is None or one.num_completion_tokens is None:
            return None
        tokens = one.num_prompt_tokens * one.prices[0] + one.num_completion_tokens * one.prices[1]
        return self.share_left * tokens / 1e6

    @property
    def hours(self) -> float | None:
        """Hours at `TOKENS_PER_SECOND`; None if unknown or if the model runs on this machine."""
        if self.expected.num_completion_tokens is None or (self.expected.local and not self.is_done):
            return None
        seconds = self.expected.num_completion_tokens / TOKENS_PER_SECOND / self.expected.concurrency
        return self.share_left * seconds / 3600

    def sentence(self) -> str:
        """Describe the step, its state, time and price in one line."""
        start = f"{self.step.name} ({self.step.kind}): {self.expected.what}"
        if self.is_done:
            return f"{start}: done"
        again = f"{self.state.what}: {self.state.reason}" if self.state.reason else self.state.what
        if not self.expected.service:
            return f"{start}: {again}; nothing is sent"
        return f"{start}: {again}; {self._needs()}"

    def _needs(self) -> str:
        one = self.expected
        if one.num_requests is None:
            return f"requests unknown: {one.unknown}"
        most = "at most " if one.is_most else ""
        parts = [
            f"{one.num_requests:,} requests"
            + (f" ({one.num_known:,} replies are here and are not paid again)" if one.num_known else ""),
            f"about {_number(one.num_prompt_tokens)} prompt and {most}{_number(one.num_completion_tokens)} completion "
            "tokens",
        ]
        if one.local:
            return "; ".join([*parts, "no price: the model runs on this machine"])
        at_once = f"{one.concurrency} requests at once, {TOKENS_PER_SECOND} tokens a second each"
        parts.append(f"{most or 'about '}{_hours(self.hours)} ({at_once})")
        if self.cost is None:
            parts.append(f"price unknown: {one.unknown or f'[{one.service}] of site.toml has no prices'}")
        else:
            parts.append(f"price {most or 'about '}{self.cost:,.2f}")
        return "; ".join(parts)


def overview(
    folder: Path, *, site: Path | None, data_seed: int, max_items: int | None = None, reads: bool = False
) -> list[PlannedStep]:
    """Say what every step of a study's data needs.

    Args:
        folder: the study's folder.
        site: the site file, with endpoints and prices.
        data_seed: the study's seed of data.
        max_items: number of items to which every step is limited.
        reads: whether sources of the hub may be read, which downloads them.

    Raises:
        StudyError: data.toml is invalid.
    """
    outlook = Outlook(site=site, data_seed=data_seed, max_items=max_items, reads=reads)
    found = []
    for step in load_steps(folder):
        expected = kind_of(step).expect(step, outlook)
        outlook = replace(outlook, sizes=outlook.sizes | expected.sizes)
        state = state_of(step, data_seed=data_seed, max_items=max_items)
        found.append(PlannedStep(step=step, state=state, expected=expected))
    return found


def total(planned: list[PlannedStep]) -> str:
    """Sum up the remaining steps, in one line."""
    left = [one for one in planned if not one.is_done]
    if not left:
        return f"All {len(planned)} steps are done."
    known = sum(one.cost or 0.0 for one in left)
    unknown = [one.step.name for one in left if one.cost is None]
    price = f"price about {known:,.2f}" if known or not unknown else ""
    if unknown:
        price = f"{price} and " * bool(price) + f"price unknown of {', '.join(unknown)}"
    hours = sum(one.hours or 0.0 for one in left)
    return f"{len(left)} of {len(planned)} steps are left: {price}; about {_hours(hours)}."


def make_steps(
    folder: Path, *, site: Path | None, data_seed: int, max_items: int | None = None, say: Say = lambda _: None
) -> list[PlannedStep]:
    """Make the steps that are not done, one after another. Replies of endpoints are kept in journals.

    Args:
        folder: the study's folder.
        site: the site file.
        data_seed: the study's seed of data.
        max_items: number of items to which every step is limited.
        say: receives lines of progress.

    Returns:
        The steps with their states.

    Raises:
        StudyError: data.toml or the site file is invalid.
        CorpusError: a source cannot be read.
        EndpointError: an endpoint rejects the requests.
    """
    for step in load_steps(folder):
        make_folder(step.work)
        with waiting_lease(step.work) as lease:
            if state_of(step, data_seed=data_seed, max_items=max_items).what == "done":
                say(f"{step.name}: done before")
                continue
            making = Making(site=site, data_seed=data_seed, max_items=max_items, say=say, check=lease.check)
            made = kind_of(step).make(step, making)
            lease.check()
            record(step, made, data_seed=data_seed, max_items=max_items)
            say(f"{step.name}: {made.summary}")
    return overview(folder, site=site, data_seed=data_seed, max_items=max_items)


def _number(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"


def _hours(hours: float | None) -> str:
    if hours is None:
        return "an unknown time"
    if 60 * hours < 1:
        return "a minute"
    return f"{60 * hours:.0f} minutes" if hours < 2 else f"{hours:,.0f} hours"
