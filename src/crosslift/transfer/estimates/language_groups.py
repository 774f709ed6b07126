"""Named groups of evaluation languages.

The value of a group is the unweighted mean over its languages, so that the number of items of a language does not
change its weight. The groups `seen` and `unseen` depend on the mixture. A contrast takes them from its treatment for
both sides; otherwise the two sides would be averages over different languages.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from crosslift.languages.language import language

ENGLISH = "en"
FIXED = ("all", "non-English", "seen", "unseen", "high", "low")


@cache
def language_groups(evaluated: tuple[str, ...], trained: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Positions in `evaluated` of the languages of every group, and of every single language.

    Args:
        evaluated: tags of the evaluation languages.
        trained: tags of the training languages.

    Returns:
        Label -> positions. Labels: `all`; `non-English`; `seen` (trained on, without English); `unseen` (not trained
        on, without English); `high` and `low` (by `Language.resource`; English is high, as in arXiv 2604.13286); then
        one group per tag. A group may be empty.

    Raises:
        UnknownName: a tag without a file in languages/data.
    """
    others = [tag for tag in evaluated if tag != ENGLISH]
    members: dict[str, list[str]] = {
        "all": list(evaluated),
        "non-English": others,
        "seen": [tag for tag in others if tag in trained],
        "unseen": [tag for tag in others if tag not in trained],
        "high": [tag for tag in evaluated if language(tag).resource == "high"],
        "low": [tag for tag in evaluated if language(tag).resource == "low"],
    }
    members |= {tag: [tag] for tag in evaluated}
    position = {tag: index for index, tag in enumerate(evaluated)}
    return {label: np.array([position[tag] for tag in tags], dtype=np.intp) for label, tags in members.items()}
