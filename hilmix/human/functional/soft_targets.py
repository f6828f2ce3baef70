"""Scores of predictions where the truth is a distribution over the classes, such as the votes of many participants.

All but :func:`soft_cross_entropy`, which is also a loss, compute in float64. Logarithms are natural.
"""

import math

import torch
from torch import Tensor

from hilmix.functional.calibration import sum_dtype

_ROUNDING = 32
"""Units of rounding by which the entropies of one distribution may differ, its classes in any order."""


def soft_cross_entropy(log_probs: Tensor, target_probs: Tensor) -> Tensor:
    """Returns ``-sum_k t_k log p_k`` of every sample, (B,) of the type of ``log_probs``.

    Classes without target mass count nothing, whatever their prediction. What no prediction can go below is the
    entropy of the target.

    Args:
        log_probs: (B, K) float log-probabilities, -inf allowed.
        target_probs: (B, K) float target distributions.

    Example:
        >>> probs = torch.tensor([[0.5, 0.5, 0.0]])
        >>> soft_cross_entropy(probs.log(), torch.tensor([[0.25, 0.75, 0.0]]))
        tensor([0.6931])
    """
    return _expectation(target_probs.to(log_probs.dtype), -log_probs)


def kl_divergence(log_probs: Tensor, target_probs: Tensor) -> Tensor:
    """Returns KL(t || p) of every sample, (B,) float64: the cross-entropy above the target's entropy.

    Args:
        log_probs: (B, K) float log-probabilities of the prediction p, -inf allowed.
        target_probs: (B, K) float target distributions t.

    Example:
        >>> target = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
        >>> kl_divergence(target.log(), target).item()
        0.0
    """
    target = _double(target_probs)
    # 0 log 0 is NaN here, and _expectation drops it.
    return _expectation(target, target.log() - _double(log_probs))


def entropy(probs: Tensor) -> Tensor:
    """Returns the entropy of every distribution, (B,) float64 in [0, log K].

    Args:
        probs: (B, K) float.

    Example:
        >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [0.0, 0.6931471805599453]
    """
    each: Tensor = torch.special.entr(_double(probs))
    return each.sum(-1)


def entropy_correlation(probs: Tensor, target_probs: Tensor) -> Tensor:
    """Returns Pearson's correlation between the entropies of predictions and targets, a float64 scalar.

    Whether the model doubts where participants disagree. NaN where either entropy is the same for all samples up to
    rounding, as that of one-hot targets, and for fewer than two samples.

    Args:
        probs: (B, K) float predictions.
        target_probs: (B, K) float target distributions.

    Example:
        >>> sure, unsure, torn = [1.0, 0.0], [0.9, 0.1], [0.5, 0.5]
        >>> entropy_correlation(torch.tensor([sure, unsure, torn]), torch.tensor([sure, unsure, torn])).item()
        1.0
    """
    both = torch.stack([entropy(probs), entropy(target_probs)])
    # Correlating rounding noise would give any number in [-1, 1].
    if any(map(_constant, both, (probs.dtype, target_probs.dtype))):
        return both.new_full((), math.nan)
    return torch.corrcoef(both)[0, 1]


def total_variation(probs: Tensor, target_probs: Tensor) -> Tensor:
    """Returns half the L1 distance between prediction and target of every sample, (B,) float64 in [0, 1].

    It is also their Wasserstein distance if any two classes are 1 apart.

    Args:
        probs: (B, K) float predictions.
        target_probs: (B, K) float target distributions.

    Example:
        >>> total_variation(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.25, 0.75]])).item()
        0.75
    """
    return (_double(probs) - _double(target_probs)).abs().sum(-1) / 2


def _expectation(probs: Tensor, value: Tensor) -> Tensor:
    """Returns the mean of (B, K) values under (B, K) probabilities, (B,); a value of probability 0 may be infinite."""
    return torch.where(probs == 0, 0.0, probs * value).sum(-1)


def _constant(values: Tensor, dtype: torch.dtype) -> bool:
    """Returns whether (M,) values, computed from numbers of ``dtype``, differ by no more than their rounding."""
    if not len(values):
        return True
    least, most = values.aminmax()
    return bool(most - least <= _ROUNDING * torch.finfo(dtype).eps * most)


def _double(x: Tensor) -> Tensor:
    return x.to(sum_dtype(x.device))
