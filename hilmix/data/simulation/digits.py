"""The embedded default data: scikit-learn's digits with simulated annotators, made on the fly from a seed."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.simulation.annotators import (
    draw_confusion_matrices,
    list_annotator_kinds,
    name_annotators,
    simulate_confusions,
)
from hilmix.data.simulation.weak_classifiers import simulate_classifiers
from hilmix.errors import DataError

DigitsKind = Literal["class", "instance"]
CLASSES = tuple("0123456789")
LICENCE = "CC BY 4.0 (Alpaydin and Kaynak, UCI Optical Recognition of Handwritten Digits)"


def simulate_digits(kind: DigitsKind = "class", seed: int = 0) -> AnnotatedData:
    """Return 1,797 digit images of 8x8 pixels with 2 or 3 labels each by 20 simulated annotators.

    Images are (N, 8, 8) uint8 in 0..255. 60 % of the items are for training, 20 % each for validation and test,
    stratified by class; all are annotated and have a target.

    Args:
        kind: ``class`` for annotators with confusion matrices (good, weak, biased, spammer, adversarial), ``instance``
            for annotators that are weak classifiers.
        seed: seed of annotators, labels and split.

    Raises:
        DataError: for another kind.
    """
    if kind not in ("class", "instance"):
        raise DataError(f"`kind` must be 'class' or 'instance', got {kind!r}.")
    from sklearn.datasets import load_digits  # here: every command imports this module, few draw digits

    images, target = load_digits(return_X_y=True)
    # scikit-learn's digits have grey levels from 0 to 16.
    pixels = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    if kind == "class":
        kinds = list_annotator_kinds()
        votes = simulate_confusions(
            target,
            draw_confusion_matrices(kinds, 10, seed=seed),
            classes=CLASSES,
            annotators=name_annotators(kinds),
            seed=seed,
        )
    else:
        votes = simulate_classifiers(pixels, target, classes=CLASSES, max_epochs=10, seed=seed)
    return AnnotatedData(
        name=f"digits-{kind}",
        items=tuple(f"digit-{i:04d}" for i in range(len(target))),
        inputs=ArrayInputs(pixels, "image"),
        annotations=votes,
        target=target.astype(np.int64),
        split=_split(target, seed),
        licence=LICENCE,
    )


def _split(target: NDArray[np.int64], seed: int) -> NDArray[np.str_]:
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(target))
    train, rest = train_test_split(rows, test_size=0.4, stratify=target, random_state=seed)
    val, test = train_test_split(rest, test_size=0.5, stratify=target[rest], random_state=seed)
    split = np.empty(len(target), dtype="<U5")
    split[train], split[val], split[test] = "train", "val", "test"
    return split
