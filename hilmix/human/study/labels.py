"""Labels for the mixes of a study: predicted by a policy, or answered by participants."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hilmix.errors import DataError
from hilmix.human.functional.judgments import clamp_hmix
from hilmix.human.functional.perception import smooth_by_confidence, two_hot
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import MIDPOINT_TASKS

DoubleArray = NDArray[np.float64]


def label_mixes(
    study: MixStudy,
    policy: Perception,
    *,
    soft: ArrayLike | None = None,
    features: Tensor | None = None,
    mix_features: Tensor | None = None,
) -> DoubleArray:
    """Returns the label that a policy predicts for every mix, (S, K) float64 distributions over the study's classes.

    ``Identity`` gives the labels of mixup, ``ImageTable.fit(study.to_judgments())`` the mean of what participants saw,
    ``ConfidenceSmoothing(table, line=None)`` the same smoothed by how sure they were.

    Args:
        study: of the infer or categorical task.
        policy: fitted already, to this or another study of the same classes.
        soft: (num_items, K) distributions of the images, such as those of CIFAR-10H; by default the study's labels.
        features: (num_items, D) float features of all images, for policies that look.
        mix_features: (S, D) float features of the mixes themselves, for policies that look at them too.

    Raises:
        DataError: for a midpoint study, whose stimuli have no weight; or for ``soft`` of another shape.
        ConfigError: if the policy lacks what it needs or knows other classes.
    """
    refuse_midpoints(study)
    shown = study.stimuli
    given = None if soft is None else np.asarray(soft, dtype=np.float64)
    if given is None:
        label1, label2 = (np.eye(study.num_classes)[c] for c in (shown.label1, shown.label2))
    elif given.shape == (study.num_items, study.num_classes):
        label1, label2 = given[shown.id1], given[shown.id2]
    else:
        raise DataError(
            f"soft labels must have the shape {(study.num_items, study.num_classes)}, images by classes of the study, "
            f"got {given.shape}."
        )
    id1, id2 = torch.tensor(shown.id1), torch.tensor(shown.id2)
    mixes = Mixes(
        torch.tensor(label1),
        torch.tensor(label2),
        torch.tensor(shown.weight),
        id1,
        id2,
        features1=None if features is None else features[id1],
        features2=None if features is None else features[id2],
        features=mix_features,
    )
    with torch.no_grad():
        found: DoubleArray = policy(mixes).double().numpy()
    return found


def label_judgments(study: MixStudy, *, smoothed: bool = False) -> DoubleArray:
    """Returns one label per judgment, (L, K) float64 distributions over the study's classes.

    In the infer task the seen weight goes to the class of image 1 and the rest to that of image 2; in the categorical
    task the percents are brought to a distribution as H-Mix was released
    (:func:`~hilmix.human.functional.judgments.clamp_hmix`).

    Args:
        study: of the infer or categorical task.
        smoothed: the more uniform the less sure that participant was of that mix
            (:func:`~hilmix.human.functional.perception.smooth_by_confidence`); infer task only.

    Raises:
        DataError: for a midpoint study, or if the categorical task, which asks for no confidence, is to be smoothed.
    """
    refuse_midpoints(study)
    judgments, shown = study.judgments, study.stimuli
    if judgments.answers is not None:
        # Smoothing needs a confidence, which this task does not ask for.
        if smoothed:
            raise DataError("`smoothed` must be False for the categorical task, which has no confidence.")
        form = judgments.answers
        return clamp_hmix(form.top, form.top_percent, form.second, form.second_percent, impossible=form.impossible)
    label1, label2 = torch.tensor(shown.label1[judgments.stimulus]), torch.tensor(shown.label2[judgments.stimulus])
    labels = two_hot(label1, label2, torch.tensor(judgments.weight), num_classes=study.num_classes)
    if smoothed:
        labels = smooth_by_confidence(labels, torch.tensor(judgments.confidence))
    found: DoubleArray = labels.numpy()
    return found


def mean_by_mix(study: MixStudy, values: ArrayLike) -> DoubleArray:
    """Returns the mean over the judgments of each mix, repeats left out; (S, ...) float64, NaN where there is none.

    Args:
        study: any.
        values: (L, ...) numbers, one row per judgment: labels, ``study.judgments.weight`` or ``.confidence``.

    Raises:
        DataError: for another number of rows.
    """
    rows = np.asarray(values, dtype=np.float64)
    if len(rows) != len(study.judgments):
        raise DataError(
            f"values must have {len(study.judgments)} rows, one per judgment of the study, got {len(rows)}."
        )
    first = ~study.judgments.repeat
    at, size = study.judgments.stimulus[first], len(study.stimuli)
    total = np.zeros((size, *rows.shape[1:]))
    # total[at] += rows would count each mix once.
    np.add.at(total, at, rows[first])
    count = np.bincount(at, minlength=size).reshape(-1, *[1] * (rows.ndim - 1))
    mean: DoubleArray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean


def refuse_midpoints(study: MixStudy) -> None:
    """Refuses a study whose stimuli have no weight of their own.

    Raises:
        DataError: for a midpoint study.
    """
    if study.task in MIDPOINT_TASKS:
        raise DataError(
            f"Labels for mixes need a study of the task 'infer' or 'categorical'; this one is '{study.task}', which "
            "shows each pair at many weights."
        )
