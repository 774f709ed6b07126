"""Whether an evaluation of several studies is the same: then their scores may be learnt from together."""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.comparing.result_set import ResultSet
from crosslift.errors import TransferError
from crosslift.execution.definitions.changes import differences, phrase
from crosslift.fingerprint import canonical

_OF_PLACE = ("path", "name", "revision", "languages", "checks")
"""Settings of a corpus that say where its items are; their content is compared instead."""


def require_same_evaluation(first: ResultSet, others: Sequence[ResultSet], evaluation: str | None) -> None:
    """Check that further studies evaluate as the first one does: same task, settings and test items.

    Args:
        first: the study that a recommendation is for.
        others: further studies.
        evaluation: name of the evaluation; None if the first study has only one.

    Raises:
        TransferError: a study has no such evaluation, or it differs; all differences are listed.
    """
    name = evaluation or next(iter(first.study.evaluations))
    if name not in first.study.evaluations:
        return  # the recommendation says which evaluations there are
    problems = [problem for other in others if (problem := _difference(first, other, name))]
    if problems:
        raise TransferError("\n".join(problems))


def _difference(first: ResultSet, other: ResultSet, name: str) -> str:
    """Return how an evaluation differs in another study; empty if it does not."""
    remedy = "Leave the study out, or evaluate both alike and run them again."
    if name not in other.study.evaluations:
        known = ", ".join(other.study.evaluations)
        return f"{other.label} has no evaluation '{name}' (it has {known}), so nothing can be learnt from it. {remedy}"
    fields = [str(one) for one in differences(_settings(first, name), _settings(other, name), f"evaluations.{name}")]
    if first.lock["tasks"].get(first.task(name)) != other.lock["tasks"].get(first.task(name)):
        fields.append(f"the code of the task {first.task(name)}")
    if first.corpus_fingerprint(name) != other.corpus_fingerprint(name) and not _same_items(first, other, name):
        fields.append("the test items")
    if not fields:
        return ""
    return (
        f"The evaluation '{name}' of {other.label} differs from that of {first.label}, so their scores are not "
        f"comparable ({phrase(fields)}). {remedy}"
    )


def _settings(one: ResultSet, name: str) -> object:
    found = canonical(one.study.identity_of_evaluation(one.study.evaluations[name]))
    found.pop("languages")
    for key in _OF_PLACE:
        found["corpus"].pop(key, None)
        if "shots" in found:
            found["shots"]["corpus"].pop(key, None)
    return found


def _same_items(first: ResultSet, other: ResultSet, name: str) -> bool:
    """Whether the items of both studies ask the same in the languages that both have."""
    here, there = first.test_items(name), other.test_items(name)
    if here is None or there is None:
        return False
    tags = set(here["language"].unique()) & set(there["language"].unique())
    columns = ["language", "item_id", "content"]
    one, two = (
        table.filter(table["language"].is_in(list(tags))).select(columns).sort(columns) for table in (here, there)
    )
    return bool(tags) and one.equals(two)
