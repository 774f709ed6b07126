"""The base model with the adapters of all runs, and the passes of a step over the tokens of all of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import LENGTH_MULTIPLE, MicroBatch, join_micro_batches
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.gpu.transfers import HostCopy
from crosslift.training.trainers.native.loop import Run
from crosslift.training.trainers.native.loss import LogitSelector
from crosslift.training.trainers.native.model import for_training
from crosslift.training.trainers.native.optimization.batches import Part, to_tensor
from crosslift.training.trainers.native.optimization.steps import losses_of
from crosslift.training.trainers.native.together.grouped import Adapter, GroupedLinear, Slices

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""Difference of the losses of a probe, relative and in nats, up to which passes over all runs equal those of one."""


_ALWAYS_GROUPED = False
"""Whether CPUs compute adapters as GPUs do; for tests."""


class Member(Run):
    """A run that shares the base model with others. Its passes in training are made by `Joint`."""

    def __init__(
        self,
        request: TrainingRequest,
        base: Any,
        device: torch.device,
        precision: str,
        *,
        micro_batch_tokens: int | None = None,
    ) -> None:
        self._base = base
        self.spent = 0.0
        """Share of the process's time in seconds."""
        self.told_to_end = False
        """Asked once per step for all runs, so that all save their states after the same step."""
        super().__init__(request, device, precision, micro_batch_tokens=micro_batch_tokens)

    def _load(self) -> Any:
        return for_training(view_of(self._base), self.request)

    def _gpu_path(self) -> None:
        """None: passes over several runs do not use it, and validation is compared with them."""

    def _now(self) -> float:
        return self.spent

    def _ending_and_saving(self) -> tuple[bool, bool]:
        return self.told_to_end, self.told_to_end or self.state.is_due()

    def advance(self, rows: np.ndarray, losses: list[Part]) -> None:
        """Update the weights with the accumulated gradients, and complete the step as `complete_step` does."""
        self._update(self.rate)
        self.complete_step(rows, losses)

    def micro_batches(self, rows: np.ndarray) -> list[MicroBatch]:
        """The micro-batches of a step."""
        return [self._micro_batch(part) for part in self._parts(rows, self.examples)]


def view_of(model: Any) -> Any:
    """Copy the modules of a model, but not its weights: both share the tensors."""
    return copy.deepcopy(model, {id(one): one for one in itertools.chain(model.parameters(), model.buffers())})


