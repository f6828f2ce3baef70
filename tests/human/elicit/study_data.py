"""Data to draw studies from."""

import numpy as np

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData

CLASSES = ("ant", "bee", "cow")
N = 60


def pictures(*, channels: int = 3, split: bool = False, votes_only: bool = False, n: int = N) -> AnnotatedData:
    """Random images of three classes, 5 high and 4 wide; item i is of class i mod 3, as its target or by two votes."""
    rng, label = np.random.default_rng(0), np.arange(n) % len(CLASSES)
    return AnnotatedData(
        name="pictures",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(rng.integers(0, 256, (n, 5, 4, channels), dtype=np.uint8), "image"),
        annotations=Annotations.build(
            np.repeat(np.arange(n), 2),
            np.tile([0, 1], n),
            np.repeat(label, 2),
            num_items=n,
            classes=CLASSES,
            annotators=["x", "y"],
        ),
        target=np.full(n, -1) if votes_only else label,
        split=np.where(np.arange(n) < n // 2, "train", "test") if split else None,
        licence="CC0",
    )
