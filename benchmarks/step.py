"""One training step with 3 labels per item, ResNet-18 at 32 px, batch 64, against plain cross-entropy."""

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.timing import Result, interleaved, ratio
from hilmix.annotators import AnnotatorModel, AnnotMixHead, Perfect
from hilmix.backbones import TimmBackbone
from hilmix.functional.random import step_generator
from hilmix.mix import AnnotMix, HiddenMix, ItemMix, MixPolicy, NoMix
from hilmix.modules import Classifier
from hilmix.types import Batch

ITEMS, LABELS, CLASSES, ANNOTATORS = 64, 3, 10, 50


def batch_of(images: Tensor, labels_per_item: int) -> Batch:
    index = torch.arange(len(images))
    row = index.repeat_interleave(labels_per_item)
    label, annotator = torch.randint(CLASSES, (len(row),)), torch.randint(ANNOTATORS, (len(row),))
    return Batch(images, index, torch.full_like(index, -1), row, annotator, label)


def step_of(policy: MixPolicy, annotator_model: AnnotatorModel, batch: Batch) -> Callable[[], None]:
    """A whole step without the trainer around it: mix, forward, backward, optimizer."""
    model = Classifier(
        CLASSES, ANNOTATORS, list(batch.input.shape[1:]), TimmBackbone("resnet18"), annotator_model, schedule="constant"
    )
    optimizer, generator = model.configure_optimizers(), step_generator(0, 0)

    def step() -> None:
        mixed = policy(batch, generator)
        output = model.forward_batch(mixed).annotator_output
        losses = model.annotator_model.loss(output, mixed)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()

    return step


def measure(repeats: int = 5) -> list[Result]:
    """Every variant has a network of its own; "plain" is one hard label per item, no mixing, no annotator model."""
    torch.manual_seed(0)
    images = torch.rand(ITEMS, 3, 32, 32)
    crowd = batch_of(images, LABELS)
    times = interleaved(
        {
            "plain": step_of(NoMix(), Perfect(), batch_of(images, 1)),
            "annot-mix, exact": step_of(AnnotMix(), AnnotMixHead(), crowd),
            "ItemMix": step_of(ItemMix(), AnnotMixHead(), crowd),
            "HiddenMix, features": step_of(HiddenMix(), AnnotMixHead(), crowd),
            "HiddenMix, layer2": step_of(HiddenMix(layer="layer2"), AnnotMixHead(), crowd),
        },
        repeats=repeats,
    )
    plain = times.pop("plain")
    return [Result("step: plain cross-entropy", median(plain) * 1e3, "ms")] + [
        Result(f"step: {name}", ratio(taken, plain), "x plain", None if "exact" in name else 1.15)
        for name, taken in times.items()
    ]


if __name__ == "__main__":
    print(*measure(), sep="\n")