class Joint:
    """The base model with the adapters of all runs.

    Args:
        base: the base model.
        members: index -> run.
        device: where it is computed.
    """

    def __init__(self, base: Any, members: Mapping[int, Member], device: torch.device) -> None:
        self.device = device
        self.members = dict(members)
        self.slices = Slices()
        self.model = for_training(view_of(base), next(iter(members.values())).request)
        self.head = LogitSelector(self.model)
        self.layers = self._group_layers()

    def _group_layers(self) -> list[GroupedLinear]:
        """Replace the layers that have an adapter by layers with those of all runs."""
        theirs = {index: dict(member.model.named_modules()) for index, member in self.members.items()}
        layers = []
        for name, layer in _adapted(self.model).items():
            adapters = {
                index: Adapter(
                    down=modules[name].lora_A["default"].weight,
                    up=modules[name].lora_B["default"].weight,
                    scale=float(modules[name].scaling["default"]),
                )
                for index, modules in theirs.items()
            }
            parent, _, own = name.rpartition(".")
            layers.append(GroupedLinear(layer.base_layer, adapters, self.slices))
            setattr(self.model.get_submodule(parent), own, layers[-1])
        return layers

    def remove(self, index: int) -> None:
        """Forget a run that has ended."""
        del self.members[index]
        for layer in self.layers:
            del layer.adapters[index]

    def accumulate(self, rows: Mapping[int, np.ndarray]) -> dict[int, list[Part]]:
        """Accumulate the gradients of a step of each run.

        A pass takes at most `micro_batch_tokens`, those of all runs together. The loss of each run is divided by its
        own tokens.

        Args:
            rows: index of a run -> indices of the examples of its step.

        Returns:
            Index -> token losses in nats and cells, per micro-batch.
        """
        batches = {index: self.members[index].micro_batches(rows[index]) for index in rows}
        totals = {index: sum(len(one.cells) for one in parts) for index, parts in batches.items()}
        losses: dict[int, list[Part]] = {index: [] for index in rows}
        limit = min(self.members[index].micro_batch_tokens for index in rows)
        for one_pass in divide([(index, one) for index, parts in batches.items() for one in parts], limit):
            found = self._losses(one_pass)
            sizes = [len(one.cells) for _, one in one_pass]
            shares = np.repeat(np.array([1.0 / totals[index] for index, _ in one_pass], np.float32), sizes)
            (found * to_tensor(shares, self.device)).sum().backward()  # type: ignore[no-untyped-call]
            for (index, one), part in zip(one_pass, torch.split(found.detach(), sizes), strict=True):
                losses[index].append((HostCopy(part), one.cells))
                self.members[index].num_tokens += one.num_tokens
        return losses

    def _losses(self, one_pass: list[tuple[int, MicroBatch]]) -> Tensor:
        """Losses of the tokens of a pass under the loss mask, in nats; those of each run are consecutive."""
        in_place = self.device.type == "cpu" and not _ALWAYS_GROUPED
        joined, places = join_micro_batches([one for _, one in one_pass], multiple=1 if in_place else LENGTH_MULTIPLE)
        ends = None if in_place else to_tensor(np.array([end for _, end in places], np.int32), self.device)
        self.slices.set([index for index, _ in one_pass], places, joined.ids.shape[1], ends)
        return losses_of(self.model, self.head, joined, self.device, packed=True)

    @torch.no_grad()
    def disagreement(self) -> str | None:
        """Compare the losses of a few examples with those of each run by itself, under random adapters.

        No list of architectures is needed: where a layer mixes tokens of several examples, or receives others than
        those of the row, the losses differ.

        Returns:
            What is different; None if nothing is.
        """
        generator = torch.Generator().manual_seed(0)
        kept = [one.up.detach().clone() for layer in self.layers for one in layer.adapters.values()]
        ups = [one.up for layer in self.layers for one in layer.adapters.values()]
        try:
            for up in ups:
                up.copy_(torch.randn(up.shape, generator=generator) * 0.05)
            batches = [(i, one._micro_batch(np.arange(min(2, len(one.examples))))) for i, one in self.members.items()]
            expected = [self.members[index]._losses(one)[1] for index, one in batches]
            found = torch.split(self._losses(batches), [len(one.cells) for _, one in batches])
        finally:
            for up, before in zip(ups, kept, strict=True):
                up.copy_(before)
        for (index, _), theirs, ours in zip(batches, expected, found, strict=True):
            tolerance = TOLERANCE[self.members[index].precision]
            if not torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance):
                return f"losses of a probe differ by {(ours - theirs).abs().max().item():.2g} nats"
        return None


def obstacle(base: Any, adapted: Any) -> str | None:
    """Why the runs of a model must be trained one by one; None if nothing in it speaks for that.

    Args:
        base: the base model.
        adapted: the model with the adapter of a run.
    """
    if any(isinstance(one, torch.nn.Dropout) and one.p > 0 for one in base.modules()) or any(
        float(getattr(one, "attention_dropout", 0.0) or 0.0) > 0 for one in base.modules()
    ):
        return "the base model has dropout, whose masks each run draws from a stream of its own"
    if any(one is adapted.get_output_embeddings() for one in _adapted(adapted).values()):
        return "the language-model head has an adapter, and receives only the tokens under the loss mask"
    for name, layer in _adapted(adapted).items():
        if type(layer.base_layer) is not torch.nn.Linear or layer.lora_variant or layer.lora_bias["default"]:
            return f"the adapter of {name} is not one of an ordinary linear layer"
    return None


def divide(batches: list[tuple[int, MicroBatch]], limit: int) -> list[list[tuple[int, MicroBatch]]]:
    """Divide micro-batches among passes: the largest first, each to the first pass in which it has room.

    Args:
        batches: runs and their micro-batches.
        limit: tokens of a pass; a larger micro-batch gets a pass of its own.

    Returns:
        The passes; in each, the micro-batches of a run are consecutive.
    """
    passes: list[tuple[int, list[tuple[int, MicroBatch]]]] = []
    for index, one in sorted(batches, key=lambda pair: -pair[1].num_tokens):
        place = next((i for i, (tokens, _) in enumerate(passes) if tokens + one.num_tokens <= limit), None)
        if place is None:
            passes.append((one.num_tokens, [(index, one)]))
        else:
            passes[place] = passes[place][0] + one.num_tokens, [*passes[place][1], (index, one)]
    return [sorted(content, key=lambda pair: pair[0]) for _, content in passes]


def _adapted(model: Any) -> dict[str, Any]:
    """The layers of a PEFT model that have an adapter, by name."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
