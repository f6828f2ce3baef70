"""``evaluate`` on 256 vectors with 4 votes each and 100 classes, as a multiple of a training step of the same method.

That of ``hilmix`` is the cheapest there is, cross-entropy of one MLP with given targets (``hilmix-fast``): annotators
take no part in it.
"""

from collections.abc import Callable
from statistics import median

import torch
from torch.nn.functional import cross_entropy

from benchmarks.timing import Result, interleaved, ratio
from hilmix.annotators import (
    AnnotatorModel,
    AnnotMixHead,
    CoNAL,
    CrowdAR,
    CrowdLayer,
    DawidSkene,
    GeoRegW,
    MaDL,
    TraceReg,
    UnionNet,
)
from hilmix.modules import Classifier
from hilmix.types import Batch

ITEMS, LABELS, CLASSES, ANNOTATORS, FEATURES = 256, 4, 100, 50, 64
MODELS: dict[str, Callable[[], AnnotatorModel]] = {
    "hilmix": DawidSkene,
    "hilmix, 4 prototypes": lambda: DawidSkene(prototypes=4),
    "crowd-layer": CrowdLayer,
    "trace-reg": TraceReg,
    "geo-reg-w": GeoRegW,
    "union-net": UnionNet,
    "crowd-ar": CrowdAR,
    "conal": CoNAL,
    "madl": MaDL,
    "annot-mix": AnnotMixHead,
}


def classifier(model: AnnotatorModel) -> Classifier:
    return Classifier(CLASSES, ANNOTATORS, [FEATURES], annotator_model=model, schedule="constant")


def step_of(network: Classifier, batch: Batch) -> Callable[[], None]:
    """A training step without the trainer around it: forward, backward, optimizer."""
    optimizer = network.configure_optimizers()

    def step() -> None:
        _, logits = network.class_scores(network.standardized(batch.input), batch)
        optimizer.zero_grad()
        cross_entropy(logits, batch.label[::LABELS]).backward()
        optimizer.step()

    return step


def annotated_step_of(network: Classifier, batch: Batch) -> Callable[[], None]:
    """A training step of a method that learns annotators by gradients, in the same way."""
    optimizer = network.configure_optimizers()

    def step() -> None:
        output = network.forward_batch(batch).annotator_output
        loss = network.annotator_model.loss(output, batch).mean() + network.annotator_model.penalty()
        optimizer.zero_grad()
        torch.as_tensor(loss).backward()
        optimizer.step()

    return step


def evaluation_of(network: Classifier, batch: Batch) -> Callable[[], None]:
    @torch.no_grad()
    def evaluate() -> None:
        network.eval().evaluate(batch)
        network.train()

    return evaluate


def measure(repeats: int = 9) -> list[Result]:
    """Every method has a network of its own, which takes a step and evaluates in turn."""
    torch.manual_seed(0)
    index = torch.arange(ITEMS)
    row = index.repeat_interleave(LABELS)
    who, label = torch.randint(ANNOTATORS, (len(row),)), torch.randint(CLASSES, (len(row),))
    batch = Batch(torch.randn(ITEMS, FEATURES), index, torch.full_like(index, -1), row, who, label)
    calls: dict[str, Callable[[], None]] = {}
    for name, model in MODELS.items():
        network = classifier(model())
        makes_step = step_of if name.startswith("hilmix") else annotated_step_of
        calls |= {f"{name} step": makes_step(network, batch), name: evaluation_of(network, batch)}
    times = interleaved(calls, repeats=repeats)
    return [Result("evaluate: training step of hilmix-fast", median(times["hilmix step"]) * 1e3, "ms")] + [
        Result(f"evaluate: {name}", ratio(times[name], times[f"{name} step"]), "x step", 3.0) for name in MODELS
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*measure(), sep="\n")
