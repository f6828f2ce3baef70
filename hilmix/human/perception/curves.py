"""Policies that look at the weight alone: the pixels' own (mixup), and one curve for all mixes."""

from typing import Self

import numpy as np
from torch import Tensor

from hilmix.errors import ConfigError
from hilmix.human.functional.curve_fits import Criterion, FittedKind, fit_curve
from hilmix.human.functional.perception import CURVES, CurveKind
from hilmix.human.functional.relabelling import ordered_curve
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.judgments import MixJudgments

CENTRES: dict[CurveKind, tuple[int, float]] = {
    "logit": (0, 0.0),
    "probit": (0, 0.0),
    "logistic": (1, 0.5),
    "logistic_anchored": (1, 0.5),
}
"""Index of a curve's centre among its parameters, and its value where swapping the images changes nothing."""
HMIX_LOGIT_SLOPE = 0.875
"""b of the centred logit curve, fitted to the infer answers of H-Mix (CIFAR-10, repeats left out). Not universal."""


class Identity(Perception):
    """Participants see what was mixed: the labels of mixup.

    Reference:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, equation 1.
    """

    @classmethod
    def fit(cls, judgments: MixJudgments) -> Self:
        """Returns the policy, whatever the judgments."""
        judgments.validate()
        return cls()

    def perceived_share(self, mixes: Mixes) -> Tensor:
        return mixes.weight


class GlobalCurve(Perception):
    """Participants see one curve of the weight, whatever the images.

    ``logit``, ``probit`` and ``logistic_anchored`` give pure images their own label, ``logistic`` does not.

    Which image is the first is arbitrary in training, so by default the curve is centred (``a = 0`` or ``x0 = .5``).
    A study shows its pairs in an order of its own (in H-Mix by class, and always with the first class at the same end
    of the slider), which is why its free fit is off the centre. With ``ordered`` that curve is applied as it was
    fitted, to the image whose class has the smaller number: good for reproducing a study, but it prefers classes by the
    place of their names.

    Args:
        kind: a name in :data:`~hilmix.human.functional.perception.CURVES`.
        parameters: of the curve, in its order. The default is the centred fit to H-Mix (CIFAR-10, not universal).
        ordered: whether the curve belongs to the image whose class comes first. If not, it must be centred.

    Reference:
        Collins et al., Human-in-the-Loop Mixup, UAI 2023. Differs from the paper: centred unless ``ordered``.
    """

    def __init__(
        self,
        kind: CurveKind = "logit",
        parameters: tuple[float, float] = (0.0, HMIX_LOGIT_SLOPE),
        ordered: bool = False,
    ) -> None:
        super().__init__()
        place, centre = CENTRES[kind]
        if not ordered and parameters[place] != centre:
            raise ConfigError(
                f"perception: the {kind} curve with the parameters {list(parameters)} depends on which image is called "
                f"the first. Give {centre:g} in place {place + 1}, or 'ordered: true' for pairs ordered by class."
            )
        self.kind, self.ordered = kind, ordered
        self.curve = (float(parameters[0]), float(parameters[1]))

    @classmethod
    def fit(
        cls,
        judgments: MixJudgments,
        *,
        kind: CurveKind = "logit",
        ordered: bool = False,
        criterion: Criterion = "likelihood",
    ) -> Self:
        """Returns the curve that fits the answers best.

        A centred curve is fitted to every judgment and its mirror image, whose best curve is centred. Mixes within a
        class have no order by class and do not take part in an ordered fit.

        Args:
            judgments: M judgments.
            kind: of the curve; the anchored logistic curve takes the parameters of the logistic fit.
            ordered: see the class.
            criterion: what the fit optimises.

        Raises:
            ConfigError: for an unknown kind or criterion.
            DataError: for judgments that cannot be used, or that do not determine the curve.
        """
        judgments = judgments.validate()
        if ordered:
            judgments = judgments.take(judgments.label1 != judgments.label2).sort_by_class()
        else:
            judgments = judgments.add_swapped()
        free: FittedKind = "logistic" if kind == "logistic_anchored" else kind
        # Every answer is a cluster of its own: intervals are not used, and an answer and its swapped copy cancel out.
        alone = np.arange(len(judgments.weight))
        found = list(fit_curve(free, judgments.weight, judgments.answer, alone, criterion=criterion).parameters)
        if not ordered:
            place, centre = CENTRES[kind]
            found[place] = centre  # where the fit is up to rounding
        return cls(kind, (found[0], found[1]), ordered)

    def perceived_share(self, mixes: Mixes) -> Tensor:
        first, second = self.curve
        if not self.ordered:
            return CURVES[self.kind](mixes.weight, first, second)
        # By class, (R, K, K): with soft labels either class may come first.
        return ordered_curve(self.kind, mixes.weight, first, second, num_classes=mixes.label1.shape[1])

    def extra_repr(self) -> str:
        """The curve, for users."""
        return f"{self.kind}, parameters={list(self.curve)}, ordered={self.ordered}"
