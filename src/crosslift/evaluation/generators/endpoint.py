"""Generation by an OpenAI-compatible server: vLLM, SGLang, transformers serve.

The rendered prompt, with the chat template applied here, is sent to `/v1/completions`, so that evaluation uses the
prompt of training whatever template the server has. As text the prompt must give the same token ids on the server; the
checkpoint's tokenizer verifies this before anything is sent. For servers that accept token ids (vLLM) set
`prompts = "tokens"`.

`{run}` in `model` is replaced by the name of the run, or by "base" for the base model: a server with many adapters
serves each under such a name. This module cannot verify that the server has loaded this checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crosslift.chat import load_tokenizer
from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.requests.kinds import Likelihood, TokenContinuations
from crosslift.remote.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests

OPTIONS: dict[str, type] = {
    "base_url": str,
    "model": str,
    "prompts": str,
    "key_variable": str,
    "concurrency": int,
    "timeout_seconds": float,
    "max_attempts": int,
    "max_length": int,
}


class Generator:
    """Generates completions through a server."""

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        base: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        template: str | None = None,
        base_url: str = "",
        model: str = "{run}",
        prompts: str = "text",
        key_variable: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        timeout_seconds: float = 120.0,
        max_attempts: int = 8,
        max_length: int | None = None,
    ) -> None:
        """Load the tokenizer; no request is sent yet.

        Args:
            checkpoint: Local folder or hub name; its tokenizer and chat template are used.
            base: Base model of the run.
            revision: Revision of a hub model.
            device: Not used; the server has its own device.
            template: Chat template, as `chat.load_tokenizer` takes it.
            base_url: Address of the API, e.g. "http://localhost:8000/v1".
            model: Name of the model on the server; `{run}` is replaced.
            prompts: "text" or "tokens".
            key_variable: Environment variable with the API key.
            concurrency: Maximum number of requests in flight.
            timeout_seconds: Time limit of one attempt.
            max_attempts: Attempts per request.
            max_length: Longest input of the model in tokens, for tasks by likelihood; None: what the tokenizer says.

        Raises:
            EvaluationError: there is no address, or `prompts` is invalid.
            TemplateError: the checkpoint has no chat template.
        """
        if not base_url or prompts not in ("text", "tokens"):
            raise EvaluationError(
                'generator "endpoint" needs an address, and prompts must be "text" or "tokens". Set in the site file: '
                '[generators.endpoint] base_url = "http://localhost:8000/v1"'
            )
        self.tokenizer = load_tokenizer(checkpoint, revision, template)
        self._as_text = prompts == "text"
        self._max_length = max_length
        self._endpoint = Endpoint(
            base_url=base_url,
            model=model.replace("{run}", run_of(checkpoint, base)),
            key_variable=key_variable,
            concurrency=concurrency,
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
        )

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Generate a completion for each prompt, in the order of the prompts.

        A prompt without reply gets an empty completion with finish "error".

        Args:
            prompts: Token ids, as `chat.encode_prompt` returns them.
            max_tokens: Limit of generated tokens per prompt.
            stop: Texts that end a completion.

        Raises:
            EvaluationError: the text of a prompt has other token ids than the prompt.
            EndpointError: the server rejects the requests.
        """
        questions = [
            CompletionRequest(prompt=self._text(ids) if self._as_text else ids, max_tokens=max_tokens, stop=tuple(stop))
            for ids in prompts
        ]
        found: dict[int, Completion] = {}

        def answered(place: int, reply: Reply | FailedRequest) -> None:
            if isinstance(reply, FailedRequest):
                found[place] = Completion(text="", finish="error", num_tokens=0)
                return
            found[place] = Completion(
                text=reply.text,
                finish="length" if reply.finish == "length" else "stop",
                num_tokens=reply.num_completion_tokens,
            )

        send_requests(self._endpoint, questions, answered)
        return [found[place] for place in range(len(questions))]

    @property
    def max_length(self) -> int:
        """Longest input of the model in tokens: the option, else what the tokenizer says."""
        return int(self._max_length or min(self.tokenizer.model_max_length, 1 << 30))

    def log_likelihoods(self, requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]:
        """Log-probabilities of given continuations, by `/v1/completions` with `echo` and `logprobs`.

        The first continuation is asked alone, so that a server that returns none is noticed by one request.

        Args:
            requests: contexts and continuations in token ids. A context is cut from the left where a continuation would
                not fit behind it.

        Returns:
            One list per request; None for a continuation that does not fit or got no reply.

        Raises:
            EvaluationError: the server returns no log-probabilities of the prompt, or a text has other token ids than
                its prompt.
            EndpointError: the server rejects the requests.
        """
        found: list[list[Likelihood | None]] = [[None] * len(request.continuations) for request in requests]
        cells = [
            (place, choice, whole, len(continuation))
            for place, request in enumerate(requests)
            for choice, continuation in enumerate(request.continuations)
            if len(continuation) <= self.max_length
            and (whole := (*request.context, *continuation)[-(self.max_length + 1) :])
        ]
        questions = [
            CompletionRequest(prompt=self._text(whole) if self._as_text else whole, max_tokens=1, echo=True)
            for _, _, whole, _ in cells
        ]

        def answered(offset: int) -> Callable[[int, Reply | FailedRequest], None]:
            def read(number: int, reply: Reply | FailedRequest) -> None:
                place, choice, whole, length = cells[offset + number]
                if isinstance(reply, Reply):
                    found[place][choice] = self._likelihood(reply, len(whole), length)

            return read

        send_requests(self._endpoint, questions[:1], answered(0))
        send_requests(self._endpoint, questions[1:], answered(1))
        return found

    def _likelihood(self, reply: Reply, num_prompt: int, length: int) -> Likelihood:
        scored = reply.tokens[num_prompt - length : num_prompt]
        if len(reply.tokens) not in (num_prompt, num_prompt + 1) or None in scored:
            raise EvaluationError(
                f"{self._endpoint.base_url} does not return log-probabilities of the prompt's tokens (echo and "
                f"logprobs of /v1/completions; {len(reply.tokens)} values for {num_prompt} tokens). Set "
                'generator = "hf" or "vllm" for tasks by likelihood, or use a server that has both, such as vLLM\'s.'
            )
        values = [one for one in scored if one is not None]
        return Likelihood(
            log_probability=sum(one.value for one in values),
            is_greedy=all(one.value >= one.largest for one in values),
        )

    def _text(self, ids: Sequence[int]) -> str:
        """A text that the server will tokenize to these ids."""
        whole = str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        bos = self.tokenizer.bos_token or ""
        for text in dict.fromkeys([whole, whole.removeprefix(bos)]):
            if self.tokenizer(text)["input_ids"] == list(ids):
                return text
        raise EvaluationError(
            "The text of a prompt is tokenized to other token ids than the prompt. Set in the site file: "
            '[generators.endpoint] prompts = "tokens"'
        )


def run_of(checkpoint: Path | str, base: str | None) -> str:
    """Name of the run of a checkpoint, from its path in the study's folder; "base" for the base model."""
    path = Path(checkpoint)
    if base is not None and str(checkpoint) == base:
        return "base"
    return next((folder.parent.name for folder in path.parents if folder.name == "train"), path.name)
