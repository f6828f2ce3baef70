"""Confident learning on arrays: which labels are wrong, which classes are noisy, which are taken for each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.checks import check_choice
from hilmix.diagnostics.clean_pass import PREDICTIONS
from hilmix.diagnostics.columns import named
from hilmix.errors import ConfigError, DataError
from hilmix.functional import confident_learning as cl
from hilmix.functional.label_errors import normalized_margin, self_confidence
from hilmix.functional.sizes import row_chunks

Probs = NDArray[np.floating[Any]]
_SUM_TOLERANCE = {np.dtype(np.float16): 0.05}
"""Sums of probabilities may differ from 1 by rounding: much in float16, little (1e-3) else."""


class LabelHealth(NamedTuple):
    """Label noise of a data set, estimated by confident learning."""

    score: float
    """Estimated share of right labels, in [0, 1]; NaN without labels."""
    issues: int
    """Number of labels that confidently belong to another class and contradict the prediction."""
    classes: pd.DataFrame
    """One row per class, the noisiest first: ``class``, ``labels``, ``threshold`` and the fields of
    :class:`~hilmix.functional.confident_learning.ClassQuality`."""
    pairs: pd.DataFrame
    """One row per pair of classes, those most often taken for each other first: ``class_a``, ``class_b``, ``share``,
    ``samples``."""
    joint: NDArray[np.float64]
    """(K, K) estimate of p(label = k, true class = c) at [k, c]."""


def label_health(
    probs: Probs,
    label: IntArray,
    *,
    predictions: str,
    classes: Sequence[str] | None = None,
    force: bool = False,
) -> LabelHealth:
    """Estimates the label noise of a data set, of each class and of each pair of classes.

    Args:
        probs: (M, K) class probabilities of the item of each label; may be a memory map.
        label: (M,) int64 in [0, K).
        predictions: how ``probs`` were made: ``out-of-fold``, ``held-out`` or ``in-sample``.
        classes: K names; by default their numbers.
        force: accept in-sample predictions, by which nearly every label looks right.

    Raises:
        ConfigError: for in-sample predictions without ``force``.
        DataError: for arrays that do not fit together or are no distributions.
    """
    require_unseen(predictions, force=force)
    check_labels(probs, label)
    names = _names(classes, probs.shape[1])
    sums = cl.threshold_sums(probs, label)
    thresholds = cl.class_thresholds(sums)
    joint = cl.confident_joint(cl.confident_counts(probs, label, thresholds))
    share = cl.estimate_joint(joint, sums.samples)
    issues = int(cl.off_diagonal(probs, label, thresholds).sum())
    quality = cl.class_quality(share, len(label))
    columns = {"class": list(names), "labels": sums.samples, "threshold": thresholds, **quality._asdict()}
    by_class = pd.DataFrame(columns).sort_values("quality", kind="stable", ignore_index=True)
    a, b, overlap = cl.overlapping_classes(share)
    pairs = pd.DataFrame(
        {
            "class_a": named(a, names),
            "class_b": named(b, names),
            "share": overlap,
            "samples": (overlap * len(label)).round().astype(np.int64),
        }
    )
    return LabelHealth(cl.label_health(issues, len(label)), issues, by_class, pairs, share)


def label_issue_table(
    probs: Probs,
    label: IntArray,
    *,
    predictions: str,
    by: cl.IssueFilter = "noise_rate",
    classes: Sequence[str] | None = None,
    force: bool = False,
) -> pd.DataFrame:
    """Scores every label and marks those that are probably wrong.

    Args:
        probs: (M, K) class probabilities of the item of each label; may be a memory map.
        label: (M,) int64 in [0, K).
        predictions: how ``probs`` were made, as of :func:`label_health`.
        by: filter that decides ``is_issue``, see :func:`~hilmix.functional.confident_learning.find_label_issues`.
        classes: K names; by default their numbers.
        force: accept in-sample predictions, by which nearly every label looks right.

    Returns:
        One row per label in the order given: ``label``, ``predicted``, ``is_issue``, ``self_confidence``, ``margin``,
        ``confidence_weighted_entropy`` (all scores in [0, 1], low is suspicious), ``predictions``.

    Raises:
        ConfigError: for in-sample predictions without ``force``, or an unknown filter.
        DataError: for arrays that do not fit together or are no distributions.
    """
    require_unseen(predictions, force=force)
    check_choice("by", by, cl.FILTERS)
    check_labels(probs, label)
    names = _names(classes, probs.shape[1])
    predicted = np.empty(len(label), dtype=np.int64)
    for rows in row_chunks(*probs.shape):
        predicted[rows] = probs[rows].argmax(axis=1)
    return pd.DataFrame(
        {
            "label": named(label, names),
            "predicted": named(predicted, names),
            "is_issue": cl.find_label_issues(probs, label, by=by),
            "self_confidence": self_confidence(probs, label),
            "margin": normalized_margin(probs, label),
            "confidence_weighted_entropy": cl.confidence_weighted_entropy(probs, label),
            "predictions": named(np.full(len(label), PREDICTIONS.index(predictions)), PREDICTIONS),
        }
    )


def require_unseen(predictions: str, *, force: bool = False) -> None:
    """Refuses to judge labels by a model that was trained on them.

    Args:
        predictions: ``in-sample``, ``out-of-fold`` or ``held-out``.
        force: accept in-sample ones.

    Raises:
        ConfigError: for in-sample predictions without ``force``, or an unknown kind.
    """
    check_choice("predictions", predictions, PREDICTIONS)
    if predictions == "in-sample" and not force:
        raise ConfigError(
            "`predictions` must be out-of-fold or held-out, got in-sample. A model that trained on a label finds it "
            "right; use `hilmix crossfit` or `hilmix.cross_fitting.crossfit`, or force it with force=True."
        )


def check_labels(probs: Probs, label: IntArray) -> None:
    """Refuses class probabilities and labels that do not fit together.

    Args:
        probs: (M, K) class probabilities.
        label: (M,) int64 in [0, K).

    Raises:
        DataError: naming the array, the first faulty row, what was found and what is allowed.
    """
    if probs.ndim != 2 or not np.issubdtype(probs.dtype, np.floating):
        raise DataError(f"`probs` must be a (labels, classes) table of floats, got {probs.dtype} {probs.shape}.")
    if label.shape != (len(probs),) or not np.issubdtype(label.dtype, np.integer):
        raise DataError(
            f"`label` must be {len(probs)} whole numbers, as `probs` has rows, got {label.dtype} {label.shape}."
        )
    bad = np.flatnonzero((label < 0) | (label >= probs.shape[1]))
    if len(bad):
        raise DataError(f"`label[{bad[0]}]` must be in [0, {probs.shape[1] - 1}], got {label[bad[0]]}.")
    tolerance = _SUM_TOLERANCE.get(probs.dtype, 1e-3)
    for rows in row_chunks(*probs.shape):
        # In chunks: what is checked may be memory-mapped, and a whole table of booleans would be as large.
        part = probs[rows]
        # A sum of NaN compares as False, so that NaN is refused too.
        wrong = ~(np.abs(part.sum(axis=1, dtype=np.float64) - 1) <= tolerance)
        wrong |= part.min(axis=1, initial=0) < 0
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"`probs[{rows.start + row}]` must be a distribution, got {np.array2string(part[row], threshold=6)}. "
                "Apply a softmax to logits."
            )


def _names(classes: Sequence[str] | None, number: int) -> tuple[str, ...]:
    names = tuple(map(str, range(number) if classes is None else classes))
    if len(names) != number:
        raise ConfigError(f"`classes` must be {number} names, as `probs` has columns, got {len(names)}.")
    return names
