"""Features of a mixture for an evaluation language: its own amount, amounts of similar languages, the total.

The first few items of a language do more than teach it: they also change the language of the answer, or its form, in
one step that the logarithm of an amount does not show. In the summaries of `references/post-trainers-guide` five
items of a language raise its score from 1 to 60 or 70 points, and the next 245 by another 20. So the amounts of the
language itself and of similar languages enter twice, by their logarithm and by their presence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosslift.languages.similarity import KINDS, similarity
from crosslift.transfer.model.observations import AMOUNT_UNIT, Amounts

PRESENCE = " presence"
"""End of the names of features that say whether there is any amount, and not how much."""
FEATURES = ("own", *KINDS, "total", f"own{PRESENCE}", *(f"{kind}{PRESENCE}" for kind in KINDS))
"""Names of the features; KINDS are the kinds of similarity between languages."""
FEATURES_WITHOUT_SIMILARITY = ("own", "total", f"own{PRESENCE}")
"""The features of the ablation without similarity."""
FIRST_ITEMS = 0.05
"""Amount, as a share of the unit of amounts, at which a presence is 1 - 1/e: five items. Values from 2 to 10 items
predict about as well."""


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
        Shape (mixtures, languages, features): log(1 + amount / amount_unit), for a presence `presence(amount)`.

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
        of = name.removesuffix(PRESENCE)
        if of == "own":
            weights = own
        elif of == "total":
            weights = np.ones_like(own)
        else:
            weights = (1 - own) * similarity(of, languages, trained).reshape(own.shape)
        relative = given @ weights.T / amount_unit
        columns.append(np.log1p(relative) if of == name else presence(relative))
    return np.stack(columns, axis=2)


def presence(relative: np.ndarray) -> np.ndarray:
    """0 without any amount, 1 from a few items on.

    Args:
        relative: amounts divided by the unit of amounts.
    """
    return np.asarray(-np.expm1(-relative / FIRST_ITEMS))
