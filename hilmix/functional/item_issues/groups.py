"""Rare classes, groups whose labels a model understands less, and properties that give the label away."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ttest_ind_from_stats

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray

RARE = 0.1
"""Share of an equal share below which a class is rare, as in cleanlab's Datalab."""
WEAK = 0.8
"""Share of the others' mean quality below which a group can count as underperforming."""


def rare_classes(label: IntArray, num_classes: int) -> NDArray[np.bool_]:
    """Returns which classes have labels, but fewer than a tenth of an equal share, (K,) bool.

    Args:
        label: (N,) int64 in [0, K), -1 for none.
        num_classes: K.
    """
    count = np.bincount(label[label >= 0], minlength=num_classes)
    rare: NDArray[np.bool_] = (count > 0) & (count < RARE * count.sum() / num_classes)
    return rare


class GroupQuality(NamedTuple):
    """Quality of the items of each group against that of all others. Fields are (G,)."""

    items: IntArray
    quality: FloatArray
    """Mean; NaN for an empty group."""
    ratio: FloatArray
    """Mean over that of all other items."""
    p_value: FloatArray
    """One-sided, of Welch's test that the group is no worse; not corrected for the number of groups."""
    underperforming: NDArray[np.bool_]
    """Whether the ratio is below 0.8, and the p-value below 0.05 over the number of groups."""


def group_quality(quality: FloatArray, group: IntArray, num_groups: int) -> GroupQuality:
    """Returns how well a model does on each group.

    Args:
        quality: (N,) such as the self-confidence of the labels, of out-of-fold predictions; NaN is left out.
        group: (N,) int64 in [0, G), from metadata or clusters of features; -1 for none.
        num_groups: G.
    """
    known = ~np.isnan(quality)
    x, inside = quality[known], group[known] >= 0
    place = group[known][inside]
    count = np.bincount(place, minlength=num_groups)
    total: FloatArray = np.bincount(place, x[inside], minlength=num_groups).astype(np.float64)
    squares: FloatArray = np.bincount(place, x[inside] ** 2, minlength=num_groups).astype(np.float64)
    mean, deviation = _moments(count, total, squares)
    # The others' moments by subtraction: a pass per group would take G times as long.
    other, other_deviation = _moments(len(x) - count, x.sum() - total, (x**2).sum() - squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = ttest_ind_from_stats(
            mean, deviation, count, other, other_deviation, len(x) - count, equal_var=False, alternative="less"
        ).pvalue
        ratio = mean / other
    p_value = np.asarray(p_value, dtype=np.float64)
    weak = (ratio < WEAK) & (p_value < 0.05 / max(int((count > 0).sum()), 1))
    return GroupQuality(count, mean, ratio, p_value, weak)


def _moments(count: IntArray, total: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and sample deviations, NaN for too few."""
    mean = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    spread = np.maximum(squares - count * mean**2, 0)
    return mean, np.sqrt(np.divide(spread, count - 1, out=np.full(len(count), np.nan), where=count > 1))


class Association(NamedTuple):
    """Association of a property with the label."""

    strength: float
    """Cramer's V without its bias, in [0, 1]; NaN where either is constant."""
    p_value: float
    """Of the chi-squared test of independence."""


def label_association(value: IntArray, label: IntArray) -> Association:
    """Returns how much a property of items says of their labels: a shortcut that a network may learn.

    Args:
        value: (N,) integers, at least 0, such as groups or :func:`quantile_bins` of a number; -1 unknown.
        label: (N,) int64 classes, -1 for none.

    Reference:
        Bergsma, Journal of the Korean Statistical Society 42, 2013 (bias correction).
    """
    known = (value >= 0) & (label >= 0)
    rows, columns = (np.unique(v[known], return_inverse=True) for v in (value, label))
    r, c, n = len(rows[0]), len(columns[0]), int(known.sum())
    if r < 2 or c < 2:
        return Association(np.nan, np.nan)
    table = np.bincount(rows[1] * c + columns[1], minlength=r * c).reshape(r, c)
    # No continuity correction: Cramer's V is defined by the plain statistic.
    test: Any = chi2_contingency(table, correction=False)
    # Bergsma's correction: of independent variables with many values V itself is far above 0.
    phi = max(test.statistic / n - (r - 1) * (c - 1) / (n - 1), 0)
    shorter = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return Association(float(np.sqrt(phi / shorter)) if shorter > 0 else np.nan, float(test.pvalue))


def quantile_bins(value: FloatArray, *, bins: int = 10) -> IntArray:
    """Returns the quantile bin of each number, (N,) int64, -1 for NaN; equal numbers share a bin.

    Args:
        value: (N,) numbers.
        bins: most bins.
    """
    known = ~np.isnan(value)
    found = np.full(len(value), -1, dtype=np.int64)
    if known.any():
        # Unique, as several quantiles of a value that occurs often are equal and would leave empty bins.
        edges = np.unique(np.quantile(value[known], np.arange(1, bins) / bins))
        found[known] = np.searchsorted(edges, value[known], side="right")
    return found
