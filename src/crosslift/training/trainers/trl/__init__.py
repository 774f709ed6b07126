"""Supervised fine-tuning by `SFTTrainer` of TRL, for studies that need its features.

It receives the tokens and loss masks of the request, so nothing is tokenised again, and takes the batch of every step
from the same sampler as the built-in trainer. Losses therefore agree with `native` up to rounding, except for dropout.
The extra `trl` installs it.
"""

from __future__ import annotations

from crosslift.extras import require
from crosslift.training.trainer import Trained, TrainingRequest
from crosslift.training.trainers.trl.limits import refused

__all__ = ["refused", "train"]


def train(request: TrainingRequest) -> Trained:
    """Train, and write `folder/checkpoint/` and `folder/metrics.parquet`.

    Raises:
        TrainingError: the request is invalid, TRL cannot train it, the model cannot be loaded, or training diverged.
        TemplateError: the tokenizer has no usable chat template.
        MissingPackage: the extra `trl` is not installed.
    """
    require("trl")
    from crosslift.training.trainers.trl.run import train as train_with_trl

    return train_with_trl(request)
