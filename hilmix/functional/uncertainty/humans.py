"""Predictions against the label distributions of human panels, without the bias of panels of few labels.

P (B, K) are class probabilities, H (B, K) the shares of a panel's labels, n (B,) the number of its labels.
"""

import math

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from hilmix.functional.calibration import sum_dtype


def soft_hits(probs: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the confidence (B,) of the predicted class and the share of labels that name it (B,).

    As the hits of :func:`~hilmix.functional.calibration.bin_sums` they give the soft-target ECE: expected hits in place
    of one draw, hence the same mean and less variance.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.
    """
    confidence, predicted = probs.max(-1)
    return confidence, shares.gather(-1, predicted[:, None]).squeeze(-1)


def total_variation(probs: Tensor, shares: Tensor) -> Tensor:
    """Returns half the absolute differences, DistCE, (B,) float64 in [0, 1].

    Of a panel of n labels it is too large by about the square root of K / n, for which no unbiased form exists; compare
    models on the same panels, or use :func:`squared_distance`.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.

    Reference:
        Baan et al., Stop Measuring Calibration When Humans Disagree, EMNLP 2022, equation 4.
    """
    dtype = sum_dtype(probs.device)
    return (probs.to(dtype) - shares.to(dtype)).abs().sum(-1) / 2


def squared_distance(probs: Tensor, shares: Tensor, labels: Tensor) -> Tensor:
    """Returns unbiased estimates of the squared distance from the population's shares, (B,) float64; may be negative.

    sum_k (P - H)^2 - H (1 - H) / (n - 1): the mean over panels is that of a panel without end.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.
        labels: (B,) number of labels; NaN is returned for fewer than two.
    """
    dtype = sum_dtype(probs.device)
    h, n = shares.to(dtype), labels.to(dtype)
    plug_in = (probs.to(dtype) - h).square().sum(-1)
    return torch.where(n > 1, plug_in - (h * (1 - h)).sum(-1) / (n - 1).clamp(min=1), math.nan)


def entropy_difference(probs: Tensor, shares: Tensor, labels: Tensor | None = None) -> Tensor:
    """Returns the entropy of the prediction less that of the panel in nats, EntCE, (B,) float64.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.
        labels: (B,) number of labels; adds the (classes seen - 1) / (2 n) by which a panel's entropy is too low, up to
            log K. None: as published.

    Reference:
        Baan et al., EMNLP 2022, equation 5; correction: Miller, 1955.
    """
    return _entropy(probs.to(sum_dtype(probs.device))) - panel_entropy(shares, labels)


def _entropy(probs: Tensor) -> Tensor:
    """(B,) entropies in nats."""
    entropy: Tensor = torch.special.entr(probs).sum(-1)
    return entropy


def panel_entropy(shares: Tensor, labels: Tensor | None = None) -> Tensor:
    """Returns the entropy of panels in nats, (B,) float64, corrected for their size where it is given.

    Args:
        shares: (B, K) shares of labels.
        labels: (B,) number of labels.
    """
    entropy = _entropy(shares.to(sum_dtype(shares.device)))
    if labels is None:
        return entropy
    # Miller and Madow: the entropy of n labels is too small by (classes seen - 1) / 2n.
    missing = ((shares > 0).sum(-1) - 1).clamp(min=0) / (2 * labels.clamp(min=1))
    return (entropy + missing).clamp(max=math.log(shares.shape[-1]))


def entropy_correlation(probs: Tensor, shares: Tensor, labels: Tensor | None = None) -> float:
    """Returns the rank correlation over items of the entropies of prediction and panel, NaN where either is constant.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.
        labels: (B,) number of labels, see :func:`entropy_difference`; panels of different sizes need it.
    """
    predicted = _entropy(probs.double()).cpu().numpy()
    # Panels with the same shares in another order tie; their sums differ by rounding.
    human = panel_entropy(shares, labels).cpu().numpy().round(9)
    if len(human) < 2 or not np.ptp(predicted) or not np.ptp(human):
        return float("nan")
    return float(spearmanr(predicted, human).statistic)


def jensen_shannon(probs: Tensor, shares: Tensor) -> Tensor:
    """Returns the Jensen-Shannon divergence in nats, (B,) float64 in [0, log 2].

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.
    """
    dtype = sum_dtype(probs.device)
    p, h = probs.to(dtype), shares.to(dtype)
    return _entropy((p + h) / 2) - (_entropy(p) + _entropy(h)) / 2


def ranking_agreement(probs: Tensor, shares: Tensor) -> Tensor:
    """Returns whether prediction and panel rank the classes alike, RankCS, (B,) bool.

    Classes with equal shares may be predicted in any order, since a small panel names most classes never.

    Args:
        probs: (B, K) class probabilities.
        shares: (B, K) shares of labels.

    Reference:
        Baan et al., EMNLP 2022, equation 3. Differs from the paper, where ties of the panel are broken by class.
    """
    order = probs.argsort(dim=-1, descending=True, stable=True)
    return (shares.gather(-1, order).diff(dim=-1) <= 0).all(-1)
