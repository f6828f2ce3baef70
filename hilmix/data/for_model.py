"""Data in the codes of a model: its classes and annotators, its split, and the annotations that it is trained on."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations, IntArray
from hilmix.data.fingerprint import (
    digest_content,
    fingerprint_annotations,
    fingerprint_contents,
    fingerprint_items,
    require_same_data,
)
from hilmix.data.items import AnnotatedData
from hilmix.data.model_names import ModelNames, RecodedData, read_model_names, recode_for_model
from hilmix.data.run_split import restore_split, save_split
from hilmix.data.splits import assign_splits, find_strata
from hilmix.data.targets import Targets
from hilmix.errors import ConfigError
from hilmix.functional.information import spread_or_one
from hilmix.types import UNKNOWN


class DataForModel:
    """A data set, read when first needed, in the codes of the model that was set last.

    Args:
        read: function that returns the data.
        targets: map the annotations to those that training learns from.
        val_fraction: see :func:`~hilmix.data.splits.assign_splits`.
        test_fraction: the same.
        split_seed: seed of the draw.
    """

    def __init__(
        self,
        read: Callable[[], AnnotatedData],
        targets: Targets,
        *,
        val_fraction: float | None,
        test_fraction: float,
        split_seed: int,
    ) -> None:
        self._read, self.targets = read, targets
        self._settings: dict[str, Any] = {
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "split_seed": split_seed,
        }
        self.trained_on: dict[str, Any] | None = None
        """State of the data that the model was trained on, where the data are evaluated and it is known."""
        self.names: ModelNames | None = None
        """Names behind the model's codes; None where the model is to be trained on these data."""

    def renewed(self) -> "DataForModel":
        """Return the same for data that are read anew."""
        return DataForModel(self._read, self.targets, **self._settings)

    def set_model(self, trained_on: dict[str, Any] | None, names: ModelNames | None = None) -> None:
        """Set the model whose codes the data are expressed in.

        Args:
            trained_on: :meth:`state` of the data that the model was trained on, if these are to be evaluated.
            names: of the model; default: those in ``trained_on``, else the data's own.

        Raises:
            RunError: if the data have a class that the model lacks, or another split of the model's items.
        """
        names = read_model_names(trained_on) if names is None else names
        if trained_on is not self.trained_on or names != self.names:
            # functools keeps a cached property in the instance's dictionary
            for cached in ("_recoded", "split", "train_annotations", "trained_annotators", "identity", "fingerprint"):
                self.__dict__.pop(cached, None)
        self.trained_on, self.names = trained_on, names
        # After the caches are cleared: the comparison reads the split, which is that of the new model.
        if trained_on is not None and "items" in trained_on:
            require_same_data(trained_on, self.identity, self.data.name)

    @cached_property
    def original(self) -> AnnotatedData:
        """The data in the codes of their own vocabularies."""
        return self._read()

    @cached_property
    def _recoded(self) -> RecodedData:
        return RecodedData(self.original, None) if self.names is None else recode_for_model(self.original, self.names)

    @property
    def data(self) -> AnnotatedData:
        """The data in the model's codes."""
        return self._recoded.data

    @property
    def annotator_ids(self) -> IntArray:
        """(A,) int64, the model's id of every annotator of the data, -1 if it was never seen in training."""
        known = self._recoded.known
        if known is None:  # a model of aggregates knows no annotator by name
            known = self.trained_annotators & (not self.targets.aggregates)
        return np.where(known, np.arange(len(known)), UNKNOWN)

    @property
    def target_ids(self) -> IntArray:
        """(A',) int64, the model's id of every annotator of ``train_annotations``, -1 if unknown."""
        if not self.targets.aggregates:
            return self.annotator_ids
        other = self.names is not None and len(self.names.annotators) > 0  # trained on single annotators before
        return np.array([UNKNOWN if other else 0])

    @cached_property
    def split(self) -> NDArray[np.str_]:
        """(N,) ``train``, ``val``, ``test``, or ``unused``; for the items of the model's run as that run drew it."""
        saved_split = None if self.trained_on is None else self.trained_on.get("drawn")
        return restore_split(self.original, self._new_split, saved_split, self._settings)

    @cached_property
    def _new_split(self) -> NDArray[np.str_]:
        settings: dict[str, Any] = dict(self._settings)
        seed = settings.pop("split_seed")
        # From the data as stored: in a model's codes classes may have another order, and the draw another result.
        strata = find_strata(self.original.annotations, self.original.target, seed=seed)
        return assign_splits(self.original.split, strata, **settings, seed=seed)

    @cached_property
    def train_annotations(self) -> Annotations:
        """Annotations that training learns from; their items are rows of the whole items table."""
        return self.targets.apply(self.data.annotations, self.data.target, self.rows("train"))

    @cached_property
    def trained_annotators(self) -> NDArray[np.bool_]:
        """(A,) whether the annotator labelled a training item."""
        votes = self.data.annotations
        seen = np.zeros(votes.num_annotators, dtype=bool)
        seen[votes.subset(self.rows("train")).annotator] = True
        return seen

    def rows(self, split: str) -> IntArray:
        """Return the rows of a split's items in the whole table."""
        return np.flatnonzero(self.split == split)

    def epoch_rows(self, repeat_explained: int) -> IntArray:
        """Return the rows of the items of an epoch, unshuffled: explained training items ``repeat_explained`` times.

        Raises:
            ConfigError: if there is nothing to repeat.
        """
        rows, masks = self.rows("train"), self.data.masks
        if repeat_explained == 1:
            return rows
        explained = rows[:0] if masks is None else rows[masks.marks(rows)]
        if not len(explained):
            raise ConfigError(
                f"`data.repeat_explained` must be 1, as no training item of {self.data.name} has a mask that marks "
                f"anything, got {repeat_explained}."
            )
        # One time less, as they are among `rows` already.
        return np.concatenate([rows, np.tile(explained, repeat_explained - 1)])

    def annotator_features(self) -> Tensor:
        """Return (A, F) float metadata of the annotators, standardised over those with a training label.

        Raises:
            ConfigError: if the model knows an annotator that the data hold none of.
        """
        features, annotators = self.data.annotator_features, self.data.annotations.annotators
        assert features is not None, "see AnnotatedDataModule.num_annotator_features"
        if (absent := np.isnan(features).any(1)).any():
            raise ConfigError(
                f"{self.data.name}: the model knows the annotator '{annotators[absent.argmax()]}', which has no row "
                "in annotators.csv. Add a row, or train a new model."
            )
        # float64: in float32 the mean of a large constant is off by rounding, which then passes for a deviation.
        seen = features[self.trained_annotators].astype(np.float64)
        return torch.from_numpy((features - seen.mean(0)) / spread_or_one(seen)).float()

    def content_digest(self, *, ordered: bool = False) -> str:
        """Return what the data are recognised by at another place; see :func:`~hilmix.data.fingerprint.digest_content`.

        Args:
            ordered: whether the order of an item's annotations counts, as in the files of older versions.
        """
        return digest_content(self.original, ordered=ordered)

    @property
    def saved_split(self) -> dict[str, Any] | None:
        """The split with the items' digests, as a checkpoint keeps it; None where all of it was given."""
        return save_split(self.original, self.split, self._settings)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Names, split, masks and groups, by which a checkpoint recognises the data."""
        return fingerprint_items(self.data, self.split)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that must be unchanged when training resumes; computed once, not at every checkpoint."""
        known = [True] if self.targets.aggregates else self.trained_annotators
        votes = fingerprint_annotations(self.train_annotations, known)
        votes |= fingerprint_contents(self.data, self.train_annotations)
        return {**self.identity, **votes, "aggregated": self.targets.aggregates, "drawn": self.saved_split}

    def state(self) -> dict[str, Any]:
        """Return, as plain values, what the model was trained on."""
        return dict(self.fingerprint if self.trained_on is None else self.trained_on)
