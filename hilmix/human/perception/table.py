"""A policy that looks up the answers to the mixes that were judged."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.errors import ConfigError, DataError
from hilmix.functional.agreement import one_way
from hilmix.human.functional.judgments import confidence_weighted_mean
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.judgments import FloatArray, IntArray, MixJudgments

Average = Literal["mean", "confidence", "shrunk"]

_BITS = 21  # twice, and once for the weight: 63 bits of an int64
_FINE = 2**20
_NEAR = 2  # in units of 1 / _FINE: weights are distinguished, and found again in single precision, to 2e-6


class ImageTable(Perception):
    """The share that participants saw of each judged mix, looked up by its two images and its weight, in either order.

    Not differentiable in the weight. Mixes that were not judged are left to ``fallback``.

    Args:
        id1: T images, each below 2,097,152.
        id2: T images.
        weight: T generating weights of image 1.
        seen: T shares of image 1 that participants saw, in [0, 1].
        sure: T mean confidences, NaN not allowed; null where it was not asked for.
        fallback: the policy for mixes that are not in the table; null refuses them, for which every call waits for
            the device.
    """

    keys: Tensor
    answers: Tensor
    sures: Tensor

    def __init__(
        self,
        id1: Sequence[int],
        id2: Sequence[int],
        weight: Sequence[float],
        seen: Sequence[float],
        sure: Sequence[float] | None = None,
        fallback: Perception | None = None,
    ) -> None:
        super().__init__()
        columns = {"id1": id1, "id2": id2, "weight": weight, "seen": seen} | ({} if sure is None else {"sure": sure})
        given = {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}
        for name, values in given.items():
            _check(name, values, len(weight))
        keys, turned = _keys(given["id1"].long(), given["id2"].long(), given["weight"])
        keys, order = keys.sort()
        # Nearer keys could not be distinguished at look-up.
        if len(keys) == 0 or (keys.diff() <= _NEAR).any():
            raise ConfigError("perception: the table is empty or has a mix twice (same images, weights within 2e-6).")
        # Stored for the image with the smaller id first, as keys are.
        answers = torch.where(turned, 1 - given["seen"], given["seen"])
        self.register_buffer("keys", keys)
        self.register_buffer("answers", answers[order].float())
        self.register_buffer("sures", None if sure is None else given["sure"][order].float())
        self.fallback = None if fallback is None else Perception.from_spec(fallback)
        self.participants = () if self.fallback is None else self.fallback.participants

    @classmethod
    def fit(cls, judgments: MixJudgments, *, average: Average = "mean", fallback: Perception | None = None) -> Self:
        """Returns the table of all judged mixes.

        Args:
            judgments: M judgments.
            average: over the answers to a mix: their ``mean``; weighted by ``confidence``, the plain mean where all
                are 0; or ``shrunk``, the mean drawn by empirical Bayes towards what the fallback says, the closer the
                fewer participants judged it.
            fallback: see the class.

        Raises:
            ConfigError: for an unknown average, or a shrunk one without a fallback.
            DataError: for judgments that cannot be used, or lack the confidence that the average needs.
        """
        if average not in _AVERAGES or (average == "shrunk" and fallback is None):
            raise ConfigError(
                f"perception: `average` must be one of {', '.join(_AVERAGES)}, and shrunk needs a `fallback`, got "
                f"'{average}'."
            )
        judgments = judgments.validate()
        judgments = judgments.swap_images(judgments.id1 > judgments.id2)
        _check("id2", torch.tensor(judgments.id2, dtype=torch.float64), len(judgments.id2))
        keys, _ = _keys(*(torch.tensor(v) for v in (judgments.id1, judgments.id2, judgments.weight)))
        _, first, group = np.unique(keys.numpy(), return_index=True, return_inverse=True)
        seen = _average(judgments, average, group, len(first), fallback)
        sure = (
            None if np.isnan(judgments.confidence).any() else _means(judgments.confidence, group, len(first)).tolist()
        )
        shown = judgments.take(first)
        columns = (shown.id1.tolist(), shown.id2.tolist(), shown.weight.tolist(), seen.tolist(), sure)
        return cls(*columns, fallback)

    def perceived_share(self, mixes: Mixes) -> Tensor:
        place, turned, known = self._find(mixes)
        share = self.answers[place].to(mixes.weight.dtype)
        share = torch.where(turned, 1 - share, share)
        if self.fallback is None:
            return share
        other = self.fallback.perceived_share(mixes)
        # The fallback may answer by class, (R, K, K); the table knows one share for all.
        by_class = (-1, *[1] * (other.ndim - 1))
        return torch.where(known.reshape(by_class), share.reshape(by_class), other)

    def uniform_share(self, mixes: Mixes) -> Tensor:
        if self.fallback is None:
            return super().uniform_share(mixes)
        return torch.where(self._find(mixes)[2], 0.0, self.fallback.uniform_share(mixes))

    def confidence(self, mixes: Mixes) -> Tensor:
        """Returns (R,) the mean confidence of those who judged each mix; what the fallback says of others.

        Raises:
            ConfigError: if confidence was not asked for, or the fallback does not predict it.
        """
        if self.sures is None:
            raise ConfigError(
                "ImageTable was fitted to judgments without confidence; give ConfidenceSmoothing a `line`."
            )
        place, _, known = self._find(mixes)
        sure = self.sures[place].to(mixes.weight.dtype)
        return sure if self.fallback is None else torch.where(known, sure, self.fallback.confidence(mixes))

    def _find(self, mixes: Mixes) -> tuple[Tensor, Tensor, Tensor]:
        """(R,) place in the table, whether the images have changed places there, whether it is there at all."""
        if mixes.id1 is None or mixes.id2 is None:
            raise ConfigError("ImageTable knows mixes by their images; these mixes come without id1 and id2.")
        key, turned = _keys(mixes.id1, mixes.id2, mixes.weight)
        # A rounded weight may lie on either side of its key: take the nearer of both neighbours.
        after = torch.searchsorted(self.keys, key).clamp_max(len(self.keys) - 1)
        before = (after - 1).clamp_min(0)
        place = torch.where((key - self.keys[before]).abs() < (key - self.keys[after]).abs(), before, after)
        # Larger ids would spill into the bits of the other fields, and might meet a key.
        known = ((key - self.keys[place]).abs() <= _NEAR) & (torch.maximum(mixes.id1, mixes.id2) < 2**_BITS)
        # Waits for the device, so only where there is no fallback.
        if self.fallback is None and not bool(known.all()):
            row = int((~known).nonzero()[0])
            raise DataError(
                f"row {row}: no judgment of the mix of the images {int(mixes.id1[row])} and {int(mixes.id2[row])} at "
                f"weight {float(mixes.weight[row]):g}. Name a fallback for such mixes."
            )
        return place, turned, known


_AVERAGES: tuple[Average, ...] = ("mean", "confidence", "shrunk")


def _keys(id1: Tensor, id2: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) int64 that tell images and weight of a mix, and whether the images had to change places for that."""
    turned = id1 > id2
    low, high = torch.minimum(id1, id2), torch.maximum(id1, id2)
    # Weights that are 0.1 and 1 - 0.9 in whatever precision become the same number, or its neighbour.
    fine = torch.round(torch.where(turned, 1 - weight, weight) * _FINE).long()
    return (((low << _BITS) + high) << _BITS) + fine, turned


