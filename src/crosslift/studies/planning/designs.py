"""What a plan says about families that are designs: their mixtures, and what an edit of them would change."""

from __future__ import annotations

from collections.abc import Iterator

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.problems import some
from crosslift.studies.study import Study


def compositions(study: Study) -> dict[str, str]:
    """Return mixture -> shares of its languages, for mixtures whose name does not state them."""
    return {name: one.factors["shares"] for name, one in study.mixtures.items() if "shares" in one.factors}


def notes(study: Study) -> tuple[str, ...]:
    """Return a sentence per family that is a design, and per property of staged mixtures that readers must know."""
    return (*_simplex(study), *_staged(study), *_factorial(study), *_origin(study))


def _simplex(study: Study) -> Iterator[str]:
    families: dict[str, list[Mixture]] = {}
    for mixture in study.mixtures.values():
        if "design" in mixture.factors:
            families.setdefault(mixture.family, []).append(mixture)
    for name, members in families.items():
        if members[0].factors["design"] == "uniform":
            yield (
                f"families.{name}: {len(members)} mixtures drawn uniformly from all shares. A larger num_mixtures "
                "keeps them; another number or order of languages, or another seed, draws others."
            )
        else:
            yield (
                f"families.{name}: {len(members)} mixtures chosen together, D-optimal under the prior of the transfer "
                "model. Another num_mixtures, number or order of languages, or seed chooses others, and their numbers "
                "in names change. Mixtures that remain keep their results under whatever name."
            )


def _factorial(study: Study) -> Iterator[str]:
    families: dict[str, list[Mixture]] = {}
    for mixture in study.mixtures.values():
        if "num_languages" in mixture.factors:
            families.setdefault(mixture.family, []).append(mixture)
    for name, members in families.items():
        totals: dict[int, list[str]] = {}
        for one in members:
            total = sum(one.amounts().values())
            totals.setdefault(total, []).append(one.name)
        equal = [f"{' = '.join(names)} ({total:,} {members[0].unit})" for total, names in totals.items() if names[1:]]
        yield (
            f"families.{name}: {len(members)} mixtures, every number of languages with every amount per language. "
            + (
                f"Equal totals, for the number of languages alone: {'; '.join(equal)}."
                if equal
                else "No two have equal totals, so the number of languages cannot be told from the volume; add amounts "
                "such that some have, as 100 and 200 with 1 and 2 languages."
            )
        )


def _origin(study: Study) -> Iterator[str]:
    for name in dict.fromkeys(one.family for one in study.mixtures.values() if one.origins):
        yield (
            f"families.{name}: native and translated data differ in their content as well, unless both corpora hold "
            "the same items; and a translated test set may favour translated data."
        )


def _staged(study: Study) -> Iterator[str]:
    staged = [name for name, mixture in study.mixtures.items() if mixture.stages]
    if not staged:
        return
    training = study.training
    if training.epochs is None or training.epochs > 1:
        yield (
            f"mixtures {some(staged)}: every epoch goes through all stages in order. For one pass, set epochs = 1 "
            "(with a larger budget and repeat = true for as many steps)."
        )
    if training.schedule != "constant":
        yield (
            f'mixtures {some(staged)}: with schedule = "{training.schedule}", later stages are trained at lower '
            'learning rates, which is part of what their order changes. schedule = "constant" keeps it equal.'
        )
