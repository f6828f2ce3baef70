"""Base of the data module: sizes, rows and statistics of its data, as models, callbacks and config links read them."""

import numpy as np
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations, IntArray
from hilmix.data.for_model import DataForModel
from hilmix.data.items import AnnotatedData
from hilmix.data.run_split import digest_items
from hilmix.data.statistics import input_activity, input_statistics
from hilmix.data.targets import Targets


class DataInterface(LightningDataModule):
    """Sizes, rows and statistics of annotated data, in the codes of the model at hand.

    A subclass sets the fields: ``data`` may be read when it is first needed.
    """

    data: AnnotatedData
    targets: Targets
    for_model: DataForModel
    split_seed: int

    @property
    def split(self) -> NDArray[np.str_]:
        """(N,) ``train``, ``val``, ``test`` or ``unused``; a model's own items keep the split of its run."""
        return self.for_model.split

    @property
    def train_annotations(self) -> Annotations:
        """Annotations that training learns from; their items are rows of the whole items table."""
        return self.for_model.train_annotations

    @property
    def num_classes(self) -> int:
        """K."""
        return self.data.annotations.num_classes

    @property
    def num_annotators(self) -> int:
        """A, as the annotator model sees it: one, if votes are aggregated."""
        return 1 if self.targets.aggregates else self.data.annotations.num_annotators

    @property
    def num_annotator_features(self) -> int:
        """F, width of the annotators' metadata, 0 if there are none or votes are aggregated."""
        features = self.data.annotator_features
        return 0 if features is None or self.targets.aggregates else features.shape[1]

    @property
    def has_masks(self) -> bool:
        """True if any training item has a mask."""
        return self.data.masks is not None and bool(self.data.masks.explained[self.rows("train")].any())

    @property
    def num_groups(self) -> int:
        """G, evaluation groups of the items, 0 if there are none."""
        return len(self.data.groups)

    def annotator_features(self) -> Tensor:
        """Return (A, F) float metadata of the annotators, standardised over those with a training label."""
        return self.for_model.annotator_features()

    @property
    def input_shape(self) -> list[int]:
        """(C, H, W) or (D,)."""
        return list(self.data.inputs.shape)

    @property
    def trained_annotators(self) -> NDArray[np.bool_]:
        """(A,) whether the annotator labelled a training item."""
        return self.for_model.trained_annotators

    @property
    def annotator_ids(self) -> IntArray:
        """(A,) the model's id of every annotator of the data, -1 if it was never seen in training."""
        return self.for_model.annotator_ids

    def rows(self, split: str) -> IntArray:
        """Return the rows of a split's items in the whole table."""
        return self.for_model.rows(split)

    @property
    def item_digests(self) -> IntArray:
        """(N,) int64 digests of the items' names, by which a model knows its items in other data."""
        return digest_items(self.data.items)

    def input_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of the training inputs after ``as_float``, per channel (C,) or feature (D,)."""
        return input_statistics(self.data.inputs, self.rows("train"), seed=self.split_seed)

    def input_activity(self) -> Tensor:
        """Return the share of values of the training inputs that are not 0, per channel (C,) or feature (D,)."""
        return input_activity(self.data.inputs, self.rows("train"), seed=self.split_seed)
