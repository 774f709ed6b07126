"""Detection of confounds: factors that vary together with the languages in the design of a study.

Each warning describes a way in which a published or common design varies two factors at once. Warnings never stop a
study, because some confounds are unavoidable; readers of the report can judge them if they are stated.
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
"""Lower learning rates are usual for full fine-tuning, and about a tenth of what LoRA needs (arXiv 2405.09673)."""
SAME = 0.01
"""Relative difference of amounts up to which they count as equal."""


class Confound(NamedTuple):
    """One warning at one place. `confounds` merges equal sentences of several places."""

    kind: str
    """Kind of the place: "contrasts" or "mixtures"."""
    place: str
    sentence: str


def confounds(study: Study) -> tuple[str, ...]:
    """Detect the confounds of a study.

    Args:
        study: The study, with its families expanded.

    Returns:
        One warning per confound, with its places in the study file and a remedy if there is one.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for contrast in study.contrasts:
        for one in _contrast(study, contrast):
            found.setdefault((one.kind, one.sentence), []).append(one.place)
    warnings = [f"{kind} {some(places)}: {sentence}" for (kind, sentence), places in found.items()]
    return (
        *warnings,
        *_training(study),
        *_items(study),
        *_languages(study),
        *_sources(study),
        *_prompts(study),
        *_design(study),
    )


def _contrast(study: Study, contrast: Contrast) -> Iterator[Confound]:
    def warned(sentence: str, numbers: str = "") -> Confound:
        return Confound("contrasts", f"'{contrast.name}'" + (f" ({numbers})" if numbers else ""), sentence)

    if contrast.control == "base":
        yield warned("the control is the base model, so a gain includes learning the format of the answer.")
        return
    control = study.mixtures[contrast.control]
    treatments = [study.mixtures[name] for name in contrast.treatments]
    volume = _differ(control, treatments, lambda mixture: sum(mixture.amounts().values()))
    if volume:
        by = (
            "steps are fixed, so larger mixtures are trained for fewer epochs"
            if study.training.steps
            else "larger mixtures are also trained for more steps"
        )
        yield warned(
            f"the total volume differs, and {by}. The effect of more languages is confounded with that of more data; "
            'add an arm with a fixed total (budget per = "total").',
            f"{volume} {control.unit}",
        )
    variety = _differ(control, treatments, _num_different)
    if variety:
        yield warned(
            "the number of languages and the number of different items vary together; with a fixed total, only "
            'pairing = "disjoint" keeps the number of different items constant.',
            f"{variety} different items",
        )
    if control.unit == "items" and any(set(other.languages) != set(control.languages) for other in treatments):
        yield warned(
            "the numbers of items are equal but the numbers of tokens are not, because fertility differs between "
            'languages (see manifest.json). unit = "tokens" or "bytes" makes those equal instead.'
        )


def _differ(control: Mixture, others: list[Mixture], size: Callable[[Mixture], int | None]) -> str:
    """Return the sizes as `500 against 5000`, or an empty string if all are about equal."""
    own = size(control)
    sizes = [found for other in others if other.unit == control.unit and (found := size(other)) is not None]
    if own is None or all(abs(other - own) <= SAME * own for other in sizes):
        return ""
    low, high = min(sizes), max(sizes)
    return f"{own} against {low}" + (f" to {high}" if high > low else "")


def _num_different(mixture: Mixture) -> int | None:
    """Return the number of different items of a mixture, or None if it depends on the draw."""
    if mixture.unit != "items" or mixture.repeat or mixture.pairing == "independent":
        return None
    amounts = mixture.new_amounts()
    if mixture.pairing == "disjoint":
        return sum(amounts.values())
    return sum(max(n for (name, _), n in amounts.items() if name == corpus) for corpus in mixture.corpora)


def _training(study: Study) -> Iterator[str]:
    training = study.training
    if training.method == "lora" and training.learning_rate < LORA_RATE:
        yield (
            f"training: a learning rate of {training.learning_rate:g} is usual for full fine-tuning and about a tenth "
            "of what LoRA needs. At this rate, LoRA would appear weaker than it is relative to full fine-tuning."
        )
    if len(study.models) > 1:
        yield (
            f"training: {len(study.models)} models share one learning rate. Differences between models also reflect "
            "how well it suits each of them; compare mixtures within a model."
        )


