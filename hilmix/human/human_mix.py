"""Mixup with the labels that participants would give to the mixes."""

from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from hilmix.annotations import Annotations
from hilmix.errors import ConfigError
from hilmix.functional.mixing import Alpha, draw_partners, draw_weights, partner_rows
from hilmix.human.functional.image_statistics import STATISTICS as STATISTICS_COLUMNS, image_statistics
from hilmix.human.perception import GlobalCurve, Mixes, Perception
from hilmix.mix.base import MixPolicy
from hilmix.types import UNKNOWN, Batch, MixPlan

STATISTICS = "statistics"


class HumanMix(MixPolicy):
    """Two items are mixed as in :class:`~hilmix.mix.ItemMix`; their labels by a perception policy.

    Every answer is asked anew of the blend: with the share that its annotator sees of the item, it counts on the mixed
    row of the item and on that of which the item is the partner; what participants see in neither item is spread over
    all classes. The annotator model then says how this annotator would have called it, so that any annotator model, and
    EMClassifier, can be trained on what is perceived. Annotators who took part in the study that the policy was fitted
    to, by their names, are given their own curves (:class:`~hilmix.human.perception.ParticipantCurves`). A soft answer
    counts with one share, the mean over its classes and those of the other item.

    The other item's class is what its answers say, as a distribution; an item without answers may be anything.

    Args:
        perception: what participants see in mixes; by default the curve fitted to H-Mix. A saved policy:
            ``{class_path: hilmix.human.perception.SavedPerception, init_args: {file: PATH}}``.
        alpha: parameter of the Beta(alpha, alpha) distribution of the weights, one weight per item.
        features: for policies that look at the images: ``statistics``
            (:func:`~hilmix.human.functional.image_statistics.image_statistics`), computed from the images of the batch,
            or a ``.npy`` file with a row for each item of the data, in their order.

    Raises:
        ConfigError: when training begins, if the policy does not fit the classes of the data or needs features that it
            is not given, or if the file of features cannot be used.

    Reference:
        Collins et al., "Human-in-the-Loop Mixup", UAI 2023, for perceived labels of mixes. Differs from the paper: all
        mixes that training makes are relabelled, by a fitted policy, not some mixes by the participants who saw them.
    """

    def __init__(
        self,
        perception: Perception | None = None,
        alpha: Alpha = 1.0,
        features: str | None = None,
    ) -> None:
        self.perception = GlobalCurve() if perception is None else Perception.from_spec(perception)
        self.alpha = float(alpha)
        self.features = features
        self._num_classes: int | None = None
        self._participant: Tensor | None = None
        self._table: Tensor | None = None

    def bind(self, annotations: Annotations) -> None:
        self._num_classes = annotations.num_classes
        places = {name: place for place, name in enumerate(self.perception.participants)}
        if places and not annotations.exchangeable:
            self._participant = torch.tensor([places.get(name, UNKNOWN) for name in annotations.annotators])
        if self.features not in (None, STATISTICS):
            self._table = _read_features(Path(self.features), annotations.num_items)
        with torch.no_grad():  # raises on a policy that does not fit the data before the first step
            self.perception.to("cpu").shares(self._probe_mixes())

    def _probe_mixes(self) -> Mixes:
        # An even mix of two unknown images: legal for every policy that fits the classes.
        label = torch.full((1, self._num_classes or 0), 0.5)
        item = torch.zeros(1, dtype=torch.int64)
        width = len(STATISTICS_COLUMNS) if self._table is None else self._table.shape[1]
        features = None if self.features is None else torch.zeros(1, width)
        return Mixes(label, label, torch.full((1,), 0.5), item, item, None, features, features)

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan:
        items, device = len(batch.index), batch.row.device
        partner, weight = draw_partners(items, generator), draw_weights(items, self.alpha, generator)
        mixes = self.build_mixes(batch, partner.to(device), weight.to(device))
        with torch.no_grad():
            # A mix policy is no submodule of the model, so Lightning does not move its tensors.
            own, _, uniform = self.perception.to(device).shares(mixes).unbind(1)
        # On each row the uniform masses that both items bring are averaged by the weights of the mix.
        return MixPlan(partner, weight, shares=torch.stack([own, mixes.weight * uniform], 1))

    def build_mixes(self, batch: Batch, partner: Tensor, weight: Tensor) -> Mixes:
        """Returns the 2L mixes of the annotations: on the row of their item, and of its host.

        Image 1 is always the item of the annotation.

        Args:
            batch: not yet mixed.
            partner: (B,) int64 permutation.
            weight: (B,) float share of the row's own item.

        Raises:
            ConfigError: before :meth:`bind`, or if features are not available.
        """
        if self._num_classes is None:
            raise ConfigError("HumanMix needs the classes of the data. Call bind(annotations) before the first batch.")
        row, host = batch.row, partner_rows(batch.row, partner)
        labels = one_hot(batch.label, self._num_classes).to(weight) if batch.probs is None else batch.probs.to(weight)
        votes = torch.bincount(row, minlength=len(partner)).to(weight)[:, None]
        summed = weight.new_zeros(len(partner), self._num_classes).index_add_(0, row, labels)
        # An item without annotations may be of any class; clamp_min only avoids the 0 / 0 that where discards.
        label = torch.where(votes > 0, summed / votes.clamp_min(1), 1 / self._num_classes)
        item, mate = row.repeat(2), torch.cat([partner[row], host])
        participant, features = self._participants(batch.annotator), self._features(batch)
        return Mixes(
            # The L annotations on the rows of their own items, then the same on the rows of their hosts.
            labels.repeat(2, 1),
            label[mate],
            torch.cat([weight[row], 1 - weight[host]]),
            batch.index[item],
            batch.index[mate],
            None if participant is None else participant.repeat(2),
            None if features is None else features[item],
            None if features is None else features[mate],
        )

    def _participants(self, annotator: Tensor) -> Tensor | None:
        """(L,) places among the participants of the study, -1 for any other annotator."""
        if self._participant is None:
            return None
        self._participant = self._participant.to(annotator.device)
        # An unknown annotator, -1, reads the last entry; where discards it.
        return torch.where(annotator < 0, UNKNOWN, self._participant[annotator])

    def _features(self, batch: Batch) -> Tensor | None:
        """(B, D) of the items."""
        if self.features is None:
            return None
        if self._table is not None:
            self._table = self._table.to(batch.index.device)
            return self._table[batch.index]
        if batch.input.ndim != 4 or batch.input.shape[1] != 3:
            raise ConfigError(
                f"mix: inputs must be RGB images of the shape (3, H, W) for features: {STATISTICS}, got the shape "
                f"{tuple(batch.input.shape[1:])}. Give a .npy file of features."
            )
        return image_statistics(batch.input.float())


def _read_features(file: Path, items: int) -> Tensor:
    try:
        # A pickle could run code.
        table = np.load(file, allow_pickle=False)
    # np.load parses the header as Python and unpacks archives: these are the errors of damaged files.
    except (OSError, EOFError, ValueError, SyntaxError, MemoryError, BadZipFile, TokenError) as error:
        raise ConfigError(
            f"mix: HumanMix cannot read the features '{file}': {error}. Give '{STATISTICS}' or a .npy file."
        ) from error
    # np.load gives an archive object for .npz files under any name.
    if not (isinstance(table, np.ndarray) and table.dtype.kind in "fiu"):
        found = getattr(table, "dtype", "an archive of arrays")
        raise ConfigError(f"mix: the features '{file}' must be one array of numbers in a .npy file, got {found}.")
    if table.ndim != 2 or len(table) != items or not np.isfinite(table).all():
        raise ConfigError(
            f"mix: the features '{file}' must be finite numbers of the shape ({items}, D), a row per item of the data, "
            f"got the shape {table.shape}."
        )
    return torch.from_numpy(table.astype(np.float32))
