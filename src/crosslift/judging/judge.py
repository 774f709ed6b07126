"""A judge model behind an OpenAI-compatible endpoint. Every reply is stored, and no prompt is sent twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crosslift.errors import StudyError
from crosslift.judging import forms
from crosslift.remote import endpoint
from crosslift.remote.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests
from crosslift.remote.journal import Journal, request_key
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.toml_file import read_toml

OPTIONS: dict[str, type] = {**endpoint.OPTIONS, "max_tokens": int}
"""Keys of the table [judge] of a site file, with their types."""
MAX_REMINDERS = 2
"""Further requests after a reply without a verdict."""

ReplyParser = Callable[[str], float | None]
"""From a reply to a verdict; None if it has none."""


class Judge:
    """A judge model."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = dict(options)
        self._max_tokens = int(given.pop("max_tokens", 512))
        self._endpoint = Endpoint(**given)
        self.name = self._endpoint.model
        self.check: Callable[[], None] = lambda: None
        """Called before questions are asked and answers kept; raises when this process may not go on."""

    def verdicts(self, prompts: Sequence[str], parse: ReplyParser, journal: Journal) -> dict[str, float]:
        """Obtain verdicts for prompts.

        Args:
            prompts: the prompts; duplicates are sent once.
            parse: from a reply to a verdict, None if it has none.
            journal: earlier replies; each new reply is stored there before it is used, whether it has a verdict or not.

        Returns:
            Prompt -> verdict; prompts without a verdict after all reminders are omitted.

        Raises:
            EndpointError: the endpoint rejects the requests.
        """
        found: dict[str, float] = {}
        waiting = list(dict.fromkeys(prompts))
        for reminder in range(MAX_REMINDERS + 1):
            asked = {
                prompt: prompt + (forms.REMINDER.format(number=reminder) if reminder else "") for prompt in waiting
            }
            self._ask([text for text in asked.values() if request_key(self.name, text) not in journal.entries], journal)
            for prompt, text in asked.items():
                entry = journal.entries.get(request_key(self.name, text))
                verdict = None if entry is None else parse(entry["reply"])
                if verdict is not None:
                    found[prompt] = verdict
            waiting = [prompt for prompt in waiting if prompt not in found]
        return found

    def _ask(self, texts: list[str], journal: Journal) -> None:
        questions = [
            CompletionRequest(messages=[{"role": "user", "content": text}], max_tokens=self._max_tokens)
            for text in texts
        ]

        def answered(place: int, reply: Reply | FailedRequest) -> None:
            self.check()
            if isinstance(reply, Reply):
                journal.add(
                    request_key(self.name, texts[place]),
                    judge=self.name,
                    asked=texts[place],
                    reply=reply.text,
                    num_prompt_tokens=reply.num_prompt_tokens,
                    num_completion_tokens=reply.num_completion_tokens,
                )

        if questions:
            self.check()
            send_requests(self._endpoint, questions, answered, check=self.check)


def load_judge(path: Path) -> Judge:
    """Read the table [judge] of a site file: base_url, model, and the other keys of OPTIONS.

    Raises:
        StudyError: with every problem found.
    """
    raw = read_toml(path, remedy='Create it: [judge] base_url = "http://localhost:8000/v1", model = "..."')
    problems = Problems(path.name)
    given = raw.get("judge")
    if not isinstance(given, dict):
        problems.add("judge", "is missing: it defines the judge model (base_url, model). Add it.")
        raise StudyError(problems)
    problems.options("judge", given, OPTIONS, ())
    for key in ("base_url", "model"):
        if key not in given:
            problems.add(f"judge.{key}", "is missing. Add it.")
    if problems:
        raise StudyError(problems)
    return Judge(given)
