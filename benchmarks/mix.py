"""The mix of a batch of 64x3x224x224 images, against one pass of torch.lerp(out=) over as many rows."""

from statistics import median

import torch
from torch import Tensor

from benchmarks.timing import Result, interleaved, ratio
from hilmix.annotations import Annotations
from hilmix.functional.random import step_generator
from hilmix.human.perception import HMIX_STRENGTHS, HMIX_STRENGTHS_SLOPE, ClassStrengths, HMixPerception
from hilmix.mix import AnnotMix, CutMix, HumanMix, ItemMix
from hilmix.types import Batch

ITEMS, SHAPE = 64, (3, 224, 224)


def batch_of(images: Tensor, labels_per_item: int) -> Batch:
    row = torch.arange(len(images)).repeat_interleave(labels_per_item)
    zeros = torch.zeros(len(row), dtype=torch.int64)
    index = torch.arange(len(images))
    return Batch(images, index, torch.zeros_like(index), row, annotator=zeros, label=zeros)


def measure(repeats: int = 21) -> list[Result]:
    """Whole calls of the policies, draws included; fresh weights and partners every time."""
    torch.manual_seed(0)
    images = torch.rand(ITEMS, *SHAPE)
    one, three = batch_of(images, 1), batch_of(images, 3)
    other, weight, out = torch.rand_like(images), torch.rand(ITEMS, 1, 1, 1), torch.empty_like(images)
    item, pair, pairs, cut = ItemMix(), AnnotMix(), AnnotMix(), CutMix()
    human = HumanMix(ClassStrengths(HMIX_STRENGTHS, HMIX_STRENGTHS_SLOPE))
    looking = HumanMix(HMixPerception(), features="statistics")
    for policy in (human, looking):
        policy.bind(Annotations.build([0], [0], [0], num_items=ITEMS, classes=range(10), annotators=["one"]))
    generator = step_generator(0, 0)
    times = interleaved(
        {
            "lerp": lambda: torch.lerp(other, images, weight, out=out),
            "ItemMix": lambda: item(one, generator),
            "CutMix": lambda: cut(one, generator),
            "HumanMix, class strengths, 3 labels each": lambda: human(three, generator),
            "HumanMix, statistics of the images, 3 labels each": lambda: looking(three, generator),
            "AnnotMix, 1 label per item": lambda: pair(one, generator),
            "AnnotMix, 3 labels per item, per row": lambda: pairs(three, generator),
        },
        repeats=repeats,
    )
    lerp = times.pop("lerp")
    rows = {name: 3 if "per row" in name else 1 for name in times}
    goals = {"ItemMix": 1.5, "HumanMix, class strengths, 3 labels each": 2.0}
    return [Result("lerp, 64x3x224x224", median(lerp) * 1e3, "ms")] + [
        Result(f"mix: {name}", ratio(taken, lerp) / rows[name], "x lerp", goals.get(name))
        for name, taken in times.items()
    ]


if __name__ == "__main__":
    print(*measure(), sep="\n")
