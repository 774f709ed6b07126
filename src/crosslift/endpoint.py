"""Questions to an OpenAI-compatible chat endpoint: many at once, each answered exactly once or given up with a reason.

The `openai` client retries on its own and silently; here every attempt is ours, so that what was paid for is counted
and a fault of the network is never an answer. Worth another attempt are 429 and 5xx (after the time that the server
asks for, else after doubling times), time-outs, cut connections and replies that are no completion. Anything else (a
wrong key, an unknown model) stops everything at once: ten thousand further requests would meet it too.

The key comes from the environment and stands in no file, log or manifest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crosslift.errors import EndpointError

log = logging.getLogger(__name__)

Message = dict[str, str]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to ask, and how hard."""

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; a server on this machine needs none."""
    concurrency: int = 8
    timeout_seconds: float = 120.0
    """Of one attempt."""
    max_attempts: int = 8


OPTIONS: dict[str, type] = {
    "base_url": str,
    "model": str,
    "key_variable": str,
    "concurrency": int,
    "timeout_seconds": float,
    "max_attempts": int,
}
"""What a site file may say of an endpoint: the fields of `Endpoint`."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request: a conversation for the server's chat template, or a prompt that goes to the model as it is."""

    messages: Sequence[Message] = ()
    prompt: str | Sequence[int] | None = None
    """Text, or token ids where the server takes them (vLLM does)."""
    max_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Reply:
    text: str
    finish: str
    """"stop" or "length"."""
    num_prompt_tokens: int
    num_completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class NoReply:
    """All attempts failed."""

    reason: str


Answered = Callable[[int, Reply | NoReply], None]


def ask(endpoint: Endpoint, questions: Iterable[Question], answered: Answered) -> None:
    """Ask all questions, at most `concurrency` at a time, and hand each answer over as it comes.

    Args:
        answered: called in this thread with the question's place and what became of it. What it raises stops all.

    Raises:
        EndpointError: the endpoint refuses such requests (key, model, form), or `openai` is not installed.
    """
    asyncio.run(_ask_all(endpoint, list(questions), answered))


async def _ask_all(endpoint: Endpoint, questions: list[Question], answered: Answered) -> None:
    client = _client(endpoint)
    waiting = iter(enumerate(questions))

    async def work() -> None:
        for place, question in waiting:
            answered(place, await _ask_one(client, endpoint, question, seed=place))

    workers = [asyncio.create_task(work()) for _ in range(max(1, endpoint.concurrency))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await client.close()


def _client(endpoint: Endpoint) -> Any:
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise EndpointError(
            "Asking an endpoint needs the package openai. Run: pip install 'crosslift[endpoint]'"
        ) from error
    return AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=os.environ.get(endpoint.key_variable) or "none",
        timeout=endpoint.timeout_seconds,
        max_retries=0,
    )


async def _ask_one(client: Any, endpoint: Endpoint, question: Question, *, seed: int) -> Reply | NoReply:
    import openai

    pauses = random.Random(seed)  # noqa: S311 - spreads retries, hides nothing
    reason = ""
    for attempt in range(endpoint.max_attempts):
        wait = 0.0
        try:
            return _read(await _send(client, endpoint, question))
        except _NotACompletionError as error:
            reason = f"the reply is no completion: {error}"
        except openai.APIStatusError as error:
            if error.status_code not in (408, 409, 429) and error.status_code < 500:
                raise EndpointError(_refused(endpoint, error)) from error
            reason, wait = f"HTTP {error.status_code}", _asked_pause(error)
        except (openai.APIConnectionError, openai.APIResponseValidationError, ValueError) as error:
            reason = type(error).__name__  # time-outs, cut connections, malformed JSON
        if attempt + 1 < endpoint.max_attempts:
            doubled = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
            pause = max(wait, doubled * (0.5 + pauses.random() / 2))
            log.info("attempt %d failed (%s); the next in %.1f s", attempt + 1, reason, pause)
            await asyncio.sleep(pause)
    return NoReply(reason=f"{endpoint.max_attempts} attempts failed, the last one with {reason}")


async def _send(client: Any, endpoint: Endpoint, question: Question) -> Any:
    common = {"model": endpoint.model, "max_tokens": question.max_tokens, "temperature": question.temperature}
    if question.prompt is None:
        return await client.chat.completions.create(messages=list(question.messages), **common)
    prompt = question.prompt if isinstance(question.prompt, str) else list(question.prompt)
    return await client.completions.create(prompt=prompt, **common)


class _NotACompletionError(Exception):
    pass


def _read(found: Any) -> Reply:
    try:
        choice = found.choices[0]
        message = getattr(choice, "message", None)
        text = choice.text if message is None else message.content
        finish, usage = choice.finish_reason, found.usage
    except (AttributeError, IndexError, TypeError) as error:
        raise _NotACompletionError(str(error)) from error
    if not isinstance(text, str):
        raise _NotACompletionError("it holds no text")
    return Reply(
        text=text,
        finish="length" if finish == "length" else "stop",
        num_prompt_tokens=getattr(usage, "prompt_tokens", None) or 0,
        num_completion_tokens=getattr(usage, "completion_tokens", None) or 0,
    )


def _asked_pause(error: Any) -> float:
    """Seconds of the Retry-After header; 0 where there is none or it is a date."""
    try:
        return min(float(error.response.headers.get("retry-after", 0)), LONGEST_PAUSE_SECONDS)
    except (TypeError, ValueError):
        return 0.0


def _refused(endpoint: Endpoint, error: Any) -> str:
    remedy = {
        401: f"Put the key into the environment variable {endpoint.key_variable}.",
        403: f"The key in {endpoint.key_variable} may not do this.",
        404: f"Is there a model '{endpoint.model}' at this address?",
    }.get(error.status_code, "Correct the request's settings.")
    return f"{endpoint.base_url} refuses with HTTP {error.status_code}: {str(error)[:200]}. {remedy}"
