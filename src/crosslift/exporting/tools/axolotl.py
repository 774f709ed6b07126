"""Axolotl: `axolotl train`, with the tokenizer's chat template. Of several answers, only the last one carries loss."""

from __future__ import annotations

from typing import Any

from crosslift.exporting.settings import TrainingSettings
from crosslift.exporting.yaml_text import yaml_text

COMMAND = "axolotl train axolotl.yaml"
_NOTE = "Axolotl loads the weights in bfloat16 where bf16 is on; the study keeps them in float32."


def files(settings: TrainingSettings) -> dict[str, str]:
    """The configuration."""
    config, lora = settings.config, settings.config.lora
    values: dict[str, Any] = {
        "base_model": settings.model,
        "revision_of_model": settings.revision,
        "chat_template": "tokenizer_default",
        "datasets": [_dataset(settings, "train")],
        "test_datasets": None if settings.validate_every is None else [_dataset(settings, "validation")],
        "train_on_inputs": config.loss_on == "all",
        "shuffle_merged_datasets": False,
        "curriculum_sampling": None if settings.shuffle else True,
        "sequence_len": config.max_length,
        "excess_length_strategy": "truncate" if config.truncate else "raise",
        "sample_packing": False,
        "pad_to_sequence_len": False,
        "output_dir": "axolotl-output",
        "num_epochs": config.epochs,
        "max_steps": config.steps,
        "micro_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": settings.accumulation,
        "learning_rate": config.learning_rate,
        "lr_scheduler": settings.lr_scheduler,
        "warmup_steps": settings.num_warmup,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optimizer": settings.optimizer,
        "bf16": "auto" if settings.bf16 else False,
        "gradient_checkpointing": config.gradient_checkpointing,
        "eval_steps": settings.validate_every,
        "seed": settings.seed,
    }
    if lora is not None:
        targets = lora.target_modules
        values |= {
            "adapter": "lora",
            "lora_r": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": lora.dropout,
            "lora_target_linear": True if isinstance(targets, str) else None,
            "lora_target_modules": None if isinstance(targets, str) else list(targets),
        }
    if settings.select_best:
        values |= {
            "save_steps": settings.validate_every,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
        }
    notes = [*settings.notes, *([_NOTE] if settings.bf16 and config.weight_precision == "float32" else [])]
    head = [f"Mixture {settings.mixture}, as crosslift trains it. In this folder: {COMMAND}", *notes]
    return {"axolotl.yaml": yaml_text(head, values)}


def _dataset(settings: TrainingSettings, split: str) -> dict[str, Any]:
    return {
        "path": settings.data_file(split),
        "ds_type": "json" if settings.suffix == "jsonl" else "parquet",
        "split": "train",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": [] if settings.several_turns else ["assistant"],
        "message_field_training": "train" if settings.several_turns else None,
        "train_on_eos": "turn",
    }