def _items(study: Study) -> Iterator[str]:
    trained = {corpus for mixture in study.mixtures.values() for corpus in mixture.corpora}
    for evaluation in study.evaluations.values():
        place = f"evaluations.{evaluation.name}"
        if trained.intersection(evaluation.corpora):
            yield f"{place}: evaluates items that mixtures train on. It measures memorisation, not generalisation."
        selecting = study.validation.corpora if study.training.select_by != "last" and study.validation else ()
        if set(selecting).intersection(evaluation.corpora):
            yield f"{place}: checkpoints are selected on the test items. Validate on another split."
    repeating = [mixture.name for mixture in study.mixtures.values() if mixture.repeat]
    if repeating:
        yield f"mixtures: {some(repeating)} may repeat items; manifest.json states counts and unique_items."


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
                "the other languages only."
            )
    evaluated = {tag for evaluation in study.evaluations.values() for tag in evaluation.languages}
    if study.mixtures and all(evaluated <= set(mixture.languages) for mixture in study.mixtures.values()):
        yield "evaluations: every mixture trains on every evaluated language. Unseen languages are not evaluated."


def _sources(study: Study) -> Iterator[str]:
    """Yield warnings about languages of which little is known."""
    evaluated = dict.fromkeys(tag for evaluation in study.evaluations.values() for tag in evaluation.languages)
    unlabelled = [tag for tag in evaluated if language(tag).resource == "unknown"]
    if unlabelled:
        yield (
            f"languages: the resource class of {', '.join(unlabelled)} is unknown (Joshi et al. 2020 list none), so "
            "that the groups of high- and low-resource languages leave it out."
        )
    read = {
        tag for evaluation in study.evaluations.values() if evaluation.task == "math" for tag in evaluation.languages
    }
    silent = [tag for tag in evaluated if tag in read and not language(tag).answer_cue]
    if silent:
        yield (
            f"languages: {', '.join(silent)} has no file with the phrases that announce an answer. Answers are read "
            "after English phrases, and otherwise from the last number, which misses more of them (docs/languages.md)."
        )


def _prompts(study: Study) -> Iterator[str]:
    """Yield warnings about prompts that differ between languages or between training and evaluation."""
    for evaluation in study.evaluations.values():
        prompts = {tag: study.prompts[evaluation.corpus_in(tag)] for tag in evaluation.languages}
        shown = {_presented(evaluation.task, prompt, tag) for tag, prompt in prompts.items()}
        if len(shown) > 1:
            named = " and ".join(f"'{prompt}'" for prompt in dict.fromkeys(prompts.values()))
            yield (
                f"evaluations.{evaluation.name}: the prompt form {named} adds text in the language of each item. "
                "Scores also reflect how well the model follows this text in each language."
            )
    trained = dict.fromkeys(corpus for mixture in study.mixtures.values() for corpus in mixture.corpora)
    for corpus in trained:
        task, prompt = study.corpora[corpus].task, study.prompts[corpus]
        evaluated = {
            study.prompts[name] for one in study.evaluations.values() if one.task == task for name in one.corpora
        }
        if evaluated and prompt not in evaluated:
            yield (
                f"corpora.{corpus}: training uses the prompt form '{prompt}' and evaluation uses "
                f"{', '.join(sorted(evaluated))}. Scores also reflect this change; use the same form for both."
            )
    if study.training.truncate:
        yield (
            f"training.truncate: examples over {study.training.max_length} tokens lose their end, which contains the "
            "answer. Languages with higher fertility lose more; increase max_length or remove such items."
        )


def _presented(task: str, prompt: str, tag: str) -> str:
    return str(find_task(task).present([{"role": "user", "content": "?"}], language(tag), prompt)[-1]["content"])


def _validated(study: Study, mixture: Mixture) -> set[str]:
    corpora = study.validation.corpora if study.validation else ()
    tasks = study.tasks_of(mixture)
    return {tag for name in corpora if study.corpora[name].task in tasks for tag in study.corpora[name].languages}


def _design(study: Study) -> Iterator[str]:
    if study.mixtures and len(study.seeds) == 1:
        yield "grid.seeds: one seed. The variance between seeds is unknown, and intervals cover items only."
    if study.mixtures and not any(contrast.primary for contrast in study.contrasts):
        yield "contrasts: none is primary. Mark the comparison that answers the question with primary = true."
    used = {name for evaluation in study.evaluations.values() for name in evaluation.corpora}
    used |= {name for one in study.evaluations.values() if one.shots is not None for name in one.shots.corpora}
    used |= {corpus for mixture in study.mixtures.values() for corpus in mixture.corpora}
    used |= set(study.validation.corpora) if study.validation else set()
    idle = [name for name in study.corpora if name not in used]
    if idle:
        yield f"corpora: {some(idle)} unused."
