"""Validation of a training request before a model is loaded, and truncation of its examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from crosslift.errors import TrainingError
from crosslift.training.trainer import SFTConfig, TokenTable, TrainingRequest


def validate_request(request: TrainingRequest) -> TrainingRequest:
    """Return the request unchanged if it can be trained.

    Raises:
        TrainingError: the request is invalid; the message has one line for every problem found.
    """
    config, problems = request.config, []
    if len(request.examples) == 0:
        problems.append("there are no examples to train on: the mixture is empty.")
    if (config.epochs is None) == (config.steps is None):
        problems.append("exactly one of epochs and steps must be given under [training].")
    if (config.batch_examples is None) == (config.batch_tokens is None):
        problems.append("exactly one of batch_examples and batch_tokens must be given under [training].")
    problems += [f"training.{key}: {text}" for key, text in precision_problems(config)]
    if config.select_by == "loss" and request.validation is None:
        problems.append('select_by = "loss" needs validation examples. Add validation under [training].')
    if config.select_by == "score" and request.score is None:
        problems.append('select_by = "score" needs a validation score. Add validation under [training].')
    for name, table in (("training", request.examples), ("validation", request.validation)):
        if table is None or len(table) == 0:
            continue
        num_long = int((table.lengths > config.max_length).sum())
        if num_long and not config.truncate:
            problems.append(
                f"{num_long} of {len(table)} {name} examples are longer than max_length = {config.max_length} tokens "
                f"(the longest has {int(table.lengths.max())}). Raise max_length, or set truncate = true."
            )
        num_lost = int((np.minimum(table.lengths, config.max_length) <= table.prompt_lengths).sum())
        if num_lost:
            problems.append(
                f"{num_lost} of {len(table)} {name} examples have no completion within max_length = "
                f"{config.max_length} tokens, so there is nothing to learn in them. Raise max_length."
            )
    if problems:
        raise TrainingError("\n".join(problems))
    return request


class Precisions(Protocol):
    """Settings of a training that concern its precision, of a study file or a request."""

    @property
    def method(self) -> str:
        """Full or LoRA."""

    @property
    def precision(self) -> str:
        """Of matrix products."""

    @property
    def weight_precision(self) -> str:
        """Of trained weights."""


def precision_problems(settings: Precisions) -> list[tuple[str, str]]:
    """Find settings of precision that contradict each other.

    Args:
        settings: the settings of training.

    Returns:
        Key and sentence of each problem.
    """
    if settings.weight_precision != "bfloat16":
        return []
    found = []
    if settings.method == "lora":
        found.append(
            (
                "weight_precision",
                '"bfloat16" is for method = "full". An adapter has few weights, and the frozen weights of the base '
                "model have the precision of its files on a GPU. Remove it.",
            )
        )
    if settings.precision == "float32":
        found.append(
            (
                "precision",
                '"float32" contradicts weight_precision = "bfloat16", with which matrix products are bfloat16. '
                "Remove one of them.",
            )
        )
    return found


def truncate_examples(table: TokenTable, config: SFTConfig) -> TokenTable:
    """Truncate every example to `max_length` tokens.

    The byte count of a truncated completion is reduced in proportion to its tokens.
    """
    lengths = table.lengths
    if not len(table) or lengths.max() <= config.max_length:
        return table
    kept = np.minimum(lengths, config.max_length)
    within = np.arange(table.offsets[-1]) - np.repeat(table.offsets[:-1], lengths)
    share = (kept - table.prompt_lengths) / (lengths - table.prompt_lengths)
    return replace(
        table,
        ids=table.ids[within < config.max_length],
        offsets=np.concatenate([[0], np.cumsum(kept)]),
        completion_bytes=np.round(table.completion_bytes * share).astype(np.int32),
    )
