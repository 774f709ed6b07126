"""How the mixtures of a study are built, so that a recommended one is built in the same way."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from crosslift.errors import TransferError
from crosslift.mixtures.mixture import Mixture, Pairing, largest_remainder
from crosslift.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Corpora, pairing, order and repetition that most trained mixtures for a task, or for several tasks, have."""

    parts: Mapping[str, Mapping[str, float]]
    """Language -> corpus -> part of the language's amount. Languages in no corpus of the pattern are missing."""
    overall: Mapping[str, float]
    """Corpus -> part of the amount of all languages together."""
    pairing: Pairing
    order: Literal["shuffled", "by_language"]
    repeat: bool

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora."""
        return list(dict.fromkeys(corpus for parts in self.parts.values() for corpus in parts))

    def including(self, languages: Iterable[str]) -> Pattern:
        """The pattern with further languages, which no corpus has yet, divided as all languages together."""
        return replace(self, parts={**dict.fromkeys(languages, self.overall), **self.parts})


def pattern_of(study: Study, *evaluations: str) -> Pattern:
    """The pattern of the mixtures that evaluations are asked of; among equally frequent ones the first.

    A language's amount is divided between the corpora as in the mixtures with that pattern; a language that none of
    them has, as all languages together.

    Raises:
        TransferError: no mixture trains on the tasks.
    """
    tasks = {study.evaluations[name].task for name in evaluations if not study.evaluations[name].every_run}
    mixtures = [mixture for mixture in study.mixtures.values() if tasks <= set(study.tasks_of(mixture))]
    if not mixtures:
        if len(evaluations) == 1 and tasks:
            (evaluation,), (task,) = evaluations, tasks
            raise TransferError(f"no mixture of the study trains on the task {task} of the evaluation '{evaluation}'.")
        raise TransferError(
            f"no mixture of the study trains on the tasks {', '.join(sorted(tasks))} together. Ask for one evaluation "
            "at a time with --evaluation"
        )
    kind, _ = Counter(map(_kind, mixtures)).most_common(1)[0]
    alike = [mixture for mixture in mixtures if _kind(mixture) == kind]
    held: Counter[tuple[str, str]] = Counter()
    for mixture in alike:
        for (corpus, tag), amount in mixture.amounts().items():
            held[tag, corpus] += amount
    corpora = alike[0].corpora
    overall = {corpus: sum(amount for (_, one), amount in held.items() if one == corpus) for corpus in corpora}
    tags = dict.fromkeys(tag for corpus in corpora for tag in study.corpora[corpus].languages)
    parts = {}
    for tag in tags:
        amounts = {corpus: held[tag, corpus] for corpus in corpora}
        if not any(amounts.values()):
            amounts = {corpus: overall[corpus] * (tag in study.corpora[corpus].languages) for corpus in corpora}
        if total := sum(amounts.values()):
            parts[tag] = {corpus: amount / total for corpus, amount in amounts.items() if amount}
    every = sum(overall.values()) or 1.0
    return Pattern(
        parts=parts,
        overall={corpus: amount / every for corpus, amount in overall.items() if amount},
        pairing=alike[0].pairing,
        order=alike[0].order,
        repeat=alike[0].repeat,
    )


def _kind(mixture: Mixture) -> tuple[tuple[str, ...], str, str, bool]:
    return tuple(sorted(mixture.corpora)), mixture.pairing, mixture.order, mixture.repeat


def mixture_toml(
    study: Study, pattern: Pattern, amounts: Mapping[str, float], *, unit: str, model: str, name: str | None = None
) -> str:
    """A mixture as a table to paste into the study file.

    Args:
        study: the study.
        pattern: how its mixtures are built.
        amounts: language -> whole amount.
        unit: "items", or "tokens" of the model's tokenizer.
        model: name of the model.
        name: name of the mixture; None: one that the study does not use.
    """
    counts: dict[str, dict[str, int]] = {corpus: {} for corpus in pattern.corpora}
    for tag, amount in sorted(amounts.items(), key=lambda one: -one[1]):
        parts = pattern.parts[tag]
        for corpus, count in zip(parts, largest_remainder(round(amount), list(parts.values())), strict=True):
            if count:
                counts[corpus][tag] = count
    components = ", ".join(
        f"{{ corpus = {json.dumps(corpus)}, counts = {{ {', '.join(f'{tag} = {n}' for tag, n in held.items())} }} }}"
        for corpus, held in counts.items()
        if held
    )
    lines = [f"[mixtures.{name or _free_name(study)}]", f"components = [{components}]"]
    if unit == "tokens":
        total = sum(n for held in counts.values() for n in held.values())
        lines.append(f'budget = {{ amount = {total}, unit = "tokens", tokenizer = {json.dumps(model)} }}')
    lines.append(f'pairing = "{pattern.pairing}"')
    if pattern.order != "shuffled":
        lines.append(f'order = "{pattern.order}"')
    if pattern.repeat:
        lines.append("repeat = true")
    return "\n".join(lines) + "\n"


def _free_name(study: Study) -> str:
    """ "recommended", or the first of recommended-2, recommended-3 ... that the study file does not use."""
    taken = {*study.mixtures, *(mixture.family for mixture in study.mixtures.values())}
    file = study.folder / "study.toml"
    if file.exists():  # arms that are off have names as well
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        taken |= {*table.get("mixtures", {}), *table.get("families", {})}
    number, name = 1, "recommended"
    while name in taken:
        number += 1
        name = f"recommended-{number}"
    return name
