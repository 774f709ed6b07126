"""Prompts of a judge model, and parsing of its replies.

Ratings and comparisons follow MT-Bench (L. Zheng et al. 2023, arXiv 2306.05685): reasons first, then the verdict in a
fixed format. arXiv 2504.16677 rates from 1 to 5. Each comparison is made in both orders of the answers, because judge
models have a position bias.
"""

from __future__ import annotations

import re

WORST, BEST = 1, 5

_ANSWER = "\n\n[Answer]\n{answer}\n[End of answer]"
RATING_PROMPT = (
    "Rate an assistant's answer to the request below for helpfulness, correctness and language. Both are in "
    "{language}. Give your reasons in one or two sentences, then end with a line 'Rating: N', "
    f"N from {WORST} (useless) to {BEST} (could not be better).\n\n"
    "[Request]\n{request}\n[End of request]" + _ANSWER
)
"""Prompt of a rating."""
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


def read_rating(reply: str) -> float | None:
    """Parse the last rating of a reply.

    Returns:
        The rating rescaled to 0 ... 1; None if there is no rating within the scale.
    """
    found = _RATING.findall(reply)
    if not found or len(found[-1]) > MAX_DIGITS or not WORST <= int(found[-1]) <= BEST:
        return None
    return (int(found[-1]) - WORST) / (BEST - WORST)


def read_comparison(reply: str) -> float | None:
    """Parse the last preference of a reply: 1 for the first answer, 0 for the second, 0.5 for a tie, None if there is
    none."""
    found = _BETTER.findall(reply)
    return {"a": 1.0, "b": 0.0, "tie": 0.5}[found[-1].lower()] if found else None
