"""Settings that give the same rows, or the same examples, as others before.

A limit that no longer cuts, `incomplete = "drop"` where nothing is incomplete, the revision of a file written down, the
same rows in another format; `repeat = true` where the items suffice: a corpus must be read and a mixture drawn again to
know, and then nothing else has changed. The marker therefore names the settings that gave the same content first, and
runs record those (see `StepGraph`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.earlier import READING
from crosslift.execution.folder.steps import Step
from crosslift.fingerprint import canonical

ASKED_LATER = "lm_eval"
"""Reader whose options also determine what a model is asked, which rows do not tell."""
ORDERING = ("order", "stages")
"""Settings of a mixture that matter beside its examples: they determine the order of training."""


def first_reading(step: Step, *, hashes: Mapping[str, str], num_items: int) -> dict[str, Any] | None:
    """Return the settings of the first reading of a corpus that gave the same rows.

    Args:
        step: the corpus's step, whose folder still holds the reading before.
        hashes: language -> hash of the rows that were read now.
        num_items: number of items that were read now.

    Returns:
        The settings in `READING`; None if no other reading gave the same rows in the languages that both have.
    """
    now = canonical(step.inputs)
    if now["reader"] == ASKED_LATER:
        return None
    for marker in _markers(step):
        was, read = marker["inputs"], marker["outputs"]
        both = hashes.keys() & read.get("languages", {}).keys()
        if (
            (was.get("name"), was.get("task")) == (now["name"], now["task"])
            and was.get("reader") != ASKED_LATER
            and read.get("num_items") == num_items
            and both
            and all(hashes[tag] == read["languages"][tag] for tag in both)
        ):
            first = read.get("read_as") or _settings(was)
            return None if first == _settings(now) else dict(first)
    return None


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key in READING}


def first_drawing(step: Step, *, examples: str) -> dict[str, Any] | None:
    """Return the settings of the first drawing of a mixture that gave the same examples in the same order.

    Args:
        step: the mixture's step, whose folder still holds the drawing before.
        examples: hash of the examples that were drawn now.

    Returns:
        The inputs "mixture" and "data_seed"; None if no other drawing gave the same examples.
    """
    now = _drawing(canonical(step.inputs))
    for marker in _markers(step):
        was, drawn = marker["inputs"], marker["outputs"]
        if drawn.get("examples") == examples:
            first = drawn.get("drawn_as") or _drawing(was)
            if all(first["mixture"].get(key) == now["mixture"].get(key) for key in ORDERING):
                return None if first == now else dict(first)
    return None


def _drawing(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inputs[key] for key in ("mixture", "data_seed")}


def _markers(step: Step) -> Iterator[dict[str, Any]]:
    """Yield the done-markers of the result before and of those of earlier definitions."""
    aside = () if step.archive is None else sorted(step.archive.glob("*/"))
    for folder in (step.folder, *aside):
        try:
            marker = checksums.read_marker(folder)
        except StoreError:
            continue
        if marker is not None:
            yield marker
