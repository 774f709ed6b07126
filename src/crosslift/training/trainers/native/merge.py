"""Merging of a LoRA adapter into the weights of its base model."""

from __future__ import annotations

from pathlib import Path

import torch

from crosslift.chat import load_tokenizer
from crosslift.errors import TrainingError
from crosslift.training.trainers.native.model import dtype_of, write_weights
from crosslift.untrusted.model_files import reading


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Write full weights that answer as the base model with the adapter.

    The sum is computed in float32 and saved in the type in which the base model is stored. Where that is bfloat16, the
    rounding of the sum differs from that of base model and adapter apart.

    Args:
        base: folder of the base model.
        adapter: folder of the adapter with its tokenizer.
        folder: destination; created.

    Raises:
        TrainingError: the base model or the adapter cannot be loaded.
        TemplateError: the tokenizer has no usable chat template.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if not (adapter / "adapter_model.safetensors").is_file():  # PEFT would unpickle adapter_model.bin
        raise TrainingError(f"{adapter.name} holds no adapter_model.safetensors, so there is nothing to merge.")
    tokenizer = load_tokenizer(adapter)
    with reading(f"the base model {base.name}", TrainingError):
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
    with reading(f"the adapter {adapter.name}", TrainingError):
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    write_weights(merged, tokenizer, folder, dtype_of(str(base)))
    tokenizer.save_pretrained(folder)
