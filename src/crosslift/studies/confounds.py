"""What moves together with the languages, said in words before the runs.

Every warning here is a way in which a published or natural design compares two things at once. None of them stops a
study: some are unavoidable, and a reader can judge them if they are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.problems import some
from crosslift.studies.study import Contrast, Study

LORA_RATE = 5e-5
"""Learning rates below it are usual for full fine-tuning, and about a tenth of what LoRA needs (arXiv 2405.09673)."""
SAME = 0.01
"""Amounts that differ by less count as equal."""


def confounds(study: Study) -> tuple[str, ...]:
    """Sentences, each with its place in the study file and, where there is one, the way out."""
    found: list[str] = []
    for contrast in study.contrasts:
        found += _contrast(study, contrast)
    found += _training(study)
    found += _items(study)
    found += _languages(study)
    found += _design(study)
    return tuple(found)


def _contrast(study: Study, contrast: Contrast) -> Iterator[str]:
    place = f"contrast '{contrast.name}'"
    if contrast.control == "base":
        yield f"{place}: against the untouched base model a gain includes learning the form of the answer."
        return
    control = study.mixtures[contrast.control]
    treatments = [study.mixtures[name] for name in contrast.treatments]
    volume = _differ(control, treatments, lambda mixture: sum(mixture.amounts().values()))
    if volume:
        by = (
            "steps are fixed, so the larger ones pass over their items less often"
            if study.training.steps
            else ("the larger ones are also trained for more steps")
        )
        yield (
            f"{place}: the control holds {volume} {control.unit}, and {by}. What more languages do cannot be told from "
            'what more data does; add an arm with a fixed total (budget per = "total").'
        )
    variety = _differ(control, treatments, _num_different)
    if variety:
        yield (
            f"{place}: the control holds {variety} different items. Languages and variety of content change together; "
            'with a fixed total only pairing = "disjoint" keeps the number of different items.'
        )
    if control.unit == "items" and any(set(other.languages) != set(control.languages) for other in treatments):
        yield (
            f"{place}: items are equal, tokens are not: languages need different numbers of tokens for the same item "
            '(fertility in manifest.json). unit = "tokens" or "bytes" holds those equal instead.'
        )


def _differ(control: Mixture, others: list[Mixture], size: Callable[[Mixture], int | None]) -> str:
    """`500 and treatments up to 5000`, or an empty string where all are about equal."""
    own = size(control)
    sizes = [found for other in others if other.unit == control.unit and (found := size(other)) is not None]
    if own is None or all(abs(other - own) <= SAME * own for other in sizes):
        return ""
    low, high = min(sizes), max(sizes)
    return f"{own} and the treatments {low}" + (f" to {high}" if high > low else "")


def _num_different(mixture: Mixture) -> int | None:
    """Different items of a mixture, where the file alone tells it."""
    if mixture.unit != "items" or mixture.repeat or mixture.pairing == "independent":
        return None
    amounts = mixture.amounts()
    if mixture.pairing == "disjoint":
        return sum(amounts.values())
    return sum(max(n for (name, _), n in amounts.items() if name == corpus) for corpus in mixture.corpora)


def _training(study: Study) -> Iterator[str]:
    training = study.training
    if training.method == "lora" and training.learning_rate < LORA_RATE:
        yield (
            f"training: a learning rate of {training.learning_rate:g} is usual for full fine-tuning and about a tenth "
            "of what LoRA needs. Compared with full fine-tuning at the same rate, LoRA would look weaker than it is."
        )
    if len(study.models) > 1:
        yield (
            f"training: {len(study.models)} models share one learning rate. Differences between models are also "
            "differences in how well it suits them; compare mixtures within a model."
        )


def _items(study: Study) -> Iterator[str]:
    trained = {corpus for mixture in study.mixtures.values() for corpus in mixture.corpora}
    for evaluation in study.evaluations.values():
        place = f"evaluations.{evaluation.name}"
        if evaluation.corpus in trained:
            yield f"{place}: asks items that mixtures train on. It measures memory, not ability."
        if study.training.select_by != "last" and study.validation and evaluation.corpus in study.validation.corpora:
            yield f"{place}: checkpoints are selected on the items that are tested. Select on another split."
    repeating = [mixture.name for mixture in study.mixtures.values() if mixture.repeat]
    if repeating:
        yield f"mixtures: {some(repeating)} may repeat items; manifest.json tells how often (counts and unique_items)."


def _languages(study: Study) -> Iterator[str]:
    if study.training.select_by != "last":
        unseen = {
            mixture.name: [tag for tag in mixture.languages if tag not in _validated(study, mixture)]
            for mixture in study.mixtures.values()
        }
        lacking = [name for name, tags in unseen.items() if tags]
        if lacking:
            tags = list(dict.fromkeys(tag for name in lacking for tag in unseen[name]))
            yield (
                f"training.validation: has no {', '.join(tags)}, so checkpoints of {some(lacking)} are selected on "
                "their other languages only."
            )
    asked = {tag for evaluation in study.evaluations.values() for tag in evaluation.languages}
    if study.mixtures and all(asked <= set(mixture.languages) for mixture in study.mixtures.values()):
        yield "evaluations: every mixture trains on every language that is asked. Nothing is said of unseen languages."


def _validated(study: Study, mixture: Mixture) -> set[str]:
    corpora = study.validation.corpora if study.validation else ()
    tasks = study.tasks_of(mixture)
    return {tag for name in corpora if study.corpora[name].task in tasks for tag in study.corpora[name].languages}


def _design(study: Study) -> Iterator[str]:
    if study.mixtures and len(study.seeds) == 1:
        yield "grid.seeds: one seed. How much a run differs from itself is unknown, and intervals cover the items only."
    if study.mixtures and not any(contrast.primary for contrast in study.contrasts):
        yield "contrasts: none is primary. Say before the runs which comparison answers the question (primary = true)."
    used = {evaluation.corpus for evaluation in study.evaluations.values()}
    used |= {corpus for mixture in study.mixtures.values() for corpus in mixture.corpora}
    used |= set(study.validation.corpora) if study.validation else set()
    idle = [name for name in study.corpora if name not in used]
    if idle:
        yield f"corpora: nothing uses {some(idle)}."
