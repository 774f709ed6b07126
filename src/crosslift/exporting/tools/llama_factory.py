"""LLaMA-Factory: `llamafactory-cli train`. It derives its template from the tokenizer's, because none is named."""

from __future__ import annotations

import json
from typing import Any

from crosslift.exporting.settings import TrainingSettings
from crosslift.exporting.yaml_text import yaml_text

COMMAND = "llamafactory-cli train llama_factory.yaml"
_FORM = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def files(settings: TrainingSettings) -> dict[str, str]:
    """The configuration, and dataset_info.json, which names the data files."""
    config, lora = settings.config, settings.config.lora
    only_answers = config.loss_on == "completion"
    values: dict[str, Any] = {
        "model_name_or_path": settings.model,
        "model_revision": settings.revision,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": config.method,
        "dataset": "train",
        "dataset_dir": ".",
        "cutoff_len": config.max_length,
        "mask_history": only_answers,
        "train_on_prompt": not only_answers,
        "packing": False,
        "output_dir": "llama-factory-output",
        **settings.trainer_arguments(),
        "disable_gradient_checkpointing": not config.gradient_checkpointing,
        "disable_shuffling": not settings.shuffle,
        "seed": settings.seed,
        "report_to": "none",
    }
    if lora is not None:
        targets = lora.target_modules
        values |= {
            "lora_rank": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": lora.dropout,
            "lora_target": "all" if isinstance(targets, str) else ",".join(targets),
        }
    splits = ["train"]
    if settings.validate_every is not None:
        splits.append("validation")
        values |= {"eval_dataset": "validation", "eval_strategy": "steps", "eval_steps": settings.validate_every}
    if settings.select_best:
        values |= {
            "save_strategy": "steps",
            "save_steps": settings.validate_every,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
        }
    known = {split: {"file_name": settings.data_file(split), **_FORM} for split in splits}
    head = [f"Mixture {settings.mixture}, as crosslift trains it. In this folder: {COMMAND}", *settings.notes]
    return {"llama_factory.yaml": yaml_text(head, values), "dataset_info.json": json.dumps(known, indent=1) + "\n"}
