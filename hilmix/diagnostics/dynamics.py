"""Training dynamics from step outputs of clean passes: of items with a reference label, and of annotations."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations, IntArray
from hilmix.diagnostics.columns import named
from hilmix.errors import ConfigError, DataError
from hilmix.functional import dynamics as F
from hilmix.types import ItemLogits, StepOutput


class DynamicsTracker:
    """Follows how the predictions of labels develop, pass by pass; one visit per item and pass.

    Only un-mixed outputs count: the logits of a mix belong to no item. Keep to one mode, training or evaluation.

    Args:
        annotations: of all items.
        label: (N,) int64 reference label of each item, such as the consensus; -1 for none.
    """

    def __init__(self, annotations: Annotations, label: IntArray) -> None:
        if label.shape != (annotations.num_items,):
            raise ConfigError(
                f"`label` must have one entry per item, shape ({annotations.num_items},), got {label.shape}."
            )
        self.annotations, self.label = annotations, label
        self.items = F.DynamicsSums.zeros(annotations.num_items)
        self.pairs = F.DynamicsSums.zeros(annotations.num_pairs)

    def update(self, output: StepOutput | ItemLogits) -> None:
        """Adds a batch.

        Args:
            output: of un-mixed inputs; items in any order, such as workers and samplers bring about.

        Raises:
            ConfigError: for mixed outputs.
            DataError: for items that the annotations do not have.
        """
        if output.plan is not None:
            raise ConfigError(
                "`output` must be that of un-mixed inputs, got one with a mix plan. Use a clean pass over the items."
            )
        index, logits = output.index.cpu(), output.logits.detach().cpu()
        # Clamped so that the lookup succeeds; the sums then refuse the row itself, with its number.
        reference = torch.from_numpy(self.label)[index.clamp(max=len(self.label) - 1)]
        # A row of -1 is left out: items without a reference label.
        row = torch.where(reference >= 0, index, -1)
        self.items.update(row, logits, reference.clamp(min=0))
        place, pair = self.annotations.gather(index.numpy())
        label = torch.from_numpy(self.annotations.label[pair])
        self.pairs.update(torch.from_numpy(pair), logits[torch.from_numpy(place)], label)

    def add_pass(self, outputs: Iterable[StepOutput | ItemLogits], total: Callable[[Tensor], Tensor]) -> None:
        """Adds a pass over items that ranks share out, no item on two of them; every rank must call it.

        Args:
            outputs: of the batches of this rank.
            total: the sum of a float32 tensor over the ranks.
        """
        items, pairs = self.items, self.pairs
        # Copies: the former sums may be in a checkpoint that another thread writes.
        self.items, self.pairs = _copy(vars(items)), _copy(vars(pairs))
        for output in outputs:
            self.update(output)
        self.items = F.reduce_dynamics(items, self.items, total)
        self.pairs = F.reduce_dynamics(pairs, self.pairs, total)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Returns the sums, by name, of ``items`` and ``pairs``; 32 bytes per item and per annotation."""
        return {name: dict(vars(getattr(self, name))) for name in ("items", "pairs")}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Goes on from saved sums.

        Raises:
            DataError: for sums of another number of items or annotations.
        """
        for name in ("items", "pairs"):
            saved, rows = len(state[name]["visits"]), len(getattr(self, name).visits)
            if saved != rows:
                raise DataError(
                    f"Saved dynamics must have {rows} {name}, as the data have, got {saved}. The data have changed; "
                    "begin a new run."
                )
            setattr(self, name, _copy(state[name]))

    def item_table(self) -> pd.DataFrame:
        """Returns one row per item: ``label`` and the fields of
        :class:`~hilmix.functional.dynamics.DynamicsScores`, NaN without a visit, and ``clean`` (of the last losses)."""
        scores = F.dynamics_scores(self.items)
        clean = F.clean_probability(scores.last_loss.numpy()).clean
        return pd.DataFrame({"label": named(self.label, self.annotations.classes), **_columns(scores), "clean": clean})

    def annotation_table(self) -> pd.DataFrame:
        """Returns one row per annotation, in the order of the table: ``item`` (row), ``annotator``, ``label`` and the
        fields of :class:`~hilmix.functional.dynamics.DynamicsScores`, NaN without a visit."""
        notes = self.annotations
        return pd.DataFrame(
            {
                "item": notes.item,
                "annotator": named(notes.annotator, notes.annotators),
                "label": named(notes.label, notes.classes),
                **_columns(F.dynamics_scores(self.pairs)),
            }
        )

    def waum(self, trust: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the trust-weighted AUM of each item (N,) and of each annotator (A,), NaN where nothing is known.

        Args:
            trust: (L,) p(annotator is right) of each annotation, such as ``CleanPass.p_right``.
        """
        aum, notes = F.dynamics_scores(self.pairs).aum.numpy(), self.annotations
        by_item = F.waum(aum, trust, notes.item, notes.num_items)
        return by_item, F.waum_per_annotator(aum, trust, notes.annotator, notes.num_annotators)


def _copy(sums: Mapping[str, Tensor]) -> F.DynamicsSums:
    return F.DynamicsSums(**{name: value.cpu().clone() for name, value in sums.items()})


def _columns(scores: F.DynamicsScores) -> dict[str, Any]:
    return {name: values.numpy() for name, values in scores._asdict().items()}
