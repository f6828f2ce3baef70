"""An epoch of ``hilmix`` (mixing, and every second epoch an E and an M step) against one of plain cross-entropy."""

import logging
import tempfile
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import timing
from benchmarks.timing import Result, ratio
from hilmix.annotations import Annotations
from hilmix.annotators import Perfect
from hilmix.backbones import TimmBackbone
from hilmix.data import AnnotatedDataModule
from hilmix.data.folder import write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.targets import Aggregated, Pairs
from hilmix.mix import ItemMix, NoMix
from hilmix.modules import Classifier, EMClassifier

ITEMS, LABELS, CLASSES, ANNOTATORS, PIXELS = 256, 3, 10, 50, 32
EPOCHS = 3
"""One of warm-up, which is not counted, then two: one of them has the E and the M step."""


def made_up(generator: np.random.Generator) -> AnnotatedData:
    """Noise with random labels: time does not depend on what the images show."""
    item = np.repeat(np.arange(ITEMS), LABELS)
    votes = Annotations.build(
        item,
        np.tile(np.arange(LABELS), ITEMS) + LABELS * generator.integers(0, ANNOTATORS // LABELS, len(item)),
        generator.integers(0, CLASSES, len(item)),
        num_items=ITEMS,
        classes=[f"class-{c}" for c in range(CLASSES)],
        annotators=[f"person-{a}" for a in range(ANNOTATORS)],
    )
    images = generator.integers(0, 256, (ITEMS, PIXELS, PIXELS, 3), dtype=np.uint8)
    split = np.full(ITEMS, "train", dtype="<U5")
    return AnnotatedData(
        "noise",
        tuple(map(str, range(ITEMS))),
        ArrayInputs(images, "image"),
        votes,
        generator.integers(0, CLASSES, ITEMS),
        split,
    )


def seconds_per_epoch(folder: Path, *, em: bool) -> float:
    """CPU seconds of a training epoch of ResNet-18, batch 64, the mean of two."""
    targets, mix = (Pairs(), ItemMix(alpha=0.2)) if em else (Aggregated(by="majority"), NoMix())
    data = AnnotatedDataModule(str(folder), batch_size=64, targets=targets, mix=mix)
    shape, backbone = [3, PIXELS, PIXELS], TimmBackbone("resnet18")
    model = (
        EMClassifier(CLASSES, ANNOTATORS, shape, backbone, warmup=0.0)
        if em
        else Classifier(CLASSES, ANNOTATORS, shape, backbone, Perfect())
    )
    return sum(timing.seconds_per_epoch(model, data, epochs=EPOCHS)[1:]) / (EPOCHS - 1)


def measure(repeats: int = 5) -> list[Result]:
    """Both take turns, each time with a fresh network."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    torch.manual_seed(0)
    plain, em = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as parent:
        folder = write_folder(made_up(np.random.default_rng(0)), Path(parent) / "data")
        for _ in range(repeats):
            plain.append(seconds_per_epoch(folder, em=False))
            em.append(seconds_per_epoch(folder, em=True))
    return [
        Result("epoch: plain cross-entropy", median(plain) * 1e3, "ms"),
        Result("epoch: hilmix, E and M step every second epoch", ratio(em, plain), "x plain", 1.3),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*measure(), sep="\n")
