"""Data of training and testing: CIFAR-10 test images with their CIFAR-10H labels, and the mixes of H-Mix."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import cifar10, cifar10h
from hilmix.data.sources.base import Access
from hilmix.errors import DataError
from hilmix.human.study import MixStudy, read_study

TEST, VALIDATION, SPLIT_SEED = 3_000, 2_000, 0
ENDPOINTS = 2_781
"""Images that the mixes of the infer task are made of."""


class Source(NamedTuple):
    """Everything that runs share."""

    base: AnnotatedData
    """The 10,000 CIFAR-10 test images, then the validation images."""
    shares: NDArray[np.float64]
    """(N, 10) label distributions: CIFAR-10H, one-hot for validation images."""
    study: MixStudy
    """The infer task, repeats left out."""
    categorical: MixStudy
    """The categorical task, repeats left out."""


@cache
def source() -> Source:
    """Reads the data from the folder named by HILMIX_DATA.

    Of the 10,000 test images 3,000 are tested on, drawn by class from those in no mix, so that all images of mixes are
    among the 7,000 to train on (the index files of the original split are not public; it has the same sizes and this
    property too). Validation, for the choice of hyperparameters, is on the first 2,000 CIFAR-10 training images, with
    their official labels.

    Raises:
        DataError: if HILMIX_DATA is not set.
    """
    if "HILMIX_DATA" not in os.environ:
        raise DataError("Set HILMIX_DATA to a folder with hmix/, cifar10/ and cifar10h/ (docs/human_mixup.md).")
    folder = Path(os.environ["HILMIX_DATA"])
    access = Access(folder, folder)
    images, target, classes = access.read(cifar10.TEST)
    further, labels, _ = access.read(cifar10.TRAIN)
    counts = access.read(cifar10h.COUNTS.resources[0]).astype(np.float64)
    shares = np.concatenate([counts / counts.sum(1, keepdims=True), np.eye(len(classes))[labels[:VALIDATION]]])
    study, categorical = (
        replace(read_study(folder / "hmix", task).without_repeats(), num_items=len(shares))
        for task in ("infer", "categorical")
    )
    pixels = np.concatenate([images, further[:VALIDATION]])
    items = (*(f"test-{i:05d}" for i in range(len(images))), *(f"train-{i:05d}" for i in range(VALIDATION)))
    base = AnnotatedData(
        name="cifar10h",
        items=items,
        inputs=ArrayInputs(pixels, "image"),
        annotations=soft_annotations(shares, classes),
        target=np.concatenate([target, labels[:VALIDATION]]),
        split=_split(study, target),
    )
    return Source(base, shares, study, categorical)


def soft_annotations(shares: NDArray[np.float64], classes: tuple[str, ...]) -> Annotations:
    """One soft label per item, of the crowd."""
    rows = np.arange(len(shares))
    return Annotations.build(
        rows,
        np.zeros_like(rows),
        None,
        num_items=len(rows),
        classes=classes,
        annotators=["crowd"],
        probs=shares,
        exchangeable=True,
    )


def _split(study: MixStudy, target: NDArray[np.int64]) -> NDArray[np.str_]:
    split = np.array(["train"] * len(target) + ["val"] * VALIDATION)
    used = np.union1d(study.stimuli.id1, study.stimuli.id2)
    assert len(used) == ENDPOINTS, "another study"
    rng = np.random.default_rng(SPLIT_SEED)
    for label in range(10):
        free = np.setdiff1d(np.flatnonzero(target == label), used)
        split[rng.choice(free, TEST // 10, replace=False)] = "test"
    return split
