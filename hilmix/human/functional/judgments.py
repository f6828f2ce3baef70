"""Labels from judgments: the two published clamp rules, and two ways to weight answers by confidence."""

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import DataError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLAMP = 0.1
"""Mass shared by the classes that were neither named nor excluded, where the named ones already sum to 1."""


def clamp_hmix(
    top: IntArray, top_percent: FloatArray, second: IntArray, second_percent: FloatArray, *, impossible: BoolArray
) -> FloatArray:
    """Returns the soft labels of the H-Mix release, (M, K) float64 distributions.

    The named classes get their percents (the second overwrites the first where both are one class; a percent without
    a class, or a class without a percent, is ignored). With S their sum, k the number of positive ones and n the number
    of possible classes less k:

    * S < 1: the n other possible classes share the missing 1 - S
    * S = 1: they share :data:`CLAMP`
    * S > 1: they share :data:`CLAMP`, after each named class gave up a k-th of it, as far as it goes
    * n = 0: nothing is taken and nothing given

    and all is divided by the sum. A class that is named *and* ticked impossible keeps its percent; n is then too small
    by one, as in the release, so that the others share a little more.

    Args:
        top: (M,) most probable class.
        top_percent: (M,) in [0, 100].
        second: (M,) second class, -1 where none was named.
        second_percent: (M,) in [0, 100], NaN where none was typed.
        impossible: (M, K), True where the participant ruled the class out.

    Raises:
        DataError: naming the judgment and the argument that cannot be used, or that leaves no class any mass.

    Reference:
        Collins et al., Human-in-the-Loop Mixup, UAI 2023: reproduces all 216 labels of hmix_individ_soft_labels.json.
        Differs from the release: a negative n, which none of its judgments has, counts as 0.

    Example:
        >>> none = np.zeros((1, 4), dtype=bool)
        >>> clamp_hmix(np.array([0]), np.array([60.0]), np.array([1]), np.array([20.0]), impossible=none).round(2)
        array([[0.6, 0.2, 0.1, 0.1]])
    """
    named = _named(top, top_percent, second, second_percent, impossible)
    total, positive, others = _sizes(named, impossible)
    given_up = np.where((total > 1) & (others > 0), CLAMP / np.maximum(positive, 1), 0.0)
    kept = np.maximum(named - given_up[:, None], 0.0)
    rest = np.where(total < 1, 1 - named.sum(1), CLAMP)  # a sum of shares, as released: equal to the last bit
    return _filled(kept, named, rest, others, impossible)


def clamp_cifar10s(
    top: IntArray, top_percent: FloatArray, second: IntArray, second_percent: FloatArray, *, impossible: BoolArray
) -> FloatArray:
    """Returns the soft labels of the CIFAR-10S release ("T2 clamp, 10 %"), (M, K) float64 distributions.

    As :func:`clamp_hmix`, except where the percents reach 100: they are first divided by their sum S and then, if
    other classes are left (n > 0), scaled by 1 - :data:`CLAMP` so that those share exactly :data:`CLAMP`.

    Args:
        top: (M,) most probable class.
        top_percent: (M,) in [0, 100]. The CIFAR-10S release reads a typed 0 as 100; that is left to the reader of the
            file.
        second: (M,) second class, -1 where none was named.
        second_percent: (M,) in [0, 100], NaN where none was typed.
        impossible: (M, K), True where the participant ruled the class out.

    Raises:
        DataError: as :func:`clamp_hmix`.

    Reference:
        Collins, Bhatt and Weller, Eliciting and Learning with Soft Labels from Every Annotator, HCOMP 2022.
    """
    named = _named(top, top_percent, second, second_percent, impossible)
    total, _, others = _sizes(named, impossible)
    full = total >= 1
    # 1.0 where the scale is not used, since a total of 0 would warn of a division.
    scale = np.where(full, np.where(others > 0, 1 - CLAMP, 1.0) / np.where(full, total, 1.0), 1.0)
    return _filled(named * scale[:, None], named, np.where(full, CLAMP, 1 - total), others, impossible)


