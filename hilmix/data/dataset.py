"""Items of one split as a torch data set that fetches whole batches."""

from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from hilmix.annotations import Annotations, IntArray
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import MaskAggregation
from hilmix.functional.random import step_seed
from hilmix.types import Batch

Augmentation = Literal["none", "crop-flip", "resized-crop-flip"]


class ItemDataset(Dataset[Batch]):
    """Some items of a data set with their annotations; ``__getitems__`` fetches and collates a whole batch.

    Args:
        data: all items.
        rows: (n,) rows of the items of this split in the whole table; a row may stand several times.
        annotations: the annotations that batches carry; their items are rows of the whole table.
        annotator_ids: (A,) int64, the model's id of every annotator, -1 for one never seen in training.
        augment: ``crop-flip`` pads by an eighth, crops back and flips; ``resized-crop-flip`` crops at random
            scale. Both need images; draws depend on the seed, the epoch, the item, and which of its places in ``rows``
            it is. Masks move with their image.
        masks: how masks of several annotators are combined; see :meth:`~hilmix.data.masks.Masks.fetch`.
        seed: seed of the run.
    """

    def __init__(
        self,
        data: AnnotatedData,
        rows: IntArray,
        annotations: Annotations,
        *,
        annotator_ids: IntArray,
        augment: Augmentation = "none",
        masks: MaskAggregation = "union",
        seed: int = 0,
    ) -> None:
        self.data, self.rows, self.annotations = data, rows, annotations
        self.annotator_ids, self.masks, self.seed = annotator_ids, masks, seed
        self._augment = _build_augmentation(augment, data.inputs.shape)

    @property
    def augments(self) -> bool:
        """True if each batch is augmented, which costs more than fetching it."""
        return self._augment is not None

    @cached_property
    def _draw(self) -> IntArray:
        """(n,) number that seeds the augmentation of each position: its row, or another one for a repeated row."""
        copy: IntArray = pd.Series(self.rows).groupby(self.rows).cumcount().to_numpy()
        # A row's copies draw other augmentations, or repeating an explained item would only weigh it more.
        return self.rows + copy * len(self.data)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return the batch of these positions; a position may carry its epoch, see :class:`EpochSampler`."""
        # A batch at a time: 2.7 times as fast as fetching single items and collating them.
        epoch, position = np.divmod(np.asarray(positions), len(self.rows))
        index = self.rows[position]
        inputs = self.data.inputs.fetch(index)
        mask = None if self.data.masks is None else self.data.masks.fetch(index, self.masks)
        if self._augment is not None:
            inputs, mask = self._augment_batch(inputs, mask, epoch, self._draw[position])
        row, pair = self.annotations.gather(index)
        votes = self.annotations
        return Batch(
            input=inputs,
            index=torch.from_numpy(index),
            target=torch.from_numpy(self.data.target[index]),
            row=torch.from_numpy(row),
            annotator=torch.from_numpy(self.annotator_ids[votes.annotator[pair]]),
            label=torch.from_numpy(votes.label[pair]),
            probs=None if votes.probs is None else torch.from_numpy(votes.probs[pair]),
            confidence=None if votes.confidence is None else torch.from_numpy(votes.confidence[pair]),
            mask=mask,
            group=torch.from_numpy(self.data.group[index]) if self.data.groups else None,
        )

    def _augment_batch(
        self, images: Tensor, masks: Tensor | None, epoch: IntArray, draw: IntArray
    ) -> tuple[Tensor, Tensor | None]:
        assert self._augment is not None
        # Written in place: a list of tensors and a stack would hold the batch twice.
        moved = torch.empty_like(images)
        moved_masks = None if masks is None else torch.empty_like(masks)
        # Without a worker this runs in the main process, whose other draws must not shift. No devices: their states
        # need not be kept, and asking for them would initialise CUDA in a worker.
        with torch.random.fork_rng(devices=[]):
            for i in range(len(images)):
                # only the host's generator: torch.manual_seed formats a stack trace for every device not yet in use
                torch.default_generator.manual_seed(step_seed(self.seed, int(epoch[i]), int(draw[i]), stream="augment"))
                if masks is None or moved_masks is None:
                    moved[i] = self._augment(images[i])
                else:  # a tv_tensors.Mask would be resized to the nearest pixel, but masks may be grey
                    pair = tv_tensors.Image(images[i]), tv_tensors.Image(masks[i])
                    moved[i], moved_masks[i] = self._augment(*pair)
        return moved, moved_masks


def _build_augmentation(name: Augmentation, shape: tuple[int, ...]) -> v2.Transform | None:
    if name == "none":
        return None
    height, width = shape[1:]
    if name == "crop-flip":
        # An eighth is the 4 pixels of CIFAR recipes.
        crop = v2.RandomCrop((height, width), padding=max(1, min(height, width) // 8), padding_mode="reflect")
    else:
        crop = v2.RandomResizedCrop((height, width), scale=(0.35, 1.0), antialias=True)
    return v2.Compose([crop, v2.RandomHorizontalFlip()])


def pass_batch(batch: Batch) -> Batch:
    """Return the batch unchanged: the data set has collated it already."""
    return batch
