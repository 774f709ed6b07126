"""The base model with the adapters of all runs, and the passes of a step over the tokens of all of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import MicroBatch
from crosslift.training.trainer import Trained, TrainingRequest
from crosslift.training.trainers.native.gpu import path
from crosslift.training.trainers.native.gpu.transfers import HostCopy
from crosslift.training.trainers.native.loop import Run
from crosslift.training.trainers.native.loss import LogitSelector
from crosslift.training.trainers.native.model import for_training
from crosslift.training.trainers.native.optimization.batches import Part
from crosslift.training.trainers.native.optimization.steps import losses_of
from crosslift.training.trainers.native.together.grouped import Adapter, GroupedLinear, Slices, has_grouped_kernel
from crosslift.training.trainers.native.together.passes import JointPass, Step, divide, lay_out

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
        self.shared_path: path.GPUPath | None = None
        """On a GPU: the path of the passes over all runs."""
        super().__init__(request, device, precision, micro_batch_tokens=micro_batch_tokens)

    def _load(self) -> Any:
        return for_training(view_of(self._base), self.request)

    def _gpu_path(self) -> path.GPUPath:
        """The path of its validation, and of the probe; that of its training is shared."""
        conditions = _conditions(self, uncompiled="layers are compiled for training")
        return path.GPUPath(self.model, self.head, conditions, sample=self.sample())

    def sample(self) -> MicroBatch:
        """A small micro-batch, to try the model with."""
        return self._micro_batch(np.arange(min(2, len(self.examples))))

    def _now(self) -> float:
        return self.spent

    def _ending_and_saving(self) -> tuple[bool, bool]:
        return self.told_to_end, self.told_to_end or self.state.is_due()

    def advance(self, rows: np.ndarray, losses: list[Part]) -> None:
        """Update the weights with the accumulated gradients, and complete the step as `complete_step` does."""
        self._update(self.rate)
        self.complete_step(rows, losses)

    def finish(self) -> Trained:
        """As `Run.finish`, with the kernels of the passes over all runs."""
        return replace(super().finish(), kernels={} if self.shared_path is None else self.shared_path.kernels)

    def micro_batches(self, rows: np.ndarray) -> list[MicroBatch]:
        """The micro-batches of a step."""
        return [self._micro_batch(part) for part in self._parts(rows, self.examples)]


def _conditions(run: Run, **changes: Any) -> path.Conditions:
    of_run = path.Conditions(device=run.device, precision=run.precision, packing=True, num_steps=run.num_steps)
    return replace(of_run, **changes)


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
        self._steps: Generator[Step] | None = None
        self.gpu: path.GPUPath | None = None
        if path.is_for(device):
            self.gpu = self._gpu_path()

    def _gpu_path(self) -> path.GPUPath:
        sample = lay_out([(index, one.sample()) for index, one in self.members.items()], None, list(self.members))
        self._describe(sample)
        first = next(iter(self.members.values()))
        adapters = [one for layer in self.layers for one in layer.adapters.values()]
        dtype = torch.bfloat16 if first.precision == "bfloat16" else torch.float32
        grouped = all(has_grouped_kernel(dtype, weight) for one in adapters for weight in (one.down, one.up))
        conditions = _conditions(
            first,
            num_steps=max(one.num_steps for one in self.members.values()),
            may_compile=first.request.compile,
            uncompiled=None if grouped else "no kernel multiplies the adapters of all runs at once",
        )
        assert isinstance(sample.row, MicroBatch)
        made = path.GPUPath(self.model, self.head, conditions, sample=sample.row)
        for member in self.members.values():
            member.model.zero_grad(set_to_none=True)
            member.shared_path = made
        return made

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

    @property
    def is_grouped(self) -> bool:
        """Whether adapters of all runs are computed by one product, and not in place, run by run."""
        return self.device.type != "cpu" or self.gpu is not None or _ALWAYS_GROUPED

    def remove(self, index: int) -> None:
        """Forget a run that has ended."""
        self.close()
        del self.members[index]
        for layer in self.layers:
            del layer.adapters[index]

    def close(self) -> None:
        """End the preparation of further steps."""
        if self._steps is not None:
            self._steps.close()
        self._steps = None

    def next_step(self) -> Step:
        """The next step of all runs; on a GPU it was prepared in a thread, as long as the runs are the same."""
        members = dict(self.members)
        first = {index: member.step for index, member in members.items()}

        def prepare(number: int) -> Step:
            rows = {index: members[index].order.batch(step + number) for index, step in first.items()}
            return rows, self._passes(rows, members)

        if self.gpu is None:
            return prepare(0)
        if self._steps is None:
            until = min(member.num_steps - member.step for member in members.values())
            self._steps = self.gpu.prepared(prepare, 0, until)
        return next(self._steps)

    def _passes(self, rows: Mapping[int, np.ndarray], members: Mapping[int, Member]) -> list[JointPass]:
        """The passes of a step: each takes at most `micro_batch_tokens`, those of all runs together."""
        batches = {index: members[index].micro_batches(rows[index]) for index in rows}
        totals = {index: sum(len(one.cells) for one in parts) for index, parts in batches.items()}
        limit = min(members[index].micro_batch_tokens for index in rows)
        divided = divide([(index, one) for index, parts in batches.items() for one in parts], limit)
        runs = list(members) if self.is_grouped else None
        passes = [lay_out(parts, totals, runs) for parts in divided]
        return passes if self.gpu is None else [self._on_host(one) for one in passes]

    def _on_host(self, one: JointPass) -> JointPass:
        """A pass whose tensors can be copied to a GPU without waiting."""
        assert self.gpu is not None and isinstance(one.row, MicroBatch) and one.ends is not None
        shares = np.pad(one.shares.numpy(), (0, len(one.row.targets) - len(one.shares)))
        return replace(
            one,
            row=self.gpu.host(one.row),
            shares=self.gpu.on_host(shares),
            ends=self.gpu.on_host(one.ends.numpy()),
        )

    def accumulate(self, passes: list[JointPass]) -> dict[int, list[Part]]:
        """Accumulate the gradients of a step of each run. The loss of each run is divided by its own tokens.

        Args:
            passes: the passes of the step.

        Returns:
            Index -> token losses in nats and cells, per micro-batch.
        """
        losses: dict[int, list[Part]] = {index: [] for index in self.members}
        for one_pass in passes:
            total, found = self._losses(one_pass)
            if self.gpu is not None:
                self.gpu.backward(total)
            else:
                total.backward()  # type: ignore[no-untyped-call]
            sizes = [len(one.cells) for _, one in one_pass.parts]
            for (index, one), part in zip(one_pass.parts, torch.split(found.detach(), sizes), strict=True):
                losses[index].append((HostCopy(part), one.cells))
                self.members[index].num_tokens += one.num_tokens
        return losses

    def _describe(self, one_pass: JointPass) -> None:
        """Tell the layers where the tokens of each run are."""
        ends = None if one_pass.ends is None else one_pass.ends.to(self.device, non_blocking=True)
        self.slices.set(one_pass.runs, one_pass.places, one_pass.num_places, ends)

    def _losses(self, one_pass: JointPass) -> tuple[Tensor, Tensor]:
        """Weighted sum of the losses of a pass; and those of its tokens under the loss mask, in nats, run by run."""
        self._describe(one_pass)
        if self.gpu is not None:
            return self.gpu.losses(one_pass.row, one_pass.shares)
        assert isinstance(one_pass.row, MicroBatch)
        losses = losses_of(self.model, self.head, one_pass.row, self.device, packed=True)
        return (losses * one_pass.shares.to(self.device)).sum(), losses

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
            batches = [(index, one.sample()) for index, one in self.members.items()]
            expected = [self.members[index]._losses(one)[1] for index, one in batches]
            laid_out = lay_out(batches, None, list(self.members) if self.is_grouped else None)
            one_pass = laid_out if self.gpu is None else self._on_host(laid_out)
            found = torch.split(self._losses(one_pass)[1], [len(one.cells) for _, one in batches])
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


def _adapted(model: Any) -> dict[str, Any]:
    """The layers of a PEFT model that have an adapter, by name."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
