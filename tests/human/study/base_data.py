"""Invented images with votes, which invented studies point into."""

import numpy as np

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.study import MixStudy
from tests.human.study.synthetic import CLASSES


def base_data(
    study: MixStudy,
    *,
    seed: int = 0,
    exchangeable: bool = False,
    soft: bool = False,
    split: bool = True,
    classes: tuple[str, ...] = CLASSES,
) -> AnnotatedData:
    """As many images as the ids of the study point into, two to four votes each, all images of mixes in ``train``."""
    rng = np.random.default_rng(seed)
    n, k = study.num_items, len(classes)
    item = np.repeat(np.arange(n), rng.integers(2, 5, n))
    where = np.full(n, "train", dtype="<U5")
    free = np.setdiff1d(np.arange(n), [study.stimuli.id1, study.stimuli.id2])
    where[free[0::3]], where[free[1::3]] = "val", "test"
    truth = rng.integers(0, k, n)
    for ids, labels in ((study.stimuli.id1, study.stimuli.label1), (study.stimuli.id2, study.stimuli.label2)):
        truth[ids] = labels  # an invented study may call one image by several classes
    return AnnotatedData(
        name="base",
        items=tuple(f"item-{i}" for i in range(n)),
        inputs=ArrayInputs(rng.integers(0, 256, (n, 4, 5, 3), dtype=np.uint8), "image"),
        annotations=Annotations.build(
            item,
            rng.integers(0, 3, len(item)),
            rng.integers(0, k, len(item)),
            num_items=n,
            classes=classes,
            annotators=["ann", "bob", "p1"],
            exchangeable=exchangeable,
        )
        if not soft
        else Annotations.build(
            item,
            rng.integers(0, 3, len(item)),
            num_items=n,
            classes=classes,
            annotators=["ann", "bob", "p1"],
            probs=rng.dirichlet(np.ones(k), len(item)),
            exchangeable=exchangeable,
        ),
        target=truth,
        split=where if split else None,
        licence="CC0",
    )
