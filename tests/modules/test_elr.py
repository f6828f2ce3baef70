"""ELRClassifier: its loss against plain loops over the run, resume, two ranks, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from hilmix.backbones import MLP
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.data import Aggregated, AnnotatedDataModule
from hilmix.errors import ConfigError, SizeError
from hilmix.mix import ItemMix
from hilmix.modules import Classifier, ELRClassifier
from tests.helpers import FreezeBatchNorm, GivenBatches, in_memory, quiet_trainer, vector_data

N, K = 60, 3


def model(**settings: Any) -> ELRClassifier:
    options = {"backbone": MLP([6], dropout=0.0), "lr": 0.05, "schedule": "constant"} | settings
    return ELRClassifier(K, 1, [4], **options)


def data(**settings: Any) -> AnnotatedDataModule:
    return in_memory(vector_data(), targets=Aggregated("majority"), **settings)


class Steps(Callback):
    """Items, labels, class logits and loss of each step."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        output = outputs["output"]
        self.seen.append((output.index, output.label, output.logits.detach(), outputs["loss"]))


def test_loss_and_memory_are_those_of_a_loop_over_the_items(tmp_path: Path) -> None:
    seed_everything(0)
    steps, fitted = Steps(), model(beta=0.6, weight=2.0)
    quiet_trainer(tmp_path, callbacks=[steps], max_epochs=3).fit(fitted, data())
    assert len(steps.seen) == 3 * 4, "30 training items in batches of 8"
    memory = [[0.0] * K for _ in range(N)]
    for index, label, logits, loss in steps.seen:
        expected = 0.0
        for item, z, p in zip(index.tolist(), label.tolist(), logits.softmax(-1), strict=True):
            p = p.clamp(1e-4, 1 - 1e-4)
            share = (p / p.sum()).tolist()
            memory[item] = [0.6 * t + 0.4 * s for t, s in zip(memory[item], share, strict=True)]
            inner = sum(t * x for t, x in zip(memory[item], p.tolist(), strict=True))
            expected += (-p[z].log() + 2.0 * torch.tensor(1 - inner).log()).item()
        assert loss.item() == pytest.approx(expected / len(index), abs=1e-4)
    torch.testing.assert_close(fitted.memory[:N], torch.tensor(memory))
    assert not fitted.memory[30:N].any(), "items that are not trained on"


def test_weight_zero_is_a_plain_classifier(tmp_path: Path) -> None:
    heads = []
    for kind in (ELRClassifier, Classifier):
        seed_everything(0)
        own = {"weight": 0.0} if kind is ELRClassifier else {}
        fitted = kind(K, 1, [4], MLP([6]), lr=0.05, **own)
        quiet_trainer(tmp_path).fit(fitted, data())
        heads.append(fitted.head.weight)
    torch.testing.assert_close(heads[0], heads[1])


def test_a_resumed_run_ends_as_the_uninterrupted_one(tmp_path: Path) -> None:
    def fit(folder: Path, resume: Path | None = None) -> ELRClassifier:
        seed_everything(3)
        fitted = model()
        every = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
        options = {"callbacks": [every], "plugins": [AtomicCheckpointIO()], "enable_checkpointing": True}
        quiet_trainer(folder, max_epochs=3, **options).fit(fitted, data(), ckpt_path=resume)
        return fitted

    straight = fit(tmp_path)
    for step in (2, 4, 7):
        resumed = fit(tmp_path / "again", tmp_path / f"step={step}.ckpt")
        assert torch.equal(resumed.memory, straight.memory)
        assert torch.equal(resumed.head.weight, straight.head.weight)


class KeepResult(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        torch.save((pl_module.memory[:N], pl_module.head.weight.detach()), self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.parametrize("batch_size", [5, 4])
def test_two_ranks_remember_and_learn_what_one_does(batch_size: int, tmp_path: Path) -> None:
    """30 training items: with 5 per rank no batch is filled up, with 4 the last one is."""
    found = []
    for devices in (1, 2):
        seed_everything(0)
        folder = tmp_path / str(devices)
        folder.mkdir()
        options = {"callbacks": [FreezeBatchNorm(), KeepResult(folder)], "precision": "64-true"}
        fitted = model(optimizer="SGD", weight_decay=0.0)
        quiet_trainer(folder, devices, **options).fit(fitted, data(batch_size=2 * batch_size // devices))
        found += [torch.load(file) for file in sorted(folder.glob("*.pt"))]
    assert len(found) == 3
    for memory, weight in found[1:]:
        torch.testing.assert_close(memory, found[0][0], rtol=0, atol=1e-9)
        torch.testing.assert_close(weight, found[0][1], rtol=0, atol=1e-9)


def test_what_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"data\.mix to NoMix"):
        quiet_trainer(tmp_path).fit(model(), data(mix=ItemMix()))
    with pytest.raises(ConfigError, match="AnnotatedDataModule"):
        quiet_trainer(tmp_path).fit(model(), GivenBatches([]))
    with pytest.raises(ConfigError, match="not of an ELRClassifier"):
        model().on_load_checkpoint({})
    monkeypatch.setattr("hilmix.functional.sizes.memory", lambda: 2 * 4 * N * K - 2)
    with pytest.raises(SizeError, match=f"GiB for {N} items, {K} classes"):
        quiet_trainer(tmp_path).fit(model(), data())
