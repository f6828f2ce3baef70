"""A run resumed from any checkpoint ends with the parameters of the uninterrupted run, bit for bit."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from hilmix.annotators import AnnotMixHead
from hilmix.backbones import MLP, TimmBackbone
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.data import AnnotatedDataModule
from hilmix.mix import AnnotMix, ItemMix, MixPolicy
from hilmix.modules import Classifier
from tests.helpers import quiet_trainer


def fit(folder: Path, *, resume: Path | None = None, mix: MixPolicy, workers: int = 0, conv: bool = False, **trainer):
    seed_everything(3)
    data = AnnotatedDataModule(
        "digits-class", mix=mix, batch_size=150, num_workers=workers, augment="crop-flip" if conv else "none"
    )
    backbone = TimmBackbone("test_resnet") if conv else MLP([16], dropout=0.5)
    model = Classifier(
        data.num_classes, data.num_annotators, data.input_shape, backbone, AnnotMixHead(embed_dim=8), lr=0.01
    )
    if resume is not None:  # whatever the fresh process drew must not matter
        torch.manual_seed(99)
    every_step = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1, save_last=False)
    every_epoch = ModelCheckpoint(folder, filename="val-{epoch}", save_top_k=-1, save_on_train_epoch_end=False)
    every_end = ModelCheckpoint(folder, filename="end-{epoch}", mode="max", save_top_k=-1, save_on_train_epoch_end=True)
    quiet_trainer(
        folder,
        max_epochs=3,
        callbacks=[every_step, every_epoch, every_end] if resume is None else [],
        enable_checkpointing=resume is None,
        plugins=[AtomicCheckpointIO()],
        **trainer,
    ).fit(model, data, ckpt_path=resume)
    return {name: value.clone() for name, value in model.state_dict().items() if "metrics" not in name}


def assert_same(resumed: dict, straight: dict) -> None:
    for name, value in straight.items():
        assert torch.equal(resumed[name], value), name


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("straight")
    return folder, fit(folder, mix=AnnotMix())


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        *((name, 0) for name in ("step=1", "step=7", "step=8", "step=9", "val-epoch=0", "end-epoch=1", "step=23")),
        ("step=9", 2),
        ("end-epoch=1", 2),
    ],
)
def test_resumed_equals_uninterrupted(straight, tmp_path, name: str, workers: int) -> None:
    folder, parameters = straight
    resumed = fit(tmp_path, resume=folder / f"{name}.ckpt", mix=AnnotMix(), workers=workers)
    assert_same(resumed, parameters)


def test_resumed_with_accumulation_augmentation_and_batch_norm(tmp_path) -> None:
    options = {"mix": ItemMix(), "conv": True, "accumulate_grad_batches": 2, "limit_train_batches": 4}
    parameters = fit(tmp_path, **options)
    for name in ("step=1", "val-epoch=0", "step=3"):
        assert_same(fit(tmp_path / "again", resume=tmp_path / f"{name}.ckpt", **options), parameters)


def test_other_seeds_give_other_parameters(straight, tmp_path) -> None:
    """The equality above is not the equality of runs that ignore their draws."""
    _, parameters = straight
    other = fit(tmp_path, mix=ItemMix())
    assert not torch.equal(other["head.weight"], parameters["head.weight"])
