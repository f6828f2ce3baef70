"""Every method, mix and explanation config, each with a small network on a small folder."""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch import Trainer, seed_everything

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.data.masks import Masks
from hilmix.modules import Classifier
from tests.helpers import quiet_trainer

ROOT = Path(__file__).parents[2] / "configs"
KINDS = ("method", "mix", "explanation")
CONFIGS = sorted(str(path.relative_to(ROOT)) for kind in KINDS for path in ROOT.glob(f"{kind}/*.yaml"))
K, A, SIDE = 3, 5, 8
SPLITS = {"train": 46, "val": 20, "test": 7}


def small_folder(folder: Path) -> Path:
    """73 images with 0 to 3 labels each, masks and groups; every tenth held-out item lacks its truth."""
    rng = np.random.default_rng(0)
    split = np.repeat(list(SPLITS), list(SPLITS.values()))
    n = len(split)
    target = rng.integers(0, K, n)
    pictures = rng.integers(0, 120, (n, SIDE, SIDE)) + 60 * target[:, None, None] * (np.arange(SIDE) < 4)
    item, annotator = np.array([(i, a) for i in range(n) for a in rng.permutation(A)[: i % 4]]).T
    label = np.where(rng.random(len(item)) < 0.5 + 0.1 * annotator, target[item], rng.integers(0, K, len(item)))
    marks = np.zeros((n // 2, SIDE, SIDE), dtype=np.uint8)
    marks[:, :, 4:] = 255
    data = AnnotatedData(
        name="small",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(pictures.astype(np.uint8), "image"),
        annotations=Annotations.build(item, annotator, label, num_items=n, classes=K, annotators=A),
        target=np.where((split != "train") & (np.arange(n) % 10 == 0), -1, target),
        split=split,
        masks=Masks.build(
            np.arange(n // 2) * 2, np.zeros(n // 2, int), ArrayInputs(marks, "image"), num_items=n, annotators=["m"]
        ),
        group=np.arange(n) % 2,
        groups=("even", "odd"),
    )
    return write_folder(data, folder)


def build(
    config: str, root: Path, *, batch_size: int = 16, dropout: float = 0.5, **changes: Any
) -> tuple[Any, AnnotatedDataModule]:
    """A fresh model and the data of a config; both are the same on every rank."""
    given = yaml.safe_load((ROOT / config).read_text())
    model, settings = given.get("model", {}), given.get("data", {}).get("init_args", {})
    data = AnnotatedDataModule(str(root), batch_size=batch_size, **settings)
    seed_everything(3, verbose=False)
    module, _, name = model.get("class_path", f"{Classifier.__module__}.Classifier").rpartition(".")
    arguments = {
        "num_classes": data.num_classes,
        "num_annotators": data.num_annotators,
        "input_shape": data.input_shape,
        "num_groups": data.num_groups,
        "backbone": {"class_path": "hilmix.backbones.MLP", "init_args": {"hidden": [16], "dropout": dropout}},
    }
    return getattr(importlib.import_module(module), name)(**arguments, **(model.get("init_args", {}) | changes)), data


def trainer(folder: Path, ranks: int, callbacks: list[Any], **settings: Any) -> Trainer:
    """A silent trainer; with several ranks in the process group that exists already."""
    return quiet_trainer(folder, ranks, strategy="ddp" if ranks > 1 else "auto", callbacks=callbacks, **settings)


def as_torchrun(rank: int, ranks: int) -> None:
    """Sets what torchrun would set, so that Lightning joins the process group that exists."""
    environment = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": ranks,
        "LOCAL_WORLD_SIZE": ranks,
        "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": 1,
        "TORCHELASTIC_RUN_ID": "test",
    }
    os.environ.update({name: str(value) for name, value in environment.items()})
