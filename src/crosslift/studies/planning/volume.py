"""Estimates of model size, checkpoint size and training cost, without downloading a model."""

from __future__ import annotations

import math
import re
from pathlib import Path

from crosslift.errors import ModelError
from crosslift.studies.run import Model
from crosslift.studies.study import Study
from crosslift.untrusted.model_files import tensor_shapes

ADAPTER_BYTES = 4
"""Bytes per parameter of a LoRA adapter, which is stored in float32."""

TOKENS_PER_EXAMPLE = 300
"""Assumed for corpora that have not been tokenised: a math problem with its worked solution in a language of medium
fertility."""

PEAK_FLOPS, UTILISATION = 312e12, 0.4
"""Peak throughput of an A100 in bfloat16, and the typical utilisation in training of models of this size."""

_BILLIONS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![A-Za-z0-9])")


def training_flops(study: Study, model: Model, *, examples: int, tokens: int | None, steps: int) -> float | None:
    """Estimate the floating-point operations of a run's training.

    The estimate is 6 per parameter and token (Kaplan et al. 2020), or 4 with LoRA, whose frozen weights need no
    gradient.

    Args:
        study: The study.
        model: The base model.
        examples: Examples per epoch.
        tokens: Tokens per epoch; None assumes `TOKENS_PER_EXAMPLE` per example.
        steps: Optimiser steps.

    Returns:
        The number of operations, or None if the size of the model is unknown.
    """
    parameters = num_parameters(study, model)
    if parameters is None:
        return None
    config = study.training
    per_step = min(examples, config.batch_examples or examples)
    epochs = config.epochs if config.epochs is not None else steps * per_step / examples
    passes = 6 if config.method == "full" else 4
    return passes * parameters * epochs * (examples * TOKENS_PER_EXAMPLE if tokens is None else tokens)


def gpu_hours(flops: float) -> float:
    """Convert floating-point operations to hours on one GPU with `PEAK_FLOPS` at `UTILISATION`."""
    return flops / (PEAK_FLOPS * UTILISATION) / 3600


def num_parameters(study: Study, model: Model) -> float | None:
    """Return the number of parameters of a model.

    Local models are counted from their files. For hub models the number is parsed from the name ("Qwen3-0.6B-Base");
    None if the name contains none.
    """
    folder = model_folder(study, model)
    if folder is not None:
        shapes = _shapes(model, folder)
        return float(sum(map(math.prod, shapes.values()))) or None
    billions = _BILLIONS.findall(model.path)
    return float(billions[-1]) * 1e9 if billions else None


def checkpoint_bytes(study: Study, model: Model) -> int | None:
    """Estimate the bytes of a checkpoint.

    A full checkpoint has the size of the model's files, and a LoRA checkpoint that of an adapter on all linear layers.
    For hub models a full checkpoint is estimated as two bytes per parameter.

    Returns:
        The number of bytes, or None if the size of the model or of its layers is unknown.
    """
    folder, lora = model_folder(study, model), study.training.lora
    if folder is None:
        parameters = num_parameters(study, model)
        return None if parameters is None or lora is not None else int(2 * parameters)
    if lora is None:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors")) or None
    shapes = [shape for name, shape in _shapes(model, folder).items() if "embed" not in name]
    return sum(ADAPTER_BYTES * lora.rank * sum(shape) for shape in shapes if len(shape) == 2) or None


def model_folder(study: Study, model: Model) -> Path | None:
    """Return the folder of a local or pocket model; None for models of the hub, which a plan does not look for."""
    if model.path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        return checkpoints.folder(model.path.removeprefix("pocket:"))
    folder = study.folder / Path(model.path).expanduser()
    return folder if folder.is_dir() else None


def _shapes(model: Model, folder: Path) -> dict[str, tuple[int, ...]]:
    """Return tensor -> shape for all files of a model."""
    try:
        return {
            name: shape for file in sorted(folder.glob("*.safetensors")) for name, shape in tensor_shapes(file).items()
        }
    except ModelError as error:
        raise ModelError(f"models.{model.name}: {error}") from error
