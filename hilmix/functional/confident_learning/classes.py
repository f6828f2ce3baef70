"""Label noise by class, pairs of classes that overlap, and the share of right labels, from the estimated joint."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.confident_learning.joint import FloatArray, IntArray

_LOWEST = 1e-6


class ClassQuality(NamedTuple):
    """Label noise of each class. Fields are (K,)."""

    issues: IntArray
    """Estimated number of samples with this label whose true class is another."""
    missing: IntArray
    """Estimated number of samples of this class that have another label."""
    label_noise: FloatArray
    """p(true class is another | this label)."""
    missing_rate: FloatArray
    """p(another label | this class)."""
    quality: FloatArray
    """1 - ``label_noise``."""


def class_quality(joint: FloatArray, num_samples: int) -> ClassQuality:
    """Returns the label noise of each class.

    Args:
        joint: (K, K) of :func:`~hilmix.functional.confident_learning.estimate_joint`, at [label, true].
        num_samples: number of labels.
    """
    given, true, right = joint.sum(axis=1), joint.sum(axis=0), joint.diagonal()
    noise = (given - right) / np.maximum(given, _LOWEST)
    return ClassQuality(
        ((given - right) * num_samples).round().astype(np.int64),
        ((true - right) * num_samples).round().astype(np.int64),
        noise,
        (true - right) / np.maximum(true, _LOWEST),
        1 - noise,
    )


def overlapping_classes(joint: FloatArray, *, directed: bool = False) -> tuple[IntArray, IntArray, FloatArray]:
    """Returns the pairs of classes that are taken for each other and the share of samples, the largest first.

    Args:
        joint: (K, K) of :func:`~hilmix.functional.confident_learning.estimate_joint`, at [label, true].
        directed: (label, true class) pairs instead of sets of two, whose two shares are added.

    Returns:
        ``a`` (P,) and ``b`` (P,) int64, ``share`` (P,) float64; ties in the order of the classes.
    """
    k = len(joint)
    if directed:
        a, b = (axis[~np.eye(k, dtype=bool)] for axis in np.indices((k, k)))
        share = joint[a, b]
    else:
        a, b = np.triu_indices(k, 1)
        share = joint[a, b] + joint[b, a]
    # Stable: pairs of equal share, such as all that never occur, stay in the order of the classes.
    order = np.argsort(-share, kind="stable")
    return a[order].astype(np.int64), b[order].astype(np.int64), share[order]


def label_health(num_issues: int, num_samples: int) -> float:
    """Returns the estimated share of right labels in [0, 1], NaN for none.

    Args:
        num_issues: see :func:`~hilmix.functional.confident_learning.count_issues`.
        num_samples: number of labels.
    """
    return 1 - num_issues / num_samples if num_samples else float("nan")
