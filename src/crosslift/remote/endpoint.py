"""Concurrent requests to an OpenAI-compatible endpoint; each ends with one reply or with the reason of its failure.

The `openai` client retries silently by itself. Here its retries are disabled and every attempt is made by this module,
so that costs are counted and a network failure is never taken for a reply. Retried are the status codes 408, 409, 429
and 5xx (after the time in the Retry-After header, else with exponential backoff), time-outs, broken connections and
malformed replies. Any other error (a wrong API key, an unknown model) stops all requests, because it would affect every
one of them.

The API key is read from an environment variable and is never written to a file, log or manifest.
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

INITIAL_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Address, model and limits of an endpoint."""

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the API key; a local server needs none."""
    concurrency: int = 8
    """Maximum number of requests in flight."""
    timeout_seconds: float = 120.0
    """Time limit of one attempt."""
    max_attempts: int = 8
    """Attempts per request."""


OPTIONS: dict[str, type] = {
    "base_url": str,
    "model": str,
    "key_variable": str,
    "concurrency": int,
    "timeout_seconds": float,
    "max_attempts": int,
}
"""Keys that a site file may set for an endpoint, with their types: the fields of `Endpoint`."""


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """One request: messages for the server's chat template, or a prompt that is passed to the model unchanged."""

    messages: Sequence[Message] = ()
    prompt: str | Sequence[int] | None = None
    """Text, or token ids for servers that accept them (vLLM does). None: `messages` are sent."""
    max_tokens: int
    """Maximum number of generated tokens."""
    temperature: float = 0.0
    top_p: float | None = None
    """Probability mass that tokens are drawn from; None leaves the choice to the server."""
    seed: int | None = None
    """Seed of the server's draw; None leaves the choice to the server."""
    stop: Sequence[str] = ()
    """Texts that end the reply."""
    echo: bool = False
    """Whether the reply contains the log-probability of each token of the prompt, as some servers can."""


@dataclass(frozen=True, kw_only=True)
class TokenLogProbability:
    """Log-probability of one token of an echoed prompt."""

    value: float
    """Natural logarithm."""
    largest: float
    """Of the most probable token at this position."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Reply to one request."""

    text: str
    finish: str
    """"stop" or "length"."""
    num_prompt_tokens: int
    num_completion_tokens: int
    tokens: tuple[TokenLogProbability | None, ...] = ()
    """Of the echoed prompt and the generated tokens; None for the first, which has no context. Empty if the server
    returned none."""


@dataclass(frozen=True, kw_only=True)
class FailedRequest:
    """Outcome of a request of which all attempts failed."""

    reason: str


ReplyHandler = Callable[[int, Reply | FailedRequest], None]
"""Called with the index of a request and its outcome."""


