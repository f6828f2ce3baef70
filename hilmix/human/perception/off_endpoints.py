"""A policy with label mass on classes that neither image shows."""

from typing import Self

import numpy as np
from scipy.optimize import curve_fit
from torch import Tensor

from hilmix.checks import Positive, Share
from hilmix.errors import ConfigError, DataError
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.judgments import FloatArray
from hilmix.human.perception.smoothing import Smoothed

HMIX_OFF = (0.419, 2.74)
"""Mass off both classes at the even weight, and the power of its fall: fitted to the categorical answers of H-Mix (200
answers of eight participants, CIFAR-10). Not universal."""


class OffEndpoints(Smoothed):
    """The label of another policy, with a mass ``m = middle (1 - |2 w - 1|^power)`` on neither of both classes.

    Asked for classes, not for a weight, participants name others too: two thirds of the mass or less lie on the classes
    that were mixed. The rest is spread over all classes alike, so that those off the endpoints get m: the uniform share
    is ``m K / (K - 2)``, at most 1. Pure images keep the label of the policy.

    Args:
        policy: says how what is left is shared by the two images.
        middle: mass off both classes at the even weight, in [0, 1]. The default is the fit to H-Mix.
        power: positive; how suddenly the mass falls towards pure images.

    Reference:
        Collins et al., Human-in-the-Loop Mixup, UAI 2023, section 4.3.2, for the data; the curve is ours.
    """

    def __init__(self, policy: Perception, middle: Share = HMIX_OFF[0], power: Positive = HMIX_OFF[1]) -> None:
        super().__init__(policy)
        self.middle, self.power = float(middle), float(power)

    @classmethod
    def fit(cls, weight: FloatArray, off: FloatArray, *, policy: Perception) -> Self:
        """Returns the curve of least squares.

        Args:
            weight: (M,) float64 generating weight of each answer.
            off: (M,) float64 in [0, 1], mass of the answer's label on neither of both classes.
            policy: fitted already.

        Raises:
            DataError: for values out of range, or at fewer than two distances from the even weight.
        """
        side = np.abs(2 * np.asarray(weight, dtype=np.float64) - 1)
        mass = np.asarray(off, dtype=np.float64)
        # Masses are sums of shares, which rounding may push past 1.
        inside = (side >= 0) & (side <= 1) & (np.abs(mass - 0.5) <= 0.5 + 1e-9)
        if side.shape != mass.shape or not inside.all():
            raise DataError("mass off the endpoints: weights and masses must be of equal number and in [0, 1].")
        # Weights w and 1 - w have one distance, up to the last bits.
        if len(np.unique(side.round(9))) < 2:
            raise DataError(
                f"mass off the endpoints: {len(side)} answers at fewer than two distances from the even weight, which "
                "the curve needs."
            )
        # Bounds: at power 0 no weight has mass, so that the middle is not determined; at 50 the curve is already
        # constant but for its ends.
        (middle, power), _ = curve_fit(_off, side, mass, p0=(0.5, 1.0), bounds=((0.0, 0.05), (1.0, 50.0)))
        return cls(policy, float(middle), float(power))

    def added_share(self, mixes: Mixes) -> Tensor:
        classes = mixes.label1.shape[1]
        if classes < 3:
            raise ConfigError(f"perception: OffEndpoints needs K >= 3 classes, got {classes}.")
        off = self.middle * (1 - (2 * mixes.weight - 1).abs() ** self.power)
        # The uniform share also covers the two classes: K / (K - 2) of the mass leaves it whole on the others.
        return (off * classes / (classes - 2)).clamp_max(1)

    def confidence(self, mixes: Mixes) -> Tensor:
        """Returns (R,) what the policy says of it."""
        return self.policy.confidence(mixes)

    def extra_repr(self) -> str:
        """The curve, for users."""
        return f"{self.middle:.1%} in neither class at the even weight, power={self.power:.3g}"


def _off(side: FloatArray, middle: Share, power: Positive) -> FloatArray:
    mass: FloatArray = middle * (1 - side**power)
    return mass
