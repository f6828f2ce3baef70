"""Base of mix policies: a way to draw a plan. Applying a plan is the same for all."""

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.functional.mixing import Generator, as_numpy, mix_rows, paste_boxes
from hilmix.parts import Part
from hilmix.types import Batch, MixPlan


class MixPolicy(Part, ABC):
    """Draws a plan from a generator, a pure function; :meth:`apply` mixes the inputs of a batch as a plan says."""

    # None on the class: a dict here would be shared by all policies, and their constructors need not call this one's.
    _buffers: dict[str, Tensor] | None = None

    def bind(self, annotations: Annotations) -> None:
        """Prepares for the items of the batches; called by the data module before training, no-op by default.

        Args:
            annotations: what training learns from, with the vocabularies of classes and annotators.

        Raises:
            ConfigError: if the policy does not fit them.
        """

    @abstractmethod
    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan | None:
        """Returns the plan for one batch, or None for no mixing; tensors on the host, ``shares`` where the batch is."""

    def limit(self, batch: Batch, generator: np.random.Generator) -> Batch:
        """Returns the batch with the pairs that take part; by default all of them."""
        return batch

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Returns the batch mixed by a freshly drawn plan; labels and annotators stay as given.

        Args:
            batch: from the loader, on any device, ``input`` (B, ...) float.
            generator: of NumPy or torch; the data module seeds one by (seed, batch counter, rank), see
                :mod:`hilmix.functional.random`.
        """
        generator = as_numpy(generator)
        # Before the draw: a plan over pairs has one row for each pair that takes part.
        batch = self.limit(batch, generator)
        plan = self.draw(batch, generator)
        if plan is None:
            return batch
        device = batch.input.device
        box, shares = (value if value is None else value.to(device) for value in (plan.box, plan.shares))
        plan = plan._replace(partner=plan.partner.to(device), weight=plan.weight.to(device), box=box, shares=shares)
        return self.apply(batch, plan)

    def apply(self, batch: Batch, plan: MixPlan) -> Batch:
        """Returns the batch with ``plan`` set and, where the plan applies to the input, its inputs mixed.

        On a CPU the mixed input lies in a buffer that the next call overwrites: clone it to keep it.
        """
        if plan.layer != "input":
            return batch._replace(plan=plan)
        source = batch.input
        if plan.rows == "pairs":
            room = self._reused("pairs", source, len(batch.row))
            source = source[batch.row] if room is None else torch.index_select(source, 0, batch.row, out=room)
        # A buffer of its own, as a mix must not write into what it reads.
        room = self._reused("mixed", source, len(source))
        if plan.box is not None:
            mixed = paste_boxes(source, plan.partner, plan.box, out=room)
        else:
            mixed = mix_rows(source, plan.partner, plan.weight, out=room)
        return batch._replace(input=mixed, plan=plan)

    def _reused(self, role: str, like: Tensor, rows: int) -> Tensor | None:
        """A buffer of so many rows. Only on a CPU: there the page faults of a fresh one cost most of the mix."""
        if like.device.type != "cpu":
            return None
        self._buffers = self._buffers or {}
        shape = (rows, *like.shape[1:])
        size = math.prod(shape)
        held = self._buffers.get(role)
        # A larger one is kept and cut: the last batch of an epoch is smaller than the others.
        if held is None or held.dtype != like.dtype or held.numel() < size:
            held = self._buffers[role] = torch.empty(size, dtype=like.dtype)
        return held[:size].view(shape)


class NoMix(MixPolicy):
    """Leaves batches as they are."""

    def draw(self, batch: Batch, generator: np.random.Generator) -> None:
        return None