def send_requests(
    endpoint: Endpoint,
    requests: Iterable[CompletionRequest],
    on_outcome: ReplyHandler,
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Send all requests, at most `concurrency` at a time, and pass on each outcome when it arrives.

    Args:
        endpoint: the endpoint to use.
        requests: the requests.
        on_outcome: called in this thread with the index of a request and its outcome. An exception in it stops all
            requests.
        check: called before each attempt of a request; an exception in it stops all requests.

    Raises:
        EndpointError: the endpoint rejects the requests (key, model, format), or `openai` is not installed. Replies to
            requests that were sent before are passed on first.
    """
    asyncio.run(_send_all(endpoint, list(requests), on_outcome, check))


async def _send_all(
    endpoint: Endpoint, requests: list[CompletionRequest], on_outcome: ReplyHandler, check: Callable[[], None]
) -> None:
    client = _client(endpoint)
    waiting = iter(enumerate(requests))
    rejections: list[EndpointError] = []

    async def work() -> None:
        for place, request in waiting:
            if rejections:
                return
            try:
                outcome = await _send_with_retries(
                    client, endpoint, request, check, seed=place, retries=lambda: not rejections
                )
            except EndpointError as error:  # replies to requests that were sent before are paid, so they are waited for
                rejections.append(error)
                return
            if not (rejections and isinstance(outcome, FailedRequest)):
                on_outcome(place, outcome)

    workers = [asyncio.create_task(work()) for _ in range(max(1, endpoint.concurrency))]
    try:
        await asyncio.gather(*workers)
        if rejections:
            raise rejections[0]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)  # else their errors are logged as tracebacks at the end
        await client.close()


def _client(endpoint: Endpoint) -> Any:
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise EndpointError(
            "Requests to an endpoint need the package openai. Run: pip install 'crosslift[endpoint]'"
        ) from error
    return AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=os.environ.get(endpoint.key_variable) or "none",
        timeout=endpoint.timeout_seconds,
        max_retries=0,
    )


async def _send_with_retries(
    client: Any,
    endpoint: Endpoint,
    request: CompletionRequest,
    check: Callable[[], None],
    *,
    seed: int,
    retries: Callable[[], bool],
) -> Reply | FailedRequest:
    import openai

    pauses = random.Random(seed)  # noqa: S311 - jitter of retries, not cryptography
    reason = ""
    for attempt in range(endpoint.max_attempts):
        wait = 0.0
        check()
        try:
            return _read(await _send(client, endpoint, request))
        except _NotACompletionError as error:
            reason = f"the reply is not a completion: {error}"
        except openai.APIStatusError as error:
            if error.status_code not in (408, 409, 429) and error.status_code < 500:
                raise EndpointError(_rejection(endpoint, error)) from error
            reason, wait = f"HTTP {error.status_code}", _retry_after(error)
        except (openai.APIConnectionError, openai.APIResponseValidationError, ValueError) as error:
            reason = type(error).__name__  # time-outs, broken connections, malformed JSON
        if not retries():
            break
        if attempt + 1 < endpoint.max_attempts:
            doubled = min(INITIAL_BACKOFF_SECONDS * 2**attempt, MAX_BACKOFF_SECONDS)
            pause = max(wait, doubled * (0.5 + pauses.random() / 2))
            log.info("attempt %d failed (%s); the next in %.1f s", attempt + 1, reason, pause)
            await asyncio.sleep(pause)
    return FailedRequest(reason=f"{endpoint.max_attempts} attempts failed, the last one with {reason}")


async def _send(client: Any, endpoint: Endpoint, request: CompletionRequest) -> Any:
    common: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.stop:
        common["stop"] = list(request.stop)
    common |= {key: value for key in ("top_p", "seed") if (value := getattr(request, key)) is not None}
    if request.prompt is None:
        return await client.chat.completions.create(messages=list(request.messages), **common)
    prompt = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
    if request.echo:
        common |= {"echo": True, "logprobs": 1}
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
        raise _NotACompletionError("the message has no text")
    return Reply(
        text=text,
        finish="length" if finish == "length" else "stop",
        num_prompt_tokens=getattr(usage, "prompt_tokens", None) or 0,
        num_completion_tokens=getattr(usage, "completion_tokens", None) or 0,
        tokens=_tokens(getattr(choice, "logprobs", None)),
    )


def _tokens(found: Any) -> tuple[TokenLogProbability | None, ...]:
    values, tops = getattr(found, "token_logprobs", None), getattr(found, "top_logprobs", None)
    if not isinstance(values, list):
        return ()
    if not isinstance(tops, list) or len(tops) != len(values):
        tops = [None] * len(values)
    return tuple(
        None
        if value is None
        else TokenLogProbability(value=float(value), largest=max([float(value), *map(float, (top or {}).values())]))
        for value, top in zip(values, tops, strict=True)
    )


def _retry_after(error: Any) -> float:
    """Seconds of the Retry-After header; 0 if it is absent or a date."""
    try:
        return min(float(error.response.headers.get("retry-after", 0)), MAX_BACKOFF_SECONDS)
    except (TypeError, ValueError):
        return 0.0


def _rejection(endpoint: Endpoint, error: Any) -> str:
    remedy = {
        401: f"Put the key into the environment variable {endpoint.key_variable}.",
        403: f"The key in {endpoint.key_variable} has no permission for this request.",
        404: f"Check that the address serves a model '{endpoint.model}'.",
    }.get(error.status_code, "Correct the request's settings.")
    return f"{endpoint.base_url} rejected the request with HTTP {error.status_code}: {str(error)[:200]}. {remedy}"
