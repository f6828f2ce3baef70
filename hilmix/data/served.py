"""Data as the model that is served knows them: its codes, its split, and what training learns from."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations, IntArray
from hilmix.data.fingerprint import digest_content, identity, of_contents, of_votes, refuse_other_data
from hilmix.data.items import AnnotatedData
from hilmix.data.model_names import ModelNames, NamedData, read_model_names, recode_for_model
from hilmix.data.run_split import drawn_split, split_of_run
from hilmix.data.splits import assign_splits, strata_of
from hilmix.data.targets import Targets
from hilmix.errors import ConfigError
from hilmix.types import UNKNOWN


class ServedData:
    """One data set, read when first needed, in the codes of one model after the other.

    Args:
        read: returns the data.
        targets: what training learns from.
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
        self._settings = {"val_fraction": val_fraction, "test_fraction": test_fraction, "split_seed": split_seed}
        self.trained_on: dict[str, Any] | None = None
        """State of the data that the model was trained on, where the data are evaluated and it is known."""
        self.names: ModelNames | None = None
        """Names behind the model's codes; None where the model is to be trained on these data."""

    def serve(self, trained_on: dict[str, Any] | None, names: ModelNames | None = None) -> None:
        """Expresses the data in a model's codes.

        Args:
            trained_on: :meth:`state` of the data that the model was trained on, if these are to be evaluated.
            names: of the model; default: those in ``trained_on``, else the data's own.

        Raises:
            RunError: if the data have a class that the model lacks, or another split of the model's items.
        """
        names = read_model_names(trained_on) if names is None else names
        if trained_on is not self.trained_on or names != self.names:
            for cached in ("_named", "split", "train_annotations", "trained_annotators", "identity", "fingerprint"):
                self.__dict__.pop(cached, None)
        self.trained_on, self.names = trained_on, names
        if trained_on is not None and "items" in trained_on:
            refuse_other_data(trained_on, self.identity, self.data.name)

    @cached_property
    def own(self) -> AnnotatedData:
        """The data in their own codes."""
        return self._read()

    @cached_property
    def _named(self) -> NamedData:
        return NamedData(self.own, None) if self.names is None else recode_for_model(self.own, self.names)

    @property
    def data(self) -> AnnotatedData:
        """The data in the model's codes."""
        return self._named.data

    @property
    def annotator_ids(self) -> IntArray:
        """(A,) int64, the model's id of every annotator of the data, -1 if it was never seen in training."""
        known = self._named.known
        if known is None:  # a model of aggregates knows no annotator by name
            known = self.trained_annotators & (not self.targets.aggregates)
        return np.where(known, np.arange(len(known)), UNKNOWN)

    @property
    def target_ids(self) -> IntArray:
        """The same of the annotators of ``train_annotations``."""
        if not self.targets.aggregates:
            return self.annotator_ids
        other = self.names is not None and len(self.names.annotators) > 0  # trained on single annotators before
        return np.array([UNKNOWN if other else 0])

    @cached_property
    def split(self) -> NDArray[np.str_]:
        """(N,) ``train``, ``val``, ``test``, or ``unused``; for the items of the model's run as that run drew it."""
        drawn = None if self.trained_on is None else self.trained_on.get("drawn")
        return split_of_run(self.own, self._fresh_split, drawn, self._settings)

    @cached_property
    def _fresh_split(self) -> NDArray[np.str_]:
        settings: dict[str, Any] = dict(self._settings)
        seed = settings.pop("split_seed")
        strata = strata_of(self.own.annotations, self.own.target, seed=seed)
        return assign_splits(self.own.split, strata, **settings, seed=seed)

    @cached_property
    def train_annotations(self) -> Annotations:
        """What training learns from; the rows of the whole items table."""
        return self.targets.apply(self.data.annotations, self.data.target, self.rows("train"))

    @cached_property
    def trained_annotators(self) -> NDArray[np.bool_]:
        """(A,) whether the annotator labelled a training item."""
        votes = self.data.annotations
        seen = np.zeros(votes.num_annotators, dtype=bool)
        seen[votes.subset(self.rows("train")).annotator] = True
        return seen

    def rows(self, split: str) -> IntArray:
        """Rows of a split's items in the whole table."""
        return np.flatnonzero(self.split == split)

    def epoch_rows(self, repeat_explained: int) -> IntArray:
        """Rows of the items of an epoch, unshuffled: those of training, explained ones ``repeat_explained`` times.

        Raises:
            ConfigError: if there is nothing to repeat.
        """
        rows, masks = self.rows("train"), self.data.masks
        if repeat_explained == 1:
            return rows
        explained = rows[:0] if masks is None else rows[masks.marks(rows)]
        if not len(explained):
            raise ConfigError(
                f"data.repeat_explained is {repeat_explained}, but no training item of {self.data.name} has a mask "
                "that marks anything; allowed is 1."
            )
        return np.concatenate([rows, np.tile(explained, repeat_explained - 1)])

    def annotator_features(self) -> Tensor:
        """(A, F) float metadata of the annotators, standardised over those with a training label.

        Raises:
            ConfigError: if the model knows an annotator of whom the data hold none.
        """
        features, people = self.data.annotator_features, self.data.annotations.annotators
        assert features is not None, "see AnnotatedDataModule.num_annotator_features"
        if (absent := np.isnan(features).any(1)).any():
            raise ConfigError(
                f"{self.data.name}: the model knows the annotator '{people[absent.argmax()]}', of whom annotators.csv "
                "holds no metadata. Add a row, or train a new model."
            )
        seen = features[self.trained_annotators]
        std = seen.std(0)
        return torch.from_numpy((features - seen.mean(0)) / np.where(std > 1e-6, std, 1.0)).float()

    def content_digest(self, *, ordered: bool = False) -> str:
        """Return what the data are recognised by at another place; see :func:`~hilmix.data.fingerprint.digest_content`.

        Args:
            ordered: whether the order of an item's annotations counts, as in the files of older versions.
        """
        return digest_content(self.own, ordered=ordered)

    @property
    def drawn(self) -> dict[str, Any] | None:
        """The split with the items' digests, as a checkpoint keeps it; None where all of it was given."""
        return drawn_split(self.own, self.split, self._settings)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells the data apart."""
        return identity(self.data, self.split)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What must be the same where training goes on; made once, not at every checkpoint."""
        known = [True] if self.targets.aggregates else self.trained_annotators
        votes = of_votes(self.train_annotations, known)
        votes |= of_contents(self.data, self.train_annotations)
        return {**self.identity, **votes, "aggregated": self.targets.aggregates, "drawn": self.drawn}

    def state(self) -> dict[str, Any]:
        """Returns, as plain values, what the served model was trained on."""
        return dict(self.fingerprint if self.trained_on is None else self.trained_on)
