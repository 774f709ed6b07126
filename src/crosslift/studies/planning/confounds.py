"""What moves together with the languages, said in words before the runs.

Every warning here is a way in which a published or natural design compares two things at once. None of them stops a
study: some are unavoidable, and a reader can judge them if they are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from crosslift.evaluation.task import task as find_task
from crosslift.languages.language import language
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.problems import some
from crosslift.studies.study import Contrast, Study

LORA_RATE = 5e-5
"""Learning rates below it are usual for full fine-tuning, and about a tenth of what LoRA needs (arXiv 2405.09673)."""
SAME = 0.01
"""Amounts that differ by less count as equal."""


class Confound(NamedTuple):
    """One warning: the same sentence of several places is said once."""

    kind: str
    """What the places are: "contrasts", "mixtures"; empty where the sentence names its own place."""
    place: str
    sentence: str


def confounds(study: Study) -> tuple[str, ...]:
    """Sentences, each with its places in the study file and, where there is one, the way out."""
    found: dict[tuple[str, str], list[str]] = {}
    for contrast in study.contrasts:
        for one in _contrast(study, contrast):
            found.setdefault((one.kind, one.sentence), []).append(one.place)
    said = [f"{kind} {some(places)}: {sentence}" for (kind, sentence), places in found.items()]
    return (*said, *_training(study), *_items(study), *_languages(study), *_prompts(study), *_design(study))


def _contrast(study: Study, contrast: Contrast) -> Iterator[Confound]:
    def warned(sentence: str, numbers: str = "") -> Confound:
        return Confound("contrasts", f"'{contrast.name}'" + (f" ({numbers})" if numbers else ""), sentence)

    if contrast.control == "base":
        yield warned("against the base model a gain includes learning the form of the answer.")
        return
    control = study.mixtures[contrast.control]
    treatments = [study.mixtures[name] for name in contrast.treatments]
    volume = _differ(control, treatments, lambda mixture: sum(mixture.amounts().values()))
    if volume:
        by = (
            "steps are fixed, so larger mixtures pass over their items less often"
            if study.training.steps
            else "larger mixtures are also trained for more steps"
        )
        yield warned(
            f"the total volume differs, and {by}. What more languages do cannot be told from what more data does; add "
            'an arm with a fixed total (budget per = "total").',
            f"{volume} {control.unit}",
        )
    variety = _differ(control, treatments, _num_different)
    if variety:
        yield warned(
            'languages and variety of content change together; with a fixed total only pairing = "disjoint" keeps the '
            "number of different items.",
            f"{variety} different items",
        )
    if control.unit == "items" and any(set(other.languages) != set(control.languages) for other in treatments):
        yield warned(
            "items are equal, tokens are not: languages need different numbers of tokens for the same item "
            '(fertility in manifest.json). unit = "tokens" or "bytes" holds those equal instead.'
        )


def _differ(control: Mixture, others: list[Mixture], size: Callable[[Mixture], int | None]) -> str:
    """`500 against 5000`, or an empty string where all are about equal."""
    own = size(control)
    sizes = [found for other in others if other.unit == control.unit and (found := size(other)) is not None]
    if own is None or all(abs(other - own) <= SAME * own for other in sizes):
        return ""
    low, high = min(sizes), max(sizes)
    return f"{own} against {low}" + (f" to {high}" if high > low else "")


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


def _prompts(study: Study) -> Iterator[str]:
    """What the model is shown beside the items, where it differs by language."""
    for evaluation in study.evaluations.values():
        prompt = study.prompts[evaluation.corpus]
        shown = {_presented(evaluation.task, prompt, tag) for tag in evaluation.languages}
        if len(shown) > 1:
            yield (
                f"evaluations.{evaluation.name}: the prompt form '{prompt}' adds words in the language of each item. "
                "Languages differ in how well the model follows these words, too."
            )
    trained = dict.fromkeys(corpus for mixture in study.mixtures.values() for corpus in mixture.corpora)
    for corpus in trained:
        task, prompt = study.corpora[corpus].task, study.prompts[corpus]
        asked = {study.prompts[one.corpus] for one in study.evaluations.values() if one.task == task}
        if asked and prompt not in asked:
            yield (
                f"corpora.{corpus}: is trained on with the prompt form '{prompt}' and asked as "
                f"{', '.join(sorted(asked))}. Runs must cope with the change, too; give both the same."
            )
    if study.training.truncate:
        yield (
            f"training.truncate: examples over {study.training.max_length} tokens lose their end, which is where the "
            "answer stands. Languages that need more tokens lose more; raise max_length or leave such items out."
        )


def _presented(task: str, prompt: str, tag: str) -> str:
    return str(find_task(task).present([{"role": "user", "content": "?"}], language(tag), prompt)[-1]["content"])


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
    used |= {evaluation.shots.corpus for evaluation in study.evaluations.values() if evaluation.shots is not None}
    used |= {corpus for mixture in study.mixtures.values() for corpus in mixture.corpora}
    used |= set(study.validation.corpora) if study.validation else set()
    idle = [name for name in study.corpora if name not in used]
    if idle:
        yield f"corpora: nothing uses {some(idle)}."
