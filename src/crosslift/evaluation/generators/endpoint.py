"""Answers of models behind an OpenAI-compatible server: vLLM, SGLang, transformers serve.

The prompt is ours, chat template and all, and goes to `/v1/completions`, so that a model is asked in the words it was
trained with, whatever template the server holds. As text it must mean the same tokens to the server; that is tried with
the checkpoint's own tokenizer before anything is sent. Servers that take token ids (vLLM) are spared the question:
`prompts = "tokens"`.

`{run}` in `model` is the name of the run, "base" for the untouched model: a server of many adapters names them so. That
the server has loaded this very checkpoint cannot be seen from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crosslift.chat import load_tokenizer
from crosslift.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests
from crosslift.errors import EvaluationError
from crosslift.evaluation.generator import Completion

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
    """A model on a server, ready to answer."""

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
        """Know where to send_requests. Nothing is sent yet.

        Raises:
            EvaluationError: no address, or an unknown form of prompts.
            TemplateError: the checkpoint has no chat template.
        """
        if not base_url or prompts not in ("text", "tokens"):
            raise EvaluationError(
                'generator "endpoint" needs an address and prompts of "text" or "tokens". Say in the site: '
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

    def generate(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]:
        """Answer each prompt; results are in the order of the prompts. A prompt without reply has finish "error".

        Raises:
            EvaluationError: a prompt does not survive as text.
            EndpointError: the server refuses.
        """
        questions = [
            CompletionRequest(prompt=self._text(ids) if self._as_text else ids, max_tokens=max_tokens)
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
        """The prompt as a text that the server will read as these tokens."""
        whole = str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        bos = self.tokenizer.bos_token or ""
        for text in dict.fromkeys([whole, whole.removeprefix(bos)]):
            if self.tokenizer(text)["input_ids"] == list(ids):
                return text
        raise EvaluationError(
            'A prompt reads as other tokens once it is text. Say in the site: [generators.endpoint] prompts = "tokens"'
        )


def run_of(checkpoint: Path | str, base: str | None) -> str:
    """The run that a checkpoint belongs to, by its place in the study's folder; "base" for the untouched model."""
    path = Path(checkpoint)
    if base is not None and str(checkpoint) == base:
        return "base"
    return next((folder.parent.name for folder in path.parents if folder.name == "train"), path.name)
