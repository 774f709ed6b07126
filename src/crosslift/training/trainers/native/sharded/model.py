"""Sharded loading and writing of a model. No process holds all weights: each reads and keeps its share.

The model is built without memory (on torch's meta device), divided by `fully_shard` into one group per decoder layer
and one for the rest, and every process then reads its slices of the safetensors files. At the end the first process
receives one parameter at a time and writes files of limited size.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from crosslift.errors import TrainingError
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.model import for_training, saved_settings, trained_dtype
from crosslift.untrusted.model_files import reading

MAX_FILE_BYTES = 2 * 10**9
"""Bytes of a file of a written checkpoint, and so the most that the first process holds of the model."""


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """A sharded model."""

    model: Any
    stored_names: Mapping[str, str]
    """Parameter or buffer -> name in the files of the base model; adapters are missing."""


def load_sharded(request: TrainingRequest, mesh: DeviceMesh, device: torch.device, precision: str) -> Sharded:
    """Load the base model, with LoRA adapters if the request has them, sharded over the devices of a mesh.

    Args:
        request: the request of the run.
        mesh: one-dimensional mesh of the run's devices.
        device: the device of this process.
        precision: of matrix products.

    Raises:
        TrainingError: the model cannot be loaded, or its files hold other tensors than the model has.
    """
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    folder = _folder(request)
    frozen = request.config.method == "lora" and device.type == "cuda"
    with reading(f"the base model {request.model}", TrainingError):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with init_empty_weights(include_buffers=False):
            model = AutoModelForCausalLM.from_config(
                config, dtype=config.dtype if frozen else trained_dtype(request.config), trust_remote_code=False
            )
        model.tie_weights()
        if (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        files = _stored_tensors(model, folder)
    names = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    with _initial_adapters() as adapters:
        model = for_training(model, request)
    places = {name: files[names[id(tensor)]] for name, tensor in _tensors(model) if names.get(id(tensor)) in files}
    kept = {name: tensor.detach().clone() for name, tensor in _tensors(model) if tensor.device.type != "meta"}
    for path, module in model.named_modules():
        kept |= {f"{path}.{name}": value for name, value in adapters.get(module, {}).items()}
    missing = [name for name, tensor in _tensors(model) if name not in places and name not in kept]
    if missing:
        raise TrainingError(
            f"{request.model} has no tensor for {missing[0]} ({len(missing)} are missing), so it cannot be loaded onto "
            "several devices. Set devices = 1 under [resources] in site.toml, or save the model again with "
            "save_pretrained."
        )
    _shard(model, mesh, precision=precision, offload=request.cpu_offload and device.type == "cuda")
    _fill(model, places, kept, device=device, offload=request.cpu_offload)
    return Sharded(model=model, stored_names={name: stored for name, (stored, _) in places.items()})


def _folder(request: TrainingRequest) -> Path:
    folder = Path(request.model)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    wanted = ["*.safetensors", "*.json"]
    with reading(f"the base model {request.model}", TrainingError):
        return Path(snapshot_download(request.model, revision=request.revision, allow_patterns=wanted))


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _stored_tensors(model: Any, folder: Path) -> dict[str, tuple[str, Path]]:
    """Parameter or buffer of the model -> name of its tensor in the files, and its file."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    transforms = get_model_conversion_mapping(model)
    renamings = [one for one in transforms if isinstance(one, WeightRenaming)]
    converters = [one for one in transforms if isinstance(one, WeightConverter)]
    known = dict(_tensors(model))
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                renamed, converted = rename_source_key(name, renamings, converters, model.base_model_prefix, known)
                if converted is not None and renamed in known:
                    raise TrainingError(
                        f"{type(model).__name__} merges tensors of its files while they are loaded ({name}), which is "
                        "not supported on several devices. Set devices = 1 under [resources] in site.toml."
                    )
                found[renamed] = (name, file)
    return found


