"""Features of a mixture for an evaluation language: its own amount, amounts of similar languages, the total."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosslift.languages.similarity import KINDS, similarity
from crosslift.transfer.model.observations import AMOUNT_UNIT, Amounts

FEATURES = ("own", *KINDS, "total")
"""Names of the features; KINDS are the kinds of similarity between languages."""


FEATURES_WITHOUT_SIMILARITY = ("own", "total")
"""The features of the ablation without similarity."""


def features_of(
    amounts: Amounts, languages: Sequence[str], names: Sequence[str] = FEATURES, *, amount_unit: float = AMOUNT_UNIT
) -> np.ndarray:
    """Features of a mixture for each evaluation language.

    Args:
        amounts: training language -> amount.
        languages: tags of the evaluation languages.
        names: the features to compute.
        amount_unit: see `Observations.amount_unit`.

    Returns:
        Shape (languages, features), log(1 + amount / amount_unit).

    Raises:
        UnknownName: a language that is not in the table of language facts.
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
        columns.append(np.log1p(amount / amount_unit))
    return np.stack(columns, axis=1)
