"""Verifiable instructions in natural prompts (IFEval, arXiv 2311.07911; M-IFEval, arXiv 2502.04688).

    instruction_strict   share of the instructions of a prompt that the response follows; M-IFEval reports it pooled
                         over instructions, which differs slightly from the mean over prompts
    prompt_strict        1 if the response follows all instructions
    instruction_loose    as instruction_strict, for the best variant of the response without its first line, last line
                         or asterisks
    prompt_loose         as prompt_strict, for the same variants
    in_language          1 if the response is in the language of the prompt

The gold answer is a JSON object with `instruction_id_list` and `kwargs` as published (see `evaluation.constraints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crosslift.evaluation.constraints import is_followed
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, present_unchanged
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.untrusted.json_text import parse_json

METRICS = ("instruction_strict", "prompt_strict", "instruction_loose", "prompt_loose", LANGUAGE_METRIC)
PROMPTS = ("bare",)
MAX_TOKENS = 1280


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one response; the status is "unparsed" if it is empty. `parsed` has one digit per instruction.

    Raises:
        ValueError: the gold answer has no instructions or is malformed.
        KeyError: an instruction is unknown.
    """
    names, arguments = _instructions(answer)
    spoken = float(in_language(text, language))
    if not text.strip():
        return Outcome(values={**dict.fromkeys(METRICS, 0.0), LANGUAGE_METRIC: spoken}, status="unparsed")
    values: dict[str, float] = {}
    shown = ""
    for kind in ("strict", "loose"):
        met = [
            is_followed(name, given, text, loose=kind == "loose") for name, given in zip(names, arguments, strict=True)
        ]
        values |= {f"instruction_{kind}": sum(met) / len(met), f"prompt_{kind}": float(all(met))}
        shown = shown or "".join("1" if one else "0" for one in met)
    values = {name: values[name] for name in METRICS[:-1]} | {LANGUAGE_METRIC: spoken}
    return Outcome(values=values, status="scored", parsed=shown)


def _instructions(answer: str) -> tuple[list[str], list[dict[str, Any]]]:
    try:
        found = parse_json(answer)
        names, arguments = list(found["instruction_id_list"]), list(found["kwargs"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{answer!r:.200} is not an object with instruction_id_list and kwargs.") from error
    if not names or len(names) != len(arguments):
        raise ValueError(f"{answer!r:.200} has {len(names)} instructions and {len(arguments)} kwargs.")
    return names, arguments
