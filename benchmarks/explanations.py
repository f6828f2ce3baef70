"""An epoch with an explanation loss, ResNet-18 at 32 px, batch 32, against one of plain training."""

import logging
import warnings
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from benchmarks import timing
from benchmarks.timing import Result, ratio
from hilmix.annotations import Annotations
from hilmix.backbones import TimmBackbone
from hilmix.data import AnnotatedDataModule
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import Masks
from hilmix.explanations import CDEP, RRR, AvgEx, Explanation, IBPEx, PGDEx
from hilmix.modules import Classifier

ITEMS, CLASSES, PIXELS, BATCH = 64, 10, 32, 32
EPOCHS = 2
"""One of warm-up, which is not counted."""
STEPS = 3
"""Of the attack."""


class Variant(NamedTuple):
    """Variant that is timed."""

    explanations: list[Explanation]
    every: int = 1
    """One item in so many has a mask."""
    goal: float | None = None
    """Passes forth and back through the network for each image, and a tenth; none for second derivatives."""


VARIANTS = {
    "plain": Variant([]),
    "RRR": Variant([RRR()]),
    "AvgEx": Variant([AvgEx()], goal=1.1 * 2),
    f"PGDEx, {STEPS} steps": Variant([PGDEx(steps=STEPS)], goal=1.1 * (2 + STEPS)),
    f"PGDEx, {STEPS} steps, one image in 16 explained": Variant(
        [PGDEx(steps=STEPS)], every=16, goal=1.1 * (2 + STEPS / 16)
    ),
    f"PGDEx, {STEPS} steps, + RRR": Variant([PGDEx(steps=STEPS), RRR()]),
    "IBPEx": Variant([IBPEx()]),
    "CDEP": Variant([CDEP()]),
}


def made_up(every: int) -> AnnotatedData:
    """Noise with random labels and masks of half an image: time does not depend on what is shown."""
    generator, item = np.random.default_rng(0), np.arange(ITEMS)
    label = generator.integers(0, CLASSES, ITEMS)
    half, explained = np.zeros((1, PIXELS, PIXELS), np.uint8), item[::every]
    half[:, : PIXELS // 2] = 255
    return AnnotatedData(
        "noise",
        tuple(map(str, item)),
        ArrayInputs(generator.integers(0, 256, (ITEMS, PIXELS, PIXELS, 3), dtype=np.uint8), "image"),
        Annotations.build(item, np.zeros(ITEMS, int), label, num_items=ITEMS, classes=CLASSES, annotators=1),
        label,
        np.full(ITEMS, "train", dtype="<U5"),
        masks=Masks.build(
            explained,
            np.zeros(len(explained), int),
            ArrayInputs(half, "image"),
            num_items=ITEMS,
            annotators=["annotator"],
            picture=np.zeros(len(explained), int),
        ),
    )


def seconds_per_epoch(variant: Variant) -> float:
    """CPU seconds of a training epoch."""
    data = AnnotatedDataModule(made_up(variant.every), batch_size=BATCH)
    model = Classifier(CLASSES, 1, [3, PIXELS, PIXELS], TimmBackbone("resnet18"), explanations=variant.explanations)
    return timing.seconds_per_epoch(model, data, epochs=EPOCHS)[-1]


def measure(repeats: int = 3) -> list[Result]:
    """All take turns, each time with a fresh network."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    torch.manual_seed(0)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(repeats):
        for name, variant in VARIANTS.items():
            times[name].append(seconds_per_epoch(variant))
    plain = times.pop("plain")
    return [Result("explanations: plain training", median(plain) * 1e3, "ms")] + [
        Result(f"explanations: {name}", ratio(taken, plain), "x plain", VARIANTS[name].goal)
        for name, taken in times.items()
    ]


if __name__ == "__main__":
    print(*measure(), sep="\n")