def _check(name: str, values: Tensor, rows: int) -> None:
    if values.shape != (rows,):
        raise ConfigError(f"perception: {name} must have {rows} entries, as weight has, got {len(values)}.")
    top = 2**_BITS - 1 if name.startswith("id") else 1
    bad = (~((values >= 0) & (values <= top))).nonzero()
    if len(bad):
        row = int(bad[0])
        raise ConfigError(f"perception: {name}, row {row}: must be in [0, {top}], got {float(values[row]):g}.")


def _means(values: FloatArray, group: IntArray, groups: int) -> FloatArray:
    mean: FloatArray = np.bincount(group, values, groups) / np.bincount(group, minlength=groups)
    return mean


def _average(
    judgments: MixJudgments, average: Average, group: IntArray, groups: int, fallback: Perception | None
) -> FloatArray:
    mean = _means(judgments.answer, group, groups)
    if average == "shrunk" and fallback is not None:
        # Deviations from the fallback are shrunk, not answers, so that a mix with little evidence falls back on it.
        expected = fallback.predict(judgments)
        deviation = one_way(judgments.answer - expected, group, num_groups=groups)
        between = deviation.group_variance
        # tiny: 0 / 0 where answers vary neither between mixes nor within.
        trust = between / np.maximum(between + deviation.within / deviation.answers, np.finfo(np.float64).tiny)
        centre = _means(expected, group, groups)
        return np.clip(centre + trust * (mean - centre), 0.0, 1.0)
    if average == "confidence":
        _stated(judgments.confidence)
        weighted = confidence_weighted_mean(judgments.answer, judgments.confidence, group, num_groups=groups)
        # NaN where all confidences are 0.
        return np.where(np.isnan(weighted), mean, weighted)
    return mean


def _stated(confidence: NDArray[np.float64]) -> None:
    silent = np.flatnonzero(np.isnan(confidence))
    if len(silent):
        raise DataError(
            f"judgments confidence, row {silent[0]}: not stated; an average weighted by confidence needs all."
        )
