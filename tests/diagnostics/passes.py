"""A clean pass over toy data without a Trainer."""

import numpy as np
import torch

from hilmix.annotations import Annotations
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics import CleanPass, Collector
from hilmix.types import Batch
from tests.callbacks.toy import Toy, toy_data


def toy_batch(data: AnnotatedData, items: np.ndarray) -> Batch:
    """Items with all their annotations, as a data module would hand them out."""
    notes: Annotations = data.annotations
    row, pair = notes.gather(items)
    return Batch(
        index=torch.from_numpy(items),
        input=torch.from_numpy(data.inputs.array[items]),
        target=torch.from_numpy(data.target[items]),
        row=torch.from_numpy(row),
        annotator=torch.from_numpy(notes.annotator[pair]),
        label=torch.from_numpy(notes.label[pair]),
    )


def toy_pass(data: AnnotatedData | None = None, split: str = "train", **kwargs) -> tuple[AnnotatedData, CleanPass]:
    """Data and what the toy outputs for a split, batch by batch."""
    data = toy_data() if data is None else data
    items, model = np.flatnonzero(data.split == split), Toy(**kwargs).eval()
    collector = Collector(data.annotations, items)
    with torch.no_grad():
        for part in np.array_split(items, 3):
            collector.add(model.evaluate(toy_batch(data, part)))
    return data, collector.finish()
