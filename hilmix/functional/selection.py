"""Selective prediction: the confidence from which errors stay below a risk, certified on held-out items."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
"""Probability with which the risk is kept, over draws of the held-out items."""


def smallest_sample(risk: float, *, level: float = LEVEL) -> int:
    """Returns the number of items without any error that certifies a risk: (1 - risk)^n <= 1 - level.

    Example:
        >>> smallest_sample(0.05)
        59
    """
    return math.ceil(math.log(1 - level) / math.log(1 - risk))


def find_threshold(
    confidence: NDArray[np.floating], wrong: NDArray[np.bool_], risk: float, *, level: float = LEVEL
) -> float | None:
    """Returns the lowest confidence from which predictions have at most this share of errors, None if there is none.

    Thresholds are tested from the highest down, each by the upper confidence bound of Clopper and Pearson for the share
    of errors above it, until one fails. As the order is fixed beforehand, no correction for the number of tests is due.

    Args:
        confidence: (M,) largest class probability of held-out items, which the model was not trained on.
        wrong: (M,) whether the prediction is wrong.
        risk: allowed share of errors, in (0, 1).
        level: probability with which it is kept.

    Reference: A. N. Angelopoulos et al., Learn then Test, 2021, section 2.2 (fixed sequence testing) with the exact
    binomial test; Y. Geifman and R. El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017, for the
    use.

    Example:
        >>> confidence = np.linspace(0, 1, 101)
        >>> find_threshold(confidence, confidence < 0.3, risk=0.05)
        0.27
    """
    order = np.argsort(-confidence, kind="stable")
    score, errors = confidence[order], np.cumsum(wrong[order])
    count = np.arange(1, len(score) + 1)
    # Items of equal confidence are accepted together, and too few cannot pass whatever they show.
    ends = np.append(score[1:] != score[:-1], True) & (count >= smallest_sample(risk, level=level))
    bound = stats.beta.ppf(level, errors[ends] + 1, count[ends] - errors[ends])
    bound = np.where(errors[ends] == count[ends], 1.0, bound)  # the quantile is not defined there
    # Stops at the first failure: tests in a fixed order keep the level together, a later success would be a second try.
    passing = np.logical_and.accumulate(bound <= risk)
    return float(score[ends][passing.sum() - 1]) if passing.any() else None
