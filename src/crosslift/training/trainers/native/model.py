"""Loading of the base model, LoRA adapters, and writing of checkpoints in the Hugging Face format."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from crosslift.chat import load_tokenizer, stop_ids
from crosslift.errors import TrainingError
from crosslift.streams import seed_of
from crosslift.training.trainer import BaseName, LoRAConfig, SFTConfig, TrainingRequest
from crosslift.training.trainers.native import attention
from crosslift.untrusted.model_files import reading


def load_model(request: TrainingRequest, device: torch.device) -> Any:
    """Load the base model, with LoRA adapters if the request has them.

    Weights have the type of `trained_dtype`; frozen weights under LoRA on a GPU keep that in which they are stored.

    Raises:
        TrainingError: the model cannot be loaded, or its architecture does not support packing or LoRA.
    """
    return for_training(load_base(request, device), request)


def load_base(request: TrainingRequest, device: torch.device) -> Any:
    """Load the base model of `load_model`, without adapters.

    Raises:
        TrainingError: the model cannot be loaded.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # it would fill the log of the run
    config = request.config
    frozen = config.method == "lora" and device.type == "cuda"
    with reading(f"the base model {request.model}", TrainingError):
        model = AutoModelForCausalLM.from_pretrained(
            request.model,
            revision=request.revision,
            dtype="auto" if frozen else trained_dtype(config),
            trust_remote_code=False,
            use_safetensors=True,
        )
    return model.to(device)


def trained_dtype(config: SFTConfig) -> torch.dtype:
    """The dtype of weights in training."""
    return torch.bfloat16 if config.weight_precision == "bfloat16" else torch.float32


def for_training(model: Any, request: TrainingRequest) -> Any:
    """Set attention, checkpointing and adapters of a base model as the request asks for.

    Raises:
        TrainingError: the architecture does not support packing or LoRA.
    """
    config = request.config
    if config.packing:
        _pack(model)
    elif getattr(model.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        model.set_attn_implementation("eager")  # the only implementation with soft caps
    model.config.use_cache = False
    model.train()
    if config.gradient_checkpointing:
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.method == "lora":
        model = _with_adapters(model, config.lora or LoRAConfig(), seed=request.seed)
    return model


def read_tokenizer(request: TrainingRequest) -> Any:
    """Load the tokenizer to save with the checkpoint, with the chat template of the request.

    Raises:
        TemplateError: as `chat.load_tokenizer`.
        ModelError: the tokenizer cannot be loaded.
    """
    return load_tokenizer(request.model, request.revision, request.template)


def stored_dtype(request: TrainingRequest) -> torch.dtype:
    """The dtype in which the base model is stored, and in which its checkpoints are written."""
    return dtype_of(request.model, request.revision)


def dtype_of(model: str, revision: str | None = None) -> torch.dtype:
    """The dtype in which a model is stored.

    Args:
        model: local folder or hub name.
        revision: revision of a hub model.

    Raises:
        TrainingError: its configuration cannot be read.
    """
    from transformers import AutoConfig

    with reading(f"the configuration of {model}", TrainingError):
        dtype = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False).dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


def _pack(model: Any) -> None:
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"])
    strange = sorted(kinds - {"full_attention", "sliding_attention"})
    if strange or not model._supports_attention_backend:
        reason = f"layers of kind {', '.join(strange)}" if strange else "an attention that cannot be replaced"
        raise TrainingError(
            f"{type(model).__name__} has {reason}, so packed examples would attend to each other. "
            "Set packing = false under [training]."
        )
    model.set_attn_implementation(attention.register())


def _with_adapters(model: Any, lora: LoRAConfig, *, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    torch.manual_seed(seed_of(seed, "lora"))
    try:
        model = get_peft_model(
            model,
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=targets,
                task_type="CAUSAL_LM",
            ),
        )
    except ValueError as error:
        raise TrainingError(f"LoRA cannot be applied to {type(model).__name__}: {error}") from error
    model.enable_input_require_grads()  # gradient checkpointing needs a path from the frozen embedding
    return model


def write_checkpoint(model: Any, tokenizer: Any, folder: Path, request: TrainingRequest, dtype: torch.dtype) -> None:
    """Write a folder that `from_pretrained` can load (an adapter folder under LoRA), atomically.

    Args:
        model: the trained model.
        tokenizer: the tokenizer to save with it.
        folder: destination; an existing folder is replaced.
        request: the request of the run.
        dtype: floating-point type of the saved weights; not used for adapters.
    """
    with replaced_folder(folder) as partial:
        if request.config.method == "lora":
            write_adapter(model, partial, request)
        else:
            write_weights(model, tokenizer, partial, dtype)
        tokenizer.save_pretrained(partial)


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Context that yields the path of a folder to write, which afterwards replaces `folder`."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def write_adapter(
    model: Any, folder: Path, request: TrainingRequest, weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Write an adapter in PEFT's format.

    Args:
        model: the model with the adapter.
        folder: destination.
        request: names the base model.
        weights: parameters by name; None: those of the model.
    """
    model.save_pretrained(folder, **({} if weights is None else {"state_dict": weights}))
    _tidy_adapter(folder, request.base_name or BaseName(name=request.model, revision=request.revision))


def write_weights(model: Any, tokenizer: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write all weights of a model with its configuration.

    Args:
        model: the model.
        tokenizer: gives the tokens that end an answer.
        folder: destination.
        dtype: floating-point type of the saved weights.
    """
    with saved_settings(model, tokenizer, folder, dtype):
        model.save_pretrained(folder, state_dict=_cast(model.state_dict(), dtype), max_shard_size="5GB")


@contextlib.contextmanager
def saved_settings(model: Any, tokenizer: Any, folder: Path, dtype: torch.dtype) -> Iterator[None]:
    """Context in which the configurations of the model are those to save; the type of the weights is set afterwards."""
    model.generation_config.eos_token_id = list(stop_ids(tokenizer))
    model.config.use_cache = True
    yield
    model.config.use_cache = False
    _edit_json(folder / "config.json", dtype=str(dtype).removeprefix("torch."))


def _cast(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Cast floating-point tensors; tied weights stay one tensor."""
    cast: dict[int, torch.Tensor] = {}
    for tensor in state.values():
        if tensor.is_floating_point():
            cast.setdefault(tensor.data_ptr(), tensor.to(dtype))
    return {name: cast.get(tensor.data_ptr(), tensor) for name, tensor in state.items()}


def _tidy_adapter(folder: Path, base: BaseName) -> None:
    """Name the base model, sort the module names, which PEFT writes in the varying order of a set, and remove its empty
    model card."""
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    changes: dict[str, Any] = {"base_model_name_or_path": base.name, "revision": base.revision}
    if isinstance(config["target_modules"], list):
        changes["target_modules"] = sorted(config["target_modules"])
    _edit_json(folder / "adapter_config.json", **changes)


def _edit_json(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
