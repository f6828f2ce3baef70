"""Uncertainty of an aggregate: intervals for the accuracy of annotators, and the classes that an item may have."""

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import entries
from hilmix.functional.grouped import sum_by_group

_HALF = 0.5
"""Parameters of Jeffreys' prior of a probability."""


class Intervals(NamedTuple):
    """Result of :func:`accuracy_intervals`, (A,) float64 in [0, 1]."""

    low: FloatArray
    """Lower ends."""
    mean: FloatArray
    """Share of an annotator's labels that are right, as far as the posterior knows; 0.5 without labels."""
    high: FloatArray
    """Upper ends."""


def accuracy_intervals(votes: Votes, posterior: FloatArray, *, level: float = 0.95) -> Intervals:
    """Returns for each annotator an interval for the probability that a label of theirs is right.

    If the classes were known, the number r of right labels of n would give Jeffreys' interval, the quantiles of
    Beta(r + 1/2, n - r + 1/2). They are known up to ``posterior``, so that r is only expected; its variance by the law
    of total variance is n q (1 - q), of the labels, plus the sum of p (1 - p), of the classes. The interval is that of
    as many known labels as have this variance of q. It is as good as the posterior is calibrated: that of gold items
    always is; a model that takes dependent annotators for independent is too sure, and so is its interval.

    Args:
        votes: the annotations.
        posterior: (N, K) distributions over the true class, of any aggregator.
        level: the probability that it shall hold, in (0, 1).

    Raises:
        ConfigError: for a level outside (0, 1).

    Reference:
        L. D. Brown, T. T. Cai and A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16
        (2001), section 4.3.
    """
    _require_level(level)
    flat = entries(votes)
    right = posterior[flat.item, flat.label]

    def per_annotator(weight: FloatArray) -> FloatArray:
        return sum_by_group(weight, flat.annotator, votes.num_annotators)

    number, expected = per_annotator(flat.weight), per_annotator(flat.weight * right)
    unsure = per_annotator(flat.weight * right * (1 - right))
    mean = (expected + _HALF) / (number + 2 * _HALF)
    spread = mean * (1 - mean)
    known = number * np.divide(number * spread, number * spread + unsure, out=np.ones_like(mean), where=number > 0)
    share = np.divide(expected, number, out=np.full_like(mean, 0.5), where=number > 0)
    alpha, beta = known * share + _HALF, known * (1 - share) + _HALF
    tail = (1 - level) / 2
    low, high = scipy.special.betaincinv(alpha, beta, tail), scipy.special.betaincinv(alpha, beta, 1 - tail)
    # The share found is possible, which the quantiles leave out where hardly any label is wrong, or right.
    low, high = np.where(number > 0, np.minimum(low, share), 0), np.where(number > 0, np.maximum(high, share), 1)
    return Intervals(low, mean, high)


def label_sets(posterior: FloatArray, *, level: float = 0.95) -> NDArray[np.bool_]:
    """Returns (N, K) bool, the fewest classes of each item whose probabilities add up to the level.

    The true class is among them for at least that share of the items, if the posterior is calibrated.

    Args:
        posterior: (N, K) distributions over the true class; of classes of equal probability the first come first.
        level: in (0, 1).

    Raises:
        ConfigError: for a level outside (0, 1).

    Example:
        >>> label_sets(np.array([[0.6, 0.38, 0.02], [0.01, 0.0, 0.99]])).tolist()
        [[True, True, False], [False, False, True]]
    """
    _require_level(level)
    order = np.argsort(-posterior, axis=1, kind="stable")
    ordered = np.take_along_axis(posterior, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    chosen = np.zeros(posterior.shape, dtype=bool)
    # The sum before a class, not with it: the class that crosses the level is still needed.
    np.put_along_axis(chosen, order, before < level, axis=1)
    return chosen


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"Intervals: `level` must be in (0, 1), got {level}.")
