"""TRL: `trl sft`. The data set has the columns prompt and completion, and exactly the completion carries loss."""

from __future__ import annotations

from typing import Any

from crosslift.exporting.settings import DATA, TrainingSettings
from crosslift.exporting.yaml_text import yaml_text

COMMAND = "trl sft --config trl.yaml"


def files(settings: TrainingSettings) -> dict[str, str]:
    """The configuration that `TrlParser` reads."""
    config, lora = settings.config, settings.config.lora
    values: dict[str, Any] = {
        "model_name_or_path": settings.model,
        "model_revision": settings.revision,
        "dtype": "float32",  # of the weights and the optimizer; bf16 is that of the matrix products
        "dataset_name": DATA,
        "dataset_train_split": "train",
        "output_dir": "trl-output",
        "completion_only_loss": config.loss_on == "completion",
        "max_length": config.max_length,
        "packing": False,
        **settings.trainer_arguments(),
        "gradient_checkpointing": config.gradient_checkpointing,
        "train_sampling_strategy": "random" if settings.shuffle else "sequential",
        "seed": settings.seed,
        "report_to": "none",
    }
    if lora is not None:
        targets = lora.target_modules
        values |= {
            "use_peft": True,
            "lora_r": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": lora.dropout,
            "lora_target_modules": [targets] if isinstance(targets, str) else list(targets),
        }
    if settings.validate_every is not None:
        values |= {
            "dataset_test_split": "validation",
            "eval_strategy": "steps",
            "eval_steps": settings.validate_every,
        }
    if settings.select_best:
        values |= {
            "save_strategy": "steps",
            "save_steps": settings.validate_every,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
        }
    head = [f"Mixture {settings.mixture}, as crosslift trains it. In this folder: {COMMAND}", *settings.notes]
    return {"trl.yaml": yaml_text(head, values)}
