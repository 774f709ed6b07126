"""Generation by an OpenAI-compatible server: vLLM, SGLang, transformers serve.

The rendered prompt, with the chat template applied here, is sent to `/v1/completions`, so that evaluation uses the
prompt of training whatever template the server has. As text the prompt must give the same token ids on the server; the
checkpoint's tokenizer verifies this before anything is sent. For servers that accept token ids (vLLM) set
`prompts = "tokens"`.

`{run}` in `model` is replaced by the name of the run, or by "base" for the base model: a server with many adapters
serves each under such a name. This module cannot verify that the server has loaded this checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crosslift.chat import load_tokenizer
from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.remote.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests

OPTIONS: dict[str, type] = {
    "base_url": str,
    "model": str,
    "prompts": str,
    "key_variable": str,
    "concurrency": int,
    "timeout_seconds": float,
    "max_attempts": int,
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
