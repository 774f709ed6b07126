"""How large models, checkpoints and trainings are, from what is at hand before anything is downloaded."""

from __future__ import annotations

import math
import re
from pathlib import Path

from crosslift.errors import ModelError
from crosslift.studies.run import Model
from crosslift.studies.study import Study
from crosslift.untrusted.model_files import tensor_shapes

ADAPTER_BYTES = 4
"""Of one number in a LoRA adapter, which is kept in float32."""

TOKENS_PER_EXAMPLE = 300
"""Believed where corpora have not been tokenised yet: a math problem with its worked solution in a language of medium
fertility."""

PEAK_FLOPS, UTILISATION = 312e12, 0.4
"""An A100 in bfloat16, and the share of it that training of models of this size reaches."""

_BILLIONS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![A-Za-z0-9])")


def training_flops(study: Study, model: Model, *, examples: int, tokens: int | None, steps: int) -> float | None:
    """Floating-point operations of a run's training: 6 per parameter and token (Kaplan et al. 2020), 4 with LoRA, whose
    frozen weights need no gradient. None where the model's size is unknown.

    Args:
        tokens: of one epoch; None: TOKENS_PER_EXAMPLE each.
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
    """On one GPU of PEAK_FLOPS at UTILISATION."""
    return flops / (PEAK_FLOPS * UTILISATION) / 3600


def num_parameters(study: Study, model: Model) -> float | None:
    """From the files of a local model; of a hub model what its name says ("Qwen3-0.6B-Base"), or None."""
    folder = _folder(study, model)
    if folder is not None:
        shapes = _shapes(model, folder)
        return float(sum(map(math.prod, shapes.values()))) or None
    said = _BILLIONS.findall(model.path)
    return float(said[-1]) * 1e9 if said else None


def checkpoint_bytes(study: Study, model: Model) -> int | None:
    """Of the model's files (full), or of an adapter on its linear layers (LoRA). Of models of the hub two bytes per
    parameter, where the name says how many; an adapter on them is unknown (None)."""
    folder, lora = _folder(study, model), study.training.lora
    if folder is None:
        parameters = num_parameters(study, model)
        return None if parameters is None or lora is not None else int(2 * parameters)
    if lora is None:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors")) or None
    shapes = [shape for name, shape in _shapes(model, folder).items() if "embed" not in name]
    return sum(ADAPTER_BYTES * lora.rank * sum(shape) for shape in shapes if len(shape) == 2) or None


def _folder(study: Study, model: Model) -> Path | None:
    if model.path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        return checkpoints.folder(model.path.removeprefix("pocket:"))
    folder = study.folder / Path(model.path).expanduser()
    return folder if folder.is_dir() else None


def _shapes(model: Model, folder: Path) -> dict[str, tuple[int, ...]]:
    """Tensor -> shape, over all files of a model."""
    try:
        return {
            name: shape for file in sorted(folder.glob("*.safetensors")) for name, shape in tensor_shapes(file).items()
        }
    except ModelError as error:
        raise ModelError(f"models.{model.name}: {error}") from error
