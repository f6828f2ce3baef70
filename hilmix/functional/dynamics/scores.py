"""Scores of training dynamics, and the weighted margins of peerannot over the annotations of an item."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hilmix.functional.annotator_quality import FloatArray, IntArray
from hilmix.functional.dynamics.sums import DynamicsSums
from hilmix.functional.grouped import mean_by_group


class DynamicsScores(NamedTuple):
    """Scores of N rows, (N,) float64, NaN for rows without a visit."""

    aum: Tensor
    """Area under the margin: mean of the label's logit less the largest other one. Low: mislabelled."""
    el2n: Tensor
    """Mean distance of the probabilities from the one-hot label. High: hard or mislabelled. Meant for early epochs."""
    confidence: Tensor
    """Cartography: mean probability of the label."""
    variability: Tensor
    """Cartography: population standard deviation of it. High: ambiguous."""
    correctness: Tensor
    """Cartography: share of visits at which the label was predicted."""
    aleatoric: Tensor
    """Data-IQ: mean of p (1 - p). High: ambiguous by nature; low with low confidence: mislabelled."""
    forgetting: Tensor
    """Number of visits at which a label that was predicted before no longer was. Infinite: never learned."""
    flips: Tensor
    """Number of changes of the predicted class."""
    first_learned: Tensor
    """First visit, from 0, at which the label was predicted. Infinite: never learned."""
    last_loss: Tensor
    """Cross-entropy of the last visit."""


def dynamics_scores(sums: DynamicsSums) -> DynamicsScores:
    """Returns the scores of every row.

    Args:
        sums: after the epochs that count.

    Reference:
        AUM: Pleiss et al., NeurIPS 2020. EL2N: Paul et al., NeurIPS 2021. Cartography: Swayamdipta et al., EMNLP 2020.
        Data-IQ: Seedat et al., NeurIPS 2022. Forgetting: Toneva et al., ICLR 2019, which also counts a label that was
        never learned as forgotten infinitely often.
    """
    visits = sums.visits.double()
    seen = visits > 0

    def mean(total: Tensor) -> Tensor:
        return torch.where(seen, total.double() / visits.clamp(min=1), torch.nan)

    p, variance = torch.where(seen, sums.p.double(), torch.nan), mean(sums.p_spread).clamp(min=0)
    never = sums.learned < 0

    def learned(value: Tensor) -> Tensor:
        return torch.where(seen, torch.where(never, torch.inf, value.double()), torch.nan)

    return DynamicsScores(
        aum=mean(sums.margin),
        el2n=mean(sums.el2n),
        confidence=p,
        variability=variance.sqrt(),
        correctness=mean(sums.right),
        # E[p (1 - p)] = E[p] - Var[p] - E[p]^2: nothing else needs to be kept.
        aleatoric=p - variance - p.square(),
        forgetting=learned(sums.forgotten),
        flips=torch.where(seen, sums.flips.double(), torch.nan),
        first_learned=learned(sums.learned),
        last_loss=torch.where(seen, sums.loss.double(), torch.nan),
    )


def aum_cutoff(aum: Tensor, threshold_rows: Tensor, *, quantile: float = 0.99) -> float:
    """Returns the AUM below which labels count as mislabelled: a quantile of rows that were given a fake extra class.

    Args:
        aum: (N,) of :func:`dynamics_scores`.
        threshold_rows: (T,) int64 rows, about N / (K + 1), whose label in training was the fake class K.
        quantile: of their AUM.

    Returns:
        NaN where none of them was visited.

    Reference:
        Pleiss et al., NeurIPS 2020, section 3.2.
    """
    fake = aum[threshold_rows]
    fake = fake[~fake.isnan()]
    return float(torch.quantile(fake, quantile)) if len(fake) else float("nan")


def waum(aum: FloatArray, trust: FloatArray, item: IntArray, num_items: int) -> FloatArray:
    """Returns the mean AUM of an item's annotations, weighted by trust in each annotator, (N,) float64.

    Args:
        aum: (L,) of each annotation; NaN, of one without a visit, is left out.
        trust: (L,) at least 0: sum over the classes of p(class) times the annotator's p(right | class), see
            ``p_right``.
        item: (L,) int64 in [0, N).
        num_items: N.

    Returns:
        NaN without an annotation of positive trust.

    Reference:
        Lefort et al., Identify ambiguous tasks combining crowdsourced labels by weighting AUM, TMLR 2024, equation 5.
    """
    return _weighted_mean(aum, trust, item, num_items)


def waum_per_annotator(aum: FloatArray, trust: FloatArray, annotator: IntArray, num_annotators: int) -> FloatArray:
    """Returns the trust-weighted mean AUM of an annotator's annotations, (A,) float64, NaN without any.

    Args:
        aum: (L,) of each annotation; NaN is left out.
        trust: (L,) at least 0, see :func:`waum`.
        annotator: (L,) int64 in [0, A).
        num_annotators: A.

    Reference:
        Lefort et al., TMLR 2024; peerannot's ``WAUM_perworker``.
    """
    return _weighted_mean(aum, trust, annotator, num_annotators)


def _weighted_mean(value: FloatArray, weight: FloatArray, group: IntArray, size: int) -> FloatArray:
    # An annotation that was never visited has no margin; its trust must not count either.
    known = ~np.isnan(value)
    return mean_by_group(value[known], group[known], size, weight=weight[known])
