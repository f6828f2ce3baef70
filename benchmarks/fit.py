"""A whole fit of ``hilmix.yaml`` and ``hilmix-fast.yaml`` against one of ``mv.yaml`` of as many epochs.

ResNet-18 on images of 32 px, with validation; and the seconds of the shipped ``hilmix.yaml`` on 1,000 vectors.
"""

import logging
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer

from benchmarks.epoch import ANNOTATORS, CLASSES, made_up
from benchmarks.timing import Result
from hilmix.annotations import Annotations
from hilmix.backbones import TimmBackbone
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, Targets, write_folder
from hilmix.mix import MixPolicy
from hilmix.modules import Classifier, EMClassifier
from hilmix.yaml_files import load_yaml

EPOCHS = 5
"""One of warm-up and two with an E and an M step, in the proportion of the 50 epochs of a run."""
VECTORS, FEATURES, VECTOR_EPOCHS = 1000, 64, 50
METHODS = Path(__file__).parents[1] / "configs" / "method"


def vectors(generator: np.random.Generator) -> AnnotatedData:
    """Classes around random centres, two labels each, seven in ten right; a tenth is left for validation."""
    items = VECTORS + VECTORS // 10
    true = generator.integers(CLASSES, size=items)
    item = np.repeat(np.arange(items), 2)
    who = np.tile([0, 1], items) + 2 * generator.integers(ANNOTATORS // 2, size=2 * items)
    label = np.where(generator.random(len(item)) < 0.7, true[item], generator.integers(CLASSES, size=len(item)))
    votes = Annotations.build(item, who, label, num_items=items, classes=CLASSES, annotators=ANNOTATORS)
    inputs = generator.normal(size=(CLASSES, FEATURES))[true] + generator.normal(size=(items, FEATURES))
    split = np.array(["train"] * VECTORS + ["val"] * (items - VECTORS))
    return AnnotatedData(
        "vectors", tuple(map(str, range(items))), ArrayInputs(inputs.astype(np.float32), "vector"), votes, true, split
    )


def seconds(method: str, folder: Path, *, epochs: int, **settings: Any) -> float:
    """CPU seconds of a fit of a shipped configuration."""
    config = load_yaml((METHODS / f"{method}.yaml").read_text())
    data = AnnotatedDataModule(
        str(folder),
        targets=Targets.from_spec(config["data"]["init_args"]["targets"]),
        mix=MixPolicy.from_spec(config["data"]["init_args"]["mix"]),
    )
    kind = {one.__name__: one for one in (Classifier, EMClassifier)}[config["model"]["class_path"].rpartition(".")[2]]
    model = kind(
        num_classes=data.num_classes,
        num_annotators=data.num_annotators,
        input_shape=data.input_shape,
        **config["model"]["init_args"],
        **settings,
    )
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.process_time()
    trainer.fit(model, data)
    return time.process_time() - start


def measure(repeats: int = 1) -> list[Result]:
    """The three methods take turns, each time with fresh networks."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    torch.manual_seed(0)
    taken: dict[str, list[float]] = {"mv": [], "hilmix-fast": [], "hilmix": []}
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as parent:
        images = write_folder(made_up(generator), Path(parent) / "images")
        seconds("mv", images, epochs=1, backbone=TimmBackbone("resnet18"))  # the first fit of a process is slower
        for _ in range(repeats):
            for method, times in taken.items():
                times.append(seconds(method, images, epochs=EPOCHS, backbone=TimmBackbone("resnet18")))
        on_vectors = seconds("hilmix", write_folder(vectors(generator), Path(parent) / "vectors"), epochs=VECTOR_EPOCHS)
    mv = min(taken["mv"])
    return [
        Result(f"fit: mv, ResNet-18, {EPOCHS} epochs", mv, "s"),
        Result("fit: hilmix-fast", min(taken["hilmix-fast"]) / mv, "x mv", 1.15),
        Result("fit: hilmix", min(taken["hilmix"]) / mv, "x mv", 2.2),
        Result(f"fit: hilmix, {VECTORS:,} vectors, {VECTOR_EPOCHS} epochs", on_vectors, "s", 180),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*measure(), sep="\n")
