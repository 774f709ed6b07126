"""What a judge is asked, and how its verdict is read.

Rating and comparison follow MT-Bench (L. Zheng et al. 2023, arXiv 2306.05685): reasons first, the verdict last and in a
fixed form. arXiv 2504.16677 rates from 1 to 5. A comparison is asked twice with the answers exchanged, because judges
favour a place.
"""

from __future__ import annotations

import re

WORST, BEST = 1, 5

_ANSWER = "\n\n[Answer]\n{answer}\n[End of answer]"
RATE = (
    "Rate an assistant's answer to the request below for helpfulness, correctness and language. Both are in "
    "{language}. Give your reasons in one or two sentences, then end with a line 'Rating: N', "
    f"N from {WORST} (useless) to {BEST} (could not be better).\n\n"
    "[Request]\n{request}\n[End of request]" + _ANSWER
)
COMPARE = (
    "Two assistants answered the request below. Which answer is better in helpfulness, correctness and language? The "
    "request is in {language}. Neither length nor order counts. Give your reasons in one or two sentences, then end "
    "with a line 'Better: A', 'Better: B' or 'Better: tie'.\n\n[Request]\n{request}\n[End of request]\n\n[Answer A]\n"
    "{first}\n[End of answer A]\n\n[Answer B]\n{second}\n[End of answer B]"
)
AGAIN = "\n\nThe last line of your reply must be the verdict, in exactly that form. (Reminder {number}.)"

MAX_DIGITS = 9
"""Of a rating. Python refuses to read a number of more than 4,300."""
_RATING = re.compile(r"rating\W{1,8}(\d+)\b(?![.,]\d)", re.IGNORECASE)
_BETTER = re.compile(r"better\W{1,8}(A|B|tie)\b", re.IGNORECASE)


def read_rating(reply: str) -> float | None:
    """The last rating of a reply as a share of the way from worst to best; None where there is none in bounds."""
    found = _RATING.findall(reply)
    if not found or len(found[-1]) > MAX_DIGITS or not WORST <= int(found[-1]) <= BEST:
        return None
    return (int(found[-1]) - WORST) / (BEST - WORST)


def read_comparison(reply: str) -> float | None:
    """1 where the first answer is better, 0 where the second is, 0.5 for a tie; None where nothing is said."""
    found = _BETTER.findall(reply)
    return {"a": 1.0, "b": 0.0, "tie": 0.5}[found[-1].lower()] if found else None
