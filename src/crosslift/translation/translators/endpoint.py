"""Translation by a chat model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crosslift.errors import StudyError
from crosslift.remote import endpoint
from crosslift.remote.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests
from crosslift.translation.translator import Done, Request, Translation

OPTIONS = endpoint.OPTIONS
TOKENS_PER_BYTE = 1.0
"""Tokens of a completion per UTF-8 byte: about 1 in a script that the tokenizer was not trained on."""
MIN_TOKENS = 64
"""Completion tokens that a request allows in addition to those for the text."""


class Translator:
    """Translates by chat requests to an endpoint."""

    def __init__(self, options: dict[str, Any], *, place: str) -> None:
        lacking = [key for key in ("base_url", "model") if key not in options]
        unknown = sorted(options.keys() - OPTIONS.keys())
        if lacking or unknown:
            raise StudyError(
                [f"{place}.{key}: is missing. Add it." for key in lacking]
                + [f"{place}.{key}: is not known. Known: {', '.join(OPTIONS)}." for key in unknown]
            )
        self._endpoint = Endpoint(**options)
        self.name = self._endpoint.model

    def translate(self, requests: Sequence[Request], done: Done) -> None:
        """Translate each request; `done` is called with its index and its translation or the reason of its failure.

        Raises:
            EndpointError: the endpoint rejects the requests.
        """
        questions = [
            CompletionRequest(
                messages=[{"role": "user", "content": request.prompt}],
                max_tokens=MIN_TOKENS + int(TOKENS_PER_BYTE * 2 * len(request.text.encode())),
            )
            for request in requests
        ]

        def answered(place: int, reply: Reply | FailedRequest) -> None:
            if isinstance(reply, FailedRequest):
                done(place, reply.reason)
                return
            done(
                place,
                Translation(
                    text=reply.text,
                    num_prompt_tokens=reply.num_prompt_tokens,
                    num_completion_tokens=reply.num_completion_tokens,
                    is_complete=reply.finish == "stop",
                ),
            )

        send_requests(self._endpoint, questions, answered)
