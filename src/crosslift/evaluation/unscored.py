"""Why an answer could not be scored, in words and by how often, so that a low score can be acted on.

A task may add a function `unparsed_reason(text, language) -> str` that looks closer at its own format.
"""

from __future__ import annotations

from types import MappingProxyType

from crosslift.errors import CrossliftError
from crosslift.evaluation.task import Task, asks_for_likelihoods
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language

CUT_OFF = "cut off at max_tokens"
TOO_LONG = "longer than the model's context"
EMPTY = "empty"
OTHER_LANGUAGE = "in another language than the question"
OTHER_FORM = "without an answer in the expected form"

REMEDIES = MappingProxyType(
    {
        CUT_OFF: "Raise max_tokens of the evaluation, or check whether the model repeats itself.",
        TOO_LONG: "Remove such items, or compare models with a longer context.",
        EMPTY: "Check the chat template: a base model may end its answer at once.",
        OTHER_LANGUAGE: "Check the training languages of the run, or the prompt format.",
    }
)
"""Reason -> what to do; other reasons concern the form, see OTHER_REMEDY."""
OTHER_REMEDY = "Check the prompt format: the model may not have learned the form of the answer."


def reason(task: Task, *, status: str, finish: str, text: str, language: Language) -> str:
    """Say why an answer could not be scored.

    Args:
        task: the module of the task.
        status: one of `scores.MODEL_FAILURES`.
        finish: "stop" or "length".
        text: the answer.
        language: the language of the question.

    Returns:
        The reason, as the end of the sentence "the answer is ...".
    """
    if asks_for_likelihoods(task):
        return TOO_LONG
    if finish == "length" or status == "truncated":
        return CUT_OFF
    if status == "wrong_language":
        return OTHER_LANGUAGE
    if not text.strip():
        return EMPTY
    try:
        if not in_language(text, language):
            return OTHER_LANGUAGE
    except CrossliftError:  # language identification is not installed
        pass
    explain = getattr(task, "unparsed_reason", None)
    return OTHER_FORM if explain is None else str(explain(text, language))


def remedy(why: str) -> str:
    """What to do about a reason, in one sentence."""
    return REMEDIES.get(why, OTHER_REMEDY)
