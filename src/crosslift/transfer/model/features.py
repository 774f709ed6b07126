"""Features of a mixture as an evaluation language sees it: its own amount, amounts of similar languages, the total."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosslift.languages.similarity import KINDS, similarity
from crosslift.transfer.model.observations import Amounts

FEATURES = ("own", *KINDS, "total")


FEATURES_WITHOUT_SIMILARITY = ("own", "total")
"""The features without similarity: what similarity adds is the difference to these."""


AMOUNT_UNIT = 100.0
"""Amounts enter as log(1 + amount / UNIT): the first hundred items count about as much as each later doubling."""


def features_of(amounts: Amounts, languages: Sequence[str], names: Sequence[str] = FEATURES) -> np.ndarray:
    """What a mixture offers each language, shape (languages, features).

    Raises:
        UnknownName: a language that nothing is known of.
    """
    trained = [tag for tag, amount in amounts.items() if amount > 0]
    given = np.array([amounts[tag] for tag in trained], dtype=float)
    others = np.array([[tag != other for other in trained] for tag in languages], dtype=float).reshape(
        len(languages), len(trained)
    )
    columns = []
    for name in names:
        if name == "own":
            amount = (1 - others) @ given
        elif name == "total":
            amount = np.full(len(languages), given.sum())
        else:
            amount = (others * similarity(name, languages, trained).reshape(others.shape)) @ given
        columns.append(np.log1p(amount / AMOUNT_UNIT))
    return np.stack(columns, axis=1)
