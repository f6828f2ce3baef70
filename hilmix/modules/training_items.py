"""Labels and predictions of all training items, as tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from hilmix.clean_batches import clean_batches
from hilmix.functional.label_columns import PART_CELLS, LabelColumns
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.sizes import require_memory
from hilmix.types import Batch

_PER_ITEM, _PER_PART = 5, 6
"""Tables in float32 that an M step with the E step after it hold at once: (N, K), and those of a part of the labels."""


def require_em_memory(datamodule: Any, classes: int, *, out_of_fold: bool) -> None:
    """Refuses expectation maximisation whose tables would fill the memory, before any is made.

    Args:
        datamodule: has ``data`` and ``train_annotations``.
        classes: K.
        out_of_fold: whether the M step needs no posterior of each label at once.

    Raises:
        SizeError: with the gigabytes that are needed.
    """
    items, votes = len(datamodule.data), datamodule.train_annotations
    # Soft answers themselves, those of known annotators, and those outside a fold.
    per_pair = (not out_of_fold) + (2 + out_of_fold) * (votes.probs is not None)
    part = min(PART_CELLS, classes * votes.num_pairs)
    needed = 4 * (classes * (_PER_ITEM * items + per_pair * votes.num_pairs) + _PER_PART * part)
    require_memory("Expectation maximisation", needed, items=items, classes=classes)


def training_labels(datamodule: Any, device: torch.device, *, left_out: NDArray[np.bool_] | None) -> LabelColumns:
    """Returns every training label, with rows of the whole items table and the model's ids of annotators.

    Args:
        datamodule: has ``train_annotations`` and ``annotator_ids``.
        device: where the columns go.
        left_out: optional (N,) bool, items whose labels are not read.
    """
    votes = datamodule.train_annotations
    if left_out is not None:
        votes = votes.subset(~left_out)
    columns = (votes.item, datamodule.annotator_ids[votes.annotator], votes.label)
    item, annotator, label = (torch.from_numpy(column).to(device) for column in columns)
    probs = None if votes.probs is None else torch.from_numpy(votes.probs).to(device)
    return LabelColumns(item, annotator, label, probs)


@torch.no_grad()
def predict_training_items(
    module: LightningModule, datamodule: Any, predict: Callable[[Batch], Tensor], into: Tensor
) -> Tensor:
    """Returns predictions (N, K) of the un-mixed training items, equal on all ranks; zeros for the others.

    Args:
        module: put into evaluation mode for the pass.
        datamodule: of the module's trainer.
        predict: returns the (B, K) predictions of a batch.
        into: (N, K) zeros.
    """
    with evaluation_mode(module):
        for batch in clean_batches(module.trainer, datamodule.clean_dataloader("train")):
            into[batch.index] = predict(batch).to(into.dtype)
    # Clean loaders give each item to one rank alone, so the sum over ranks is a gather.
    return torch.as_tensor(module.trainer.strategy.reduce(into, reduce_op="sum"))