@contextlib.contextmanager
def _initial_adapters() -> Iterator[dict[torch.nn.Module, dict[str, Tensor]]]:
    """Keep the initial values of adapters: PEFT draws them on the CPU, and then moves them to the device of their base
    layer, which has no memory here.

    Yields:
        Adapted layer -> parameter of it -> values.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    found: dict[torch.nn.Module, dict[str, Tensor]] = {}
    move = BaseTunerLayer._move_adapter_to_device_of_base_layer

    def keep(layer: Any, *args: Any, **kwargs: Any) -> None:
        found[layer] = {
            name: value.detach().clone() for name, value in layer.named_parameters() if value.device.type != "meta"
        }
        move(layer, *args, **kwargs)

    with patch.object(BaseTunerLayer, "_move_adapter_to_device_of_base_layer", keep):
        yield found


def _shard(model: Any, mesh: DeviceMesh, *, precision: str, offload: bool) -> None:
    """Shard each decoder layer, then what is left (embedding, last norm, head).

    On GPUs layers are gathered in bfloat16, where their matrix products need them. The rest stays float32: its result
    is the residual stream, which is float32 on one device too.
    """
    kinds = set(_layer_kinds(model))
    policy = OffloadPolicy() if not offload else CPUOffloadPolicy()
    rounded = precision == "bfloat16" and mesh.device_type == "cuda"
    # Gradients of bfloat16 weights are summed over the devices in float32, and rounded once.
    summed = torch.float32 if any(one.dtype == torch.bfloat16 for one in model.parameters()) else None
    of_layers = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if rounded else None,
        reduce_dtype=torch.float32 if rounded else summed,
        cast_forward_inputs=False,
    )
    of_rest = MixedPrecisionPolicy(reduce_dtype=summed, cast_forward_inputs=False)
    for module in list(model.modules()):
        if type(module).__name__ in kinds:
            fully_shard(module, mesh=mesh, mp_policy=of_layers, offload_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=of_rest, offload_policy=policy)
    for module in model.modules():
        if hasattr(module, "set_gradient_divide_factor"):
            # Gradients are summed: the loss is divided by the tokens of the step on all devices.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def _layer_kinds(model: Any) -> list[str]:
    """Names of the classes that must not be divided: the decoder layers."""
    kinds = getattr(model, "_no_split_modules", None) or getattr(model.get_base_model(), "_no_split_modules", None)
    if not kinds:
        raise TrainingError(
            f"{type(model).__name__} does not name its layers, so it cannot be divided among devices. "
            "Set devices = 1 under [resources] in site.toml."
        )
    return list(kinds)


@torch.no_grad()
def _fill(
    model: Any,
    places: Mapping[str, tuple[str, Path]],
    kept: Mapping[str, Tensor],
    *,
    device: torch.device,
    offload: bool,
) -> None:
    """Give every tensor memory, and this process's share of the values."""
    buffers = {name for name, _ in model.named_buffers()}
    model.to_empty(device="cpu" if offload else device)
    opened: dict[Path, Any] = {file: safe_open(file, framework="pt") for file in {file for _, file in places.values()}}
    for name, tensor in _tensors(model):
        local, rows = _share(tensor)
        if name in kept:
            value = kept[name] if rows is None else kept[name][rows]
        else:
            stored, file = places[name]
            source = opened[file].get_slice(stored)
            if rows is not None:
                value = source[rows]
            else:
                value = source[:] if source.get_shape() else opened[file].get_tensor(stored)
        if name in buffers and offload:
            _set_buffer(model, name, value.to(device))
        else:
            local.copy_(value)


def _share(tensor: Tensor) -> tuple[Tensor, slice | None]:
    """The part of a tensor that this process holds, and its rows; None for all."""
    if not isinstance(tensor, DTensor):
        return tensor, None
    shape, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    start = offset[0] if shape[0] else 0
    return tensor.to_local(), slice(start, start + shape[0])


def _set_buffer(model: Any, name: str, value: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    model.get_submodule(path)._buffers[leaf] = value


def whole_tensors(model: Any, *, trained_only: bool) -> Iterator[tuple[str, Tensor]]:
    """Gather one parameter after another; all processes must iterate.

    Args:
        model: the sharded model.
        trained_only: leave out frozen parameters.

    Yields:
        Name and values; the values are on the CPU and complete in the first process, and empty in the others.
    """
    for name, parameter in _tensors(model):
        if trained_only and not parameter.requires_grad:
            continue
        value: Any = parameter.detach()
        if isinstance(value, DTensor):
            value = value.to(value.device_mesh.device_type)  # offloaded parameters are on the CPU
            value = value.full_tensor()  # type: ignore[attr-defined, unused-ignore]
        yield name, value.cpu() if dist.get_rank() == 0 else torch.empty(0)


def write_full_weights(sharded: Sharded, tokenizer: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write all weights with the model's configuration; all processes must call it, and the first one writes.

    Args:
        sharded: the model.
        tokenizer: gives the tokens that end an answer.
        folder: destination, which only the first process uses.
        dtype: floating-point type of the saved weights.
    """
    first = dist.get_rank() == 0
    shard: dict[str, Tensor] = {}
    files: list[list[str]] = []
    total = size = 0

    def flush() -> None:
        nonlocal size
        if shard:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(shard, folder / f"part-{len(files) + 1:05d}.safetensors", metadata={"format": "pt"})
            files.append(list(shard))
            shard.clear()
            size = 0

    for name, value in whole_tensors(sharded.model, trained_only=False):
        if not first or name not in sharded.stored_names:
            continue
        saved = (value.to(dtype) if value.is_floating_point() else value).contiguous()
        if size + saved.nbytes > MAX_FILE_BYTES:
            flush()
        shard[sharded.stored_names[name]] = saved
        size, total = size + saved.nbytes, total + saved.nbytes
    if first:
        flush()
        _name_files(folder, files, total)
        with saved_settings(sharded.model, tokenizer, folder, dtype):
            sharded.model.config.save_pretrained(folder)
            sharded.model.generation_config.save_pretrained(folder)


def _name_files(folder: Path, files: list[list[str]], total: int) -> None:
    """Name the files as `save_pretrained` does, with an index if there are several."""
    parts = [folder / f"part-{number + 1:05d}.safetensors" for number in range(len(files))]
    if len(parts) == 1:
        parts[0].rename(folder / "model.safetensors")
        return
    named = [f"model-{number + 1:05d}-of-{len(files):05d}.safetensors" for number in range(len(files))]
    for part, name in zip(parts, named, strict=True):
        part.rename(folder / name)
    weights = {tensor: name for tensors, name in zip(files, named, strict=True) for tensor in tensors}
    index = {"metadata": {"total_size": total}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
