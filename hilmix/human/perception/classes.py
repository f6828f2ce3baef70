"""Policies that look at the weight and the classes: strengths of classes, and a curve for each pair of them."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from hilmix.errors import ConfigError, DataError
from hilmix.functional.information import contrasts, find_coordinates
from hilmix.human.functional.logit_fits import fit_logit, shrunk_logit
from hilmix.human.functional.perception import logit_curve
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.curves import GlobalCurve
from hilmix.human.perception.judgments import FloatArray, MixJudgments

Centre = Literal["curve", "strengths"]

HMIX_STRENGTHS = (-0.223, 0.305, -0.054, -0.194, -0.236, 0.001, -0.004, 0.256, -0.079, 0.229)
"""Strengths of the CIFAR-10 classes airplane to truck, fitted to the infer answers of H-Mix (repeats left out): deer
and airplanes hide in a mix, automobiles, horses and trucks show through."""
HMIX_STRENGTHS_SLOPE = 0.886
"""The slope that belongs to them."""


class _ClassCurves(Perception):
    """Participants see ``s(A_cd + b_cd logit w)``, for hard labels; its expectation over both labels for soft ones.

    A changes its sign and b stays when c and d change places, so that it does not matter which image is the first.
    The classes of the two images count as independent, also where an image with a soft label is its own partner.
    """

    offset: Tensor
    """(K, K) A."""
    slope: Tensor
    """(K, K) b, or () for all."""

    def perceived_share(self, mixes: Mixes) -> Tensor:
        if mixes.label1.shape[1] != len(self.offset):
            raise ConfigError(
                f"perception: labels must have {len(self.offset)} classes, those that {type(self).__name__} was fitted "
                f"to, got {mixes.label1.shape[1]}."
            )
        return logit_curve(mixes.weight[:, None, None], self.offset, self.slope)


class ClassStrengths(_ClassCurves):
    """Some classes show through more than others: ``s(b logit w + t_c - t_d)`` for a mix of c and d.

    The scale of Bradley and Terry, with the pixels' weight as a handicap. On the logit scale it stays between 0 and 1
    and leaves pure images alone.

    Args:
        strengths: K numbers t; only their differences matter.
        slope: b; below 1, participants shrink from the ends.
    """

    def __init__(self, strengths: Sequence[float], slope: float) -> None:
        super().__init__()
        t = torch.tensor(list(strengths), dtype=torch.float32)
        self.register_buffer("offset", t[:, None] - t[None, :])
        self.register_buffer("slope", torch.tensor(float(slope)))

    @classmethod
    def fit(cls, judgments: MixJudgments) -> Self:
        """Returns the strengths, of sum 0, and the slope of the greatest quasi-likelihood.

        Args:
            judgments: M judgments; mixes within a class tell the slope only.

        Raises:
            DataError: for judgments that cannot be used, do not join all classes by a chain of mixes, or do not
                determine the strengths.
        """
        judgments = judgments.validate()
        hot = np.eye(judgments.num_classes)
        # Strengths count up to a constant: K - 1 contrasts of sum 0 in their place, and the slope makes K columns.
        effects = contrasts(judgments.num_classes)
        design = np.column_stack([_log_odds(judgments), (hot[judgments.label1] - hot[judgments.label2]) @ effects])
        if find_coordinates(design).rows.shape[1] < judgments.num_classes:
            raise DataError(
                f"class strengths: a chain of mixes must join all {judgments.num_classes} classes, and one weight "
                "differ from 0.5. Leave out the classes that were not mixed, or collect more judgments."
            )
        found = fit_logit(design, judgments.answer)
        return cls((effects @ found[1:]).tolist(), float(found[0]))


class LabelPairs(_ClassCurves):
    """Every pair of classes has a logit curve of its own.

    Args:
        offsets: K x K numbers A, ``A_dc = -A_cd``: how far a mix of c and d at even weights is seen towards c.
        slopes: K x K numbers b, ``b_dc = b_cd``.
    """

    def __init__(self, offsets: Sequence[Sequence[float]], slopes: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.register_buffer("offset", _table("offsets", offsets, sign=-1))
        self.register_buffer("slope", _table("slopes", slopes, sign=1))
        if self.offset.shape != self.slope.shape:
            raise ConfigError(
                f"perception: `offsets` and `slopes` must have equal shapes, got {tuple(self.offset.shape)} and "
                f"{tuple(self.slope.shape)}."
            )

    @classmethod
    def fit(cls, judgments: MixJudgments, *, towards: Centre = "curve") -> Self:
        """Returns the curves of the pairs, drawn by empirical Bayes towards a simpler policy of the same answers.

        The less a pair was judged, and the less pairs differ from the simpler policy, the closer it is to that, which
        a pair without judgments has; see :func:`~hilmix.human.functional.logit_fits.shrunk_logit`.

        Args:
            judgments: M judgments; mixes within a class tell the global slope only.
            towards: the centred global ``curve``, or class ``strengths``, which held-out answers of H-Mix prefer.

        Raises:
            ConfigError: for another name.
            DataError: for judgments that cannot be used, or that do not determine the simpler policy.
        """
        if towards not in ("curve", "strengths"):
            raise ConfigError(f"perception: `towards` must be curve or strengths, got '{towards}'.")
        judgments, size = judgments.validate(), judgments.num_classes
        # Index 1 of the centred logit curve is its slope; index 0, the offset, is 0.
        common, slope = np.zeros((size, size)), GlobalCurve.fit(judgments).curve[1]
        if towards == "strengths":
            strengths = ClassStrengths.fit(judgments)
            common, slope = strengths.offset.double().numpy(), float(strengths.slope)
        # One group per unordered pair: answers are turned so that image 1 has the smaller class.
        judgments = judgments.take(judgments.label1 != judgments.label2).sort_by_class()
        x = _log_odds(judgments)
        found = shrunk_logit(
            np.column_stack([np.ones_like(x), x]),
            common[judgments.label1, judgments.label2] + slope * x,
            judgments.answer,
            judgments.label1 * size + judgments.label2,
            num_groups=size * size,
        )
        offset, extra = found.deviation.T.reshape(2, size, size)  # 0 below the diagonal, as pairs are ordered
        return cls((common + offset - offset.T).tolist(), (slope + extra + extra.T).tolist())


def _log_odds(judgments: MixJudgments) -> FloatArray:
    """(M,) logit of the weights, none of which may be 0 or 1."""
    ends = np.flatnonzero((judgments.weight == 0) | (judgments.weight == 1))
    if len(ends):
        raise DataError(
            f"judgments weight, row {ends[0]}: {judgments.weight[ends[0]]:g}; every logit curve is 0 and 1 at the pure "
            "images. Leave their answers out."
        )
    odds: FloatArray = logit(judgments.weight)
    return odds


def _table(name: str, values: Sequence[Sequence[float]], *, sign: int) -> Tensor:
    lengths = {len(row) for row in values}
    if lengths != {len(values)}:
        raise ConfigError(f"perception: {name} must be square, got {len(values)} rows of {sorted(lengths)} numbers.")
    table = torch.tensor([list(row) for row in values], dtype=torch.float64)
    wrong = (table != sign * table.T).nonzero()
    if len(wrong):
        c, d = wrong[0].tolist()
        raise ConfigError(
            f"perception: {name} of the classes {c}, {d} and {d}, {c} must be {'equal' if sign > 0 else 'opposite'}, "
            f"so that either image may be the first, got {table[c, d]:g} and {table[d, c]:g}."
        )
    return table.float()
