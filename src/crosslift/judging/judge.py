"""A judge behind an OpenAI-compatible endpoint. Every judgement is kept; what was judged is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crosslift import endpoint
from crosslift.endpoint import Endpoint, NoReply, Question, Reply, ask
from crosslift.errors import StudyError
from crosslift.journal import Journal, key_of
from crosslift.judging import forms
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.toml_file import read_toml

OPTIONS: dict[str, type] = {**endpoint.OPTIONS, "max_tokens": int}
MAX_REMINDERS = 2
"""How often a reply without a verdict is asked for again."""

Read = Callable[[str], float | None]


class Judge:
    """One model that is asked for verdicts."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = dict(options)
        self._max_tokens = int(given.pop("max_tokens", 512))
        self._endpoint = Endpoint(**given)
        self.name = self._endpoint.model

    def verdicts(self, prompts: Sequence[str], read: Read, journal: Journal) -> dict[str, float]:
        """Prompt -> verdict. A prompt without one after all reminders is left out.

        Args:
            read: from a reply to a verdict, None where it holds none.
            journal: knows earlier replies and keeps each new one, readable or not, before it counts.

        Raises:
            EndpointError: the endpoint refuses such requests.
        """
        found: dict[str, float] = {}
        waiting = list(dict.fromkeys(prompts))
        for reminder in range(MAX_REMINDERS + 1):
            asked = {prompt: prompt + (forms.AGAIN.format(number=reminder) if reminder else "") for prompt in waiting}
            self._ask([text for text in asked.values() if key_of(self.name, text) not in journal.known], journal)
            for prompt, text in asked.items():
                entry = journal.known.get(key_of(self.name, text))
                verdict = None if entry is None else read(entry["reply"])
                if verdict is not None:
                    found[prompt] = verdict
            waiting = [prompt for prompt in waiting if prompt not in found]
        return found

    def _ask(self, texts: list[str], journal: Journal) -> None:
        questions = [
            Question(messages=[{"role": "user", "content": text}], max_tokens=self._max_tokens) for text in texts
        ]

        def answered(place: int, reply: Reply | NoReply) -> None:
            if isinstance(reply, Reply):
                journal.add(
                    key_of(self.name, texts[place]),
                    judge=self.name,
                    asked=texts[place],
                    reply=reply.text,
                    num_prompt_tokens=reply.num_prompt_tokens,
                    num_completion_tokens=reply.num_completion_tokens,
                )

        if questions:
            ask(self._endpoint, questions, answered)


def load_judge(path: Path) -> Judge:
    """Read [judge] of a site file: base_url, model, and what else OPTIONS names.

    Raises:
        StudyError: with every problem found.
    """
    raw = read_toml(path, remedy='Write one: [judge] base_url = "http://localhost:8000/v1", model = "..."')
    problems = Problems(path.name)
    given = raw.get("judge")
    if not isinstance(given, dict):
        problems.add("judge", "is missing: it says who judges (base_url, model). Add it.")
        raise StudyError(problems)
    problems.options("judge", given, OPTIONS, ())
    for key in ("base_url", "model"):
        if key not in given:
            problems.add(f"judge.{key}", "is missing. Add it.")
    if problems:
        raise StudyError(problems)
    return Judge(given)
