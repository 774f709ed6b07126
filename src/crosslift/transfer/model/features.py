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
    mixtures: Sequence[Amounts],
    languages: Sequence[str],
    names: Sequence[str] = FEATURES,
    *,
    amount_unit: float = AMOUNT_UNIT,
) -> np.ndarray:
    """Features of mixtures for each evaluation language.

    Args:
        mixtures: training language -> amount, one per mixture.
        languages: tags of the evaluation languages.
        names: the features to compute.
        amount_unit: see `Observations.amount_unit`.

    Returns:
        Shape (mixtures, languages, features), log(1 + amount / amount_unit).

    Raises:
        UnknownName: a language that is not in the table of language facts.
    """
    trained = sorted({tag for amounts in mixtures for tag, amount in amounts.items() if amount > 0})
    given = np.array([[amounts.get(tag, 0.0) for tag in trained] for amounts in mixtures], dtype=float)
    given = given.reshape(len(mixtures), len(trained))
    own = np.array([[tag == other for other in trained] for tag in languages], dtype=float)
    own = own.reshape(len(languages), len(trained))
    columns = []
    for name in names:
        if name == "own":
            weights = own
        elif name == "total":
            weights = np.ones_like(own)
        else:
            weights = (1 - own) * similarity(name, languages, trained).reshape(own.shape)
        columns.append(np.log1p(given @ weights.T / amount_unit))
    return np.stack(columns, axis=2)
