"""Additive strengths of classes that participants see more of than was mixed in, and shrunk means per group."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hilmix.errors import DataError
from hilmix.functional.agreement import one_way
from hilmix.functional.clusters import FloatArray, IntArray, clustered_fit, t_quantile
from hilmix.functional.information import contrasts


class ClassStrengths(NamedTuple):
    """Strengths that sum to 0; a mix of c and d is seen ``strength[c] - strength[d]`` further towards c."""

    strength: FloatArray
    """(K,), in units of the weight."""
    low: FloatArray
    """(K,) lower ends of the intervals; NaN for fewer than two participants."""
    high: FloatArray

    def __call__(self, label1: IntArray, label2: IntArray) -> FloatArray:
        """Returns the expected deviation of each pair of classes, (M,) float64."""
        expected: FloatArray = self.strength[label1] - self.strength[label2]
        return expected


def class_strengths(
    deviation: ArrayLike,
    label1: IntArray,
    label2: IntArray,
    *,
    participant: ArrayLike,
    num_classes: int,
    level: float = 0.95,
) -> ClassStrengths:
    """Fits ``deviation = strength[label1] - strength[label2]`` by least squares, with strengths that sum to 0.

    The additive scale of Bradley and Terry, on deviations instead of wins. The intervals are cluster-robust over
    participants (:mod:`hilmix.functional.clusters`).

    Args:
        deviation: (M,) answer less generating weight (or less a curve of it), positive towards image 1.
        label1: (M,) int64 class of image 1, in [0, K).
        label2: (M,) int64 class of image 2.
        participant: (M,) whose answer it is, numbers or names.
        num_classes: K, all of which take part.
        level: of the intervals.

    Raises:
        DataError: if the mixes fall into sets of classes that were never mixed with each other, whose strengths can
            then not be compared.

    Example:
        >>> mixes = np.array([0, 1, 0]), np.array([1, 2, 2])
        >>> class_strengths([0.1, 0.4, 0.5], *mixes, participant=[0, 1, 2], num_classes=3).strength.round(3).tolist()
        [0.2, 0.1, -0.3]
    """
    y = np.asarray(deviation, dtype=np.float64)
    mixed = coo_array((np.ones(len(y)), (label1, label2)), shape=(num_classes, num_classes))
    # Each separate set of classes has a free constant of its own.
    parts, part = connected_components(mixed, directed=False)
    if parts > 1:
        apart = int(np.argmax(part != part[0]))
        raise DataError(
            f"class strengths: no chain of mixes joins class {apart} with class 0; their strengths cannot "
            "be compared. Leave out the classes that were not mixed."
        )
    classes = np.arange(num_classes)
    design = (label1[:, None] == classes).astype(np.float64) - (label2[:, None] == classes)
    _, cluster = np.unique(np.asarray(participant), return_inverse=True)
    # Strengths count up to a constant: K - 1 contrasts of sum 0 make the fit unique.
    effects = contrasts(num_classes)
    found = clustered_fit(design @ effects, y, cluster)
    strength: FloatArray = effects @ found.coefficients
    variance = np.diag(effects @ found.covariance @ effects.T)
    half = t_quantile(int(cluster.max()) + 1, level) * np.sqrt(np.maximum(variance, 0.0))
    return ClassStrengths(strength, strength - half, strength + half)


class ShrunkMeans(NamedTuple):
    """Means of groups, raw and drawn towards their common mean."""

    mean: FloatArray
    """(G,) raw, NaN without answers."""
    shrunk: FloatArray
    """(G,), the common mean without answers."""
    answers: IntArray
    """(G,) how many answers each group has."""
    centre: float
    """The common mean."""
    between: float
    """Variance of the groups' true means."""
    within: float
    """Variance of answers in a group."""


def shrunk_means(value: ArrayLike, group: IntArray, *, num_groups: int) -> ShrunkMeans:
    """Returns the empirical-Bayes means of groups, such as label pairs or images.

    With ``s_w`` the variance within groups and ``s_b`` the variance of their true means (one-way analysis of variance
    by moments, at least 0), the groups' own means m_g of n_g answers move towards the centre m:

        shrunk_g = m + B_g (m_g - m),   B_g = s_b / (s_b + s_w / n_g),   m = sum B_g m_g / sum B_g

    which are the posterior means of a normal model. Without variance between groups, all get the mean of the answers.

    Args:
        value: (M,) answers or deviations.
        group: (M,) int64 in [0, num_groups).
        num_groups: G.

    Raises:
        DataError: as :func:`~hilmix.functional.agreement.one_way`.

    Reference:
        Efron and Morris, JASA 70, 1975, section 2, with unequal variances and moment estimates.
    """
    x = np.asarray(value, dtype=np.float64)
    table = one_way(x, group, num_groups=num_groups)
    between, seen = table.group_variance, table.answers > 0
    # Infinite noise without answers gives trust 0, so such a group gets the centre.
    noise = np.divide(table.within, table.answers, out=np.full(num_groups, np.inf), where=seen)
    trust = np.divide(between, between + noise, out=np.zeros(num_groups), where=between + noise > 0)
    # Trust 0 times NaN would be NaN.
    mean = np.where(seen, table.mean, 0.0)
    centre = float(trust @ mean / trust.sum()) if trust.any() else float(x.mean())
    shrunk = centre + trust * (mean - centre)
    return ShrunkMeans(table.mean, shrunk, table.answers, centre, between, table.within)
