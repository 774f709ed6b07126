"""Prompts of a judge model, and parsing of its replies.

A prompt of a rating is a text file of `prompts/`, or one that the study brings. It contains {request} and {answer}, and
may contain {language}, the English name of the request's language. It asks for a line 'Rating: N'.

    short           helpfulness, correctness and language
    six-criteria    the criteria of arXiv 2504.16677 (helpfulness, relevance, accuracy, depth, creativity, detail; in
                    the language of the request), in our words: the explanation first, then the rating

Ratings and comparisons follow MT-Bench (L. Zheng et al. 2023, arXiv 2306.05685): reasons first, then the verdict in a
fixed format. arXiv 2504.16677 rates from 1 to 5. Each comparison is made in both orders of the answers, because judge
models have a position bias.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from crosslift.errors import StudyError, did_you_mean
from crosslift.scores import RATING, metric_range

WORST, BEST = (int(end) for end in metric_range(RATING))
FOLDER = Path(__file__).parent / "prompts"
_FIELD = re.compile(r"\{(language|request|answer)\}")
REQUIRED = ("{request}", "{answer}", "Rating:")
"""What a prompt of a rating must contain."""
COMPARISON_PROMPT = (
    "Two assistants answered the request below. Which answer is better in helpfulness, correctness and language? The "
    "request is in {language}. Neither length nor order counts. Give your reasons in one or two sentences, then end "
    "with a line 'Better: A', 'Better: B' or 'Better: tie'.\n\n[Request]\n{request}\n[End of request]\n\n[Answer A]\n"
    "{first}\n[End of answer A]\n\n[Answer B]\n{second}\n[End of answer B]"
)
"""Prompt of a pairwise comparison."""
REMINDER = "\n\nThe last line of your reply must be the verdict, in exactly that form. (Reminder {number}.)"
"""Appended to the prompt after a reply without a verdict."""

MAX_DIGITS = 9
"""Of a rating. Python refuses to read a number of more than 4,300."""
_RATING = re.compile(r"rating\W{1,8}(\d+)\b(?![.,]\d)", re.IGNORECASE)
_BETTER = re.compile(r"better\W{1,8}(A|B|tie)\b", re.IGNORECASE)


@cache
def form_names() -> tuple[str, ...]:
    """Names of the prompts that crosslift brings."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.txt")))


def rating_prompt(name: str, folder: Path, *, place: str = "judging.prompt") -> str:
    """Read the prompt of a rating.

    Args:
        name: one of `form_names`, or the path of a text file.
        folder: folder of the study, to which a path is relative.
        place: where the name stands in the study file, for messages.

    Returns:
        The text with its placeholders.

    Raises:
        StudyError: there is no such prompt, or it lacks a part.
    """
    file = FOLDER / f"{name}.txt" if name in form_names() else folder / Path(name).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        known = ", ".join(form_names())
        raise StudyError(
            [
                f"{place}: '{name}' is neither a prompt of crosslift ({known}) nor a text file that can be read "
                f"({type(error).__name__}).{did_you_mean(name, form_names())} Correct the name or the path."
            ]
        ) from error
    lacking = [part for part in REQUIRED if part not in text]
    if lacking:
        raise StudyError([f"{place}: {name} lacks {' and '.join(lacking)}. Add it to the text."])
    return text.rstrip("\n")


def filled(prompt: str, fields: Mapping[str, str]) -> str:
    """Replace the placeholders of a prompt. Braces in the values and other braces in the prompt stay as they are.

    Args:
        prompt: the text with placeholders.
        fields: placeholder -> text.
    """
    return _FIELD.sub(lambda match: fields[match[1]], prompt)


def read_rating(reply: str) -> float | None:
    """Parse the last rating of a reply.

    Returns:
        The rating, WORST to BEST; None if there is no rating within the scale.
    """
    found = _RATING.findall(reply)
    if not found or len(found[-1]) > MAX_DIGITS or not WORST <= int(found[-1]) <= BEST:
        return None
    return float(found[-1])


def read_comparison(reply: str) -> float | None:
    """Parse the last preference of a reply: 1 for the first answer, 0 for the second, 0.5 for a tie, None if there is
    none."""
    found = _BETTER.findall(reply)
    return {"a": 1.0, "b": 0.0, "tie": 0.5}[found[-1].lower()] if found else None
