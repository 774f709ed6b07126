"""Peaks of the bytes in tensors of a training step as a GPU makes it, counted without one.

The step is that of the native trainer on its GPU path, with tensors that have a shape and a type but no memory (torch's
FakeTensorMode). They count as CPU tensors, for which autocast rounds the same products to bfloat16. Two operations that
a CPU computes with a further copy are replaced by those of a GPU. (torch's MemTracker follows neither frozen parameters
nor several passes of a step.)
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tiny_models import tokenizer
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AutoConfig, AutoModelForCausalLM

from crosslift.training.trainer import SFTConfig, TokenTable, TrainingRequest
from crosslift.training.trainers.native import attention
from crosslift.training.trainers.native.gpu import linear_loss, path, varlen
from crosslift.training.trainers.native.loop import Run
from crosslift.training.trainers.native.model import for_training
from crosslift.training.trainers.native.together import joint

CPU = torch.device("cpu")


def counted_peak(folder: Path, settings: dict[str, Any], config: SFTConfig, *, lengths: np.ndarray) -> int:
    """Count the peak of a training step, weights and moments included.

    Args:
        folder: an empty folder.
        settings: numbers of the model's configuration.
        config: the settings of training; `batch_examples` is the number of examples.
        lengths: tokens of each example, all but the first under the loss mask.

    Returns:
        Bytes in tensors.
    """
    write(folder, settings)
    with as_on_a_gpu():
        run = Counted(request_of(folder, config, lengths), CPU, "bfloat16")
        run._step(run._batch(0), 1e-3)  # moments are created
        with Bytes() as counted:
            counted.see(run.model.parameters(), run.model.buffers(), list(run.optimizer.state.values()))
            run._step(run._batch(1), 1e-3)
    return counted.peak


def counted_peak_together(
    folder: Path, settings: dict[str, Any], config: SFTConfig, *, lengths: np.ndarray, number: int
) -> int:
    """Count the peak of a step of several LoRA runs that are trained together, as `counted_peak` does for one."""
    write(folder, settings)
    made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def of_run(view: Any, request: TrainingRequest) -> Any:
        return without_memory(view, request, made)

    with as_on_a_gpu(), patch.object(joint, "for_training", of_run):
        requests = [request_of(folder / f"run-{i}", config, lengths, base=folder) for i in range(number)]
        base = base_without_memory(requests[0])
        members = {i: joint.Member(one, base, CPU, "bfloat16") for i, one in enumerate(requests)}
        together = joint.Joint(base, members, CPU)
        counted = Bytes()
        for step in range(2):
            with counted if step else contextlib.nullcontext():
                for member in members.values() if step else ():
                    moments = list(member.optimizer.state.values())
                    counted.see(member.model.parameters(), member.model.buffers(), moments)
                    member.step = 1
                together.accumulate(together.next_step()[1])
                for member in members.values():
                    member._update(1e-3)
        together.close()
    return counted.peak


class Bytes(TorchDispatchMode):
    """Counts the bytes of the tensors that exist."""

    def __init__(self) -> None:
        super().__init__()
        self.present = self.peak = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = operator(*args, **(kwargs or {}))
        self.see(found)
        return found

    def see(self, *content: Any) -> None:
        """Count the tensors in any containers."""
        for tensor in tree_leaves([list(one) if isinstance(one, Iterator) else one for one in content]):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self._known:
                storage = tensor.untyped_storage()
                self._known[storage] = True
                self.present += storage.nbytes()
                self.peak = max(self.peak, self.present)
                weakref.finalize(storage, self._freed, storage.nbytes())

    def _freed(self, size: int) -> None:
        self.present -= size


def write(folder: Path, settings: dict[str, Any]) -> None:
    """Write the configuration of a model, and a tokenizer."""
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    AutoConfig.for_model(**settings, **ends, dtype="bfloat16").save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def request_of(folder: Path, config: SFTConfig, lengths: np.ndarray, *, base: Path | None = None) -> TrainingRequest:
    """A request whose examples have these lengths."""
    zeros = np.zeros(len(lengths), np.int16)
    (folder / "run").mkdir(exist_ok=True, parents=True)
    examples = TokenTable(
        ids=np.full(int(lengths.sum()), 7, np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        prompt_lengths=np.ones(len(lengths), np.int32),
        completion_bytes=lengths.astype(np.int32),
        languages=("all",),
        language=zeros,
        tasks=("math",),
        task=zeros,
    )
    return TrainingRequest(
        model=str(base or folder), revision=None, config=config, examples=examples, validation=None, seed=0,
        folder=folder / "run", compile=False,
    )  # fmt: skip


def base_without_memory(request: TrainingRequest) -> Any:
    """The base model on torch's meta device, in the type in which a GPU holds it."""
    config = AutoConfig.from_pretrained(request.model)
    frozen = request.config.method == "lora"
    with unset_fake_temporarily(), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if frozen else torch.float32)


def without_memory(base: Any, request: TrainingRequest, made: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """A model in training, whose tensors have no memory.

    Args:
        base: the base model on the meta device.
        request: the request of the run.
        made: id of a tensor of the base model -> the tensor, and that in its place, shared by all runs; completed.
    """
    with unset_fake_temporarily(), torch.device("meta"):
        model = for_training(base, request)
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:
                    empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                    is_weight = isinstance(tensor, torch.nn.Parameter)
                    mine = torch.nn.Parameter(empty, tensor.requires_grad) if is_weight else empty
                    made[id(tensor)] = tensor, mine
                tensors[name] = made[id(tensor)][1]
    return model


class Counted(Run):
    """A run on the path of a GPU."""

    def _load(self) -> Any:
        return without_memory(base_without_memory(self.request), self.request, {})


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Context in which tensors have no memory, and the path of a GPU is taken."""
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        torch.autocast("cpu", torch.bfloat16, cache_enabled=False),
        patch.object(path, "is_for", lambda device: True),
        patch.object(varlen, "why_not", lambda asked, device, precision: None),
        patch.object(linear_loss, "why_not", lambda head, device, dtype: None),
        patch.object(linear_loss, "_product", _product),
        patch.object(torch, "log_softmax", _log_softmax),
        patch.object(attention, "_ALWAYS_TORCH", True),
    ):
        yield


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left.new_empty(left.shape[0], right.shape[1], dtype=torch.float32)


def _log_softmax(logits: torch.Tensor, dim: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_like(logits, dtype=dtype)
