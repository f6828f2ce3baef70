"""Fetching and collating 128 items of 32 px with 2,571 annotators and 51 labels per item: the size of CIFAR-10H."""

from statistics import median

import numpy as np
from torch import Tensor

from benchmarks.timing import Result, interleaved
from hilmix.annotations import Annotations
from hilmix.data.dataset import ItemDataset
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.types import Batch

ITEMS, ANNOTATORS, CLASSES, PER_ITEM, BATCH = 10_000, 2571, 10, 51, 128


def dataset() -> ItemDataset:
    rng = np.random.default_rng(0)
    pairs = ITEMS * PER_ITEM
    annotations = Annotations.build(
        np.repeat(np.arange(ITEMS), PER_ITEM),
        rng.integers(0, ANNOTATORS, pairs),
        rng.integers(0, CLASSES, pairs),
        num_items=ITEMS,
        classes=CLASSES,
        annotators=ANNOTATORS,
    )
    images = rng.integers(0, 256, (ITEMS, 32, 32, 3), dtype=np.uint8)
    data = AnnotatedData("synthetic", tuple(map(str, range(ITEMS))), ArrayInputs(images, "image"), annotations)
    return ItemDataset(data, np.arange(ITEMS), annotations, annotator_ids=np.arange(ANNOTATORS))


def size(batch: Batch) -> int:
    """Bytes of all tensors of a batch."""
    return sum(x.nbytes for x in batch if isinstance(x, Tensor))


def measure(repeats: int = 201) -> list[Result]:
    """Time of one batch of random items, and its size; the images stay uint8."""
    items, rng = dataset(), np.random.default_rng(1)
    draws = [rng.integers(0, ITEMS, BATCH).tolist() for _ in range(64)]
    times = interleaved({"collate": lambda: items.__getitems__(draws[rng.integers(64)])}, repeats=repeats)
    return [
        Result("collate: 128 items, 6,528 pairs, 2,571 annotators", median(times["collate"]) * 1e3, "ms", 1.0),
        Result("collate: bytes of that batch, images included", size(items.__getitems__(draws[0])) / 1e6, "MB", 1.0),
    ]


if __name__ == "__main__":
    print(*measure(), sep="\n")