def confidence_weighted_mean(
    factor: FloatArray, confidence: FloatArray, group: IntArray, *, num_groups: int
) -> FloatArray:
    """Returns ``sum(f c) / sum(c)`` of every group, (num_groups,) float64, NaN where the confidences sum to 0.

    Args:
        factor: (M,) answers f, weight of image 1.
        confidence: (M,) stated confidence c in [0, 1].
        group: (M,) int64 stimulus of each answer, in [0, num_groups).
        num_groups: number of stimuli.
    """
    return _ratio(factor * confidence, confidence, group, num_groups)


def released_weighted_mean(
    factor: FloatArray, confidence: FloatArray, group: IntArray, *, num_groups: int
) -> FloatArray:
    """Returns ``mean(f c)`` of every group, (num_groups,) float64, NaN for a group without answers.

    What H-Mix was released with as its weighted relabel. It is no weighted mean: the confidences are not divided out,
    so every label moves towards image 2, on average by .13. For reproduction only; otherwise
    :func:`confidence_weighted_mean`.

    Args:
        factor: (M,) answers f, weight of image 1.
        confidence: (M,) stated confidence c in [0, 1].
        group: (M,) int64 stimulus of each answer, in [0, num_groups).
        num_groups: number of stimuli.
    """
    return _ratio(factor * confidence, np.ones_like(factor), group, num_groups)


def _ratio(numerator: FloatArray, denominator: FloatArray, group: IntArray, num_groups: int) -> FloatArray:
    above, below = (np.bincount(group, weights, minlength=num_groups) for weights in (numerator, denominator))
    mean: FloatArray = np.divide(above, below, out=np.full(num_groups, np.nan), where=below > 0)
    return mean


def _named(
    top: IntArray, top_percent: FloatArray, second: IntArray, second_percent: FloatArray, impossible: BoolArray
) -> FloatArray:
    """(M, K) shares of the named classes. Percents are summed before the division by 100: 29 + 71 is 100."""
    num_judgments, num_classes = impossible.shape
    for name, column, low, high in (
        ("top", top, 0, num_classes - 1),
        ("second", second, -1, num_classes - 1),
        ("top_percent", top_percent, 0, 100),
    ):
        _check(column, name, low, high)
    # NaN, no second class, would fail every comparison.
    _check(np.where(np.isnan(second_percent), 0.0, second_percent), "second_percent", 0, 100)
    percent = np.zeros((num_judgments, num_classes))
    percent[np.arange(num_judgments), top] = top_percent
    # After top: where both are one class, the second percent overwrites the first, as in the release.
    both = np.flatnonzero((second >= 0) & ~np.isnan(second_percent))
    percent[both, second[both]] = second_percent[both]
    empty = np.flatnonzero((percent.sum(1) == 0) & impossible.all(1))
    if len(empty):
        raise DataError(f"judgment {empty[0]} gives 0 percent and rules out every class; leave it out.")
    return percent / 100


def _check(column: NDArray[np.generic], name: str, low: int, high: int) -> None:
    values = np.asarray(column, dtype=np.float64)
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(bad):
        raise DataError(f"{name}, judgment {bad[0]}: must be in [{low}, {high}], got {values[bad[0]]:g}.")


def _sizes(named: FloatArray, impossible: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Sum S, number k of positive entries, number n of classes left, (M,) each."""
    positive = (named > 0).sum(1)
    # In percent: S = 1 has a rule of its own, and .29 + .71 must reach it exactly.
    total = (named * 100).sum(1) / 100
    # A named class that is also ticked impossible is subtracted twice, hence the floor at 0.
    return total, positive, np.maximum((~impossible).sum(1) - positive, 0)


def _filled(
    kept: FloatArray, named: FloatArray, rest: FloatArray, others: IntArray, impossible: BoolArray
) -> FloatArray:
    """Gives an n-th of ``rest`` to every possible class that was not named, and normalises."""
    # Where no class is left the mass stays untouched (n = 0), and a division by 0 would spread NaN.
    share = np.divide(rest, others, out=np.zeros_like(rest), where=others > 0)
    label = kept + np.where(~impossible & (named == 0), share[:, None], 0.0)
    normalised: FloatArray = label / label.sum(1, keepdims=True)
    return normalised
