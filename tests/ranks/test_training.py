"""Two ranks take the steps of one process that sees both their batches, with the draws that they made."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hilmix.data import AnnotatedDataModule
from hilmix.functional.inputs import as_float
from hilmix.types import Batch, MixPlan
from tests.ranks.every_config import CONFIGS, as_torchrun, build, small_folder, trainer

SOME = [*CONFIGS[::4], "method/hilmix.yaml"]
STEPS, EPOCHS = 3, 2  # the matrices of hilmix are fitted between the epochs


class OfBothRanks(AnnotatedDataModule):
    """Mixes the batch of one process, or a part of it, as two ranks mix the halves that the sampler deals them."""

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        if not getattr(self.trainer.lightning_module, "mixes_batches", False):
            self.deal(batch)
        return super().on_after_batch_transfer(batch, dataloader_idx)

    def deal(self, batch: Batch) -> None:
        self.second = batch.index[1::2]

    def mix_batch(self, batch: Batch, *, seed: int, counter: int, rank: int) -> Batch:
        parts, second = [], torch.isin(batch.index, self.second)
        for half, keep in enumerate((~second, second)):
            part = batch.select(keep)
            part = part._replace(input=as_float(part.input), mask=as_float(part.mask))
            mixed = super().mix_batch(part, seed=seed, counter=counter, rank=half)
            parts.append(mixed._replace(input=mixed.input.clone()))  # the next mix overwrites its buffer
        return joined(*parts)


def joined(first: Batch, second: Batch) -> Batch:
    """Both parts as one batch, the second behind the first."""
    shift, plan = len(first.index), None
    if first.plan is not None and second.plan is not None:
        rows = len(first.plan.partner)
        together = {name: both(getattr(first.plan, name), getattr(second.plan, name)) for name in ("weight", "box")}
        partner = torch.cat([first.plan.partner, second.plan.partner + rows])
        shares = None
        if first.plan.shares is not None and second.plan.shares is not None:  # own rows first, then those of partners
            own, other = zip(first.plan.shares.tensor_split(2), second.plan.shares.tensor_split(2), strict=True)
            shares = torch.cat([*own, *other])
        plan = MixPlan(partner, **together, rows=first.plan.rows, layer=first.plan.layer, shares=shares)
    fields = {name: both(getattr(first, name), getattr(second, name)) for name in Batch._fields if name != "plan"}
    return Batch(**(fields | {"row": torch.cat([first.row, second.row + shift]), "plan": plan}))


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


class WithoutDraws(Callback):
    """Dropout does nothing, batch norm uses its running statistics."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if getattr(pl_module, "mixes_batches", False) and isinstance(trainer.datamodule, OfBothRanks):
            trainer.datamodule.deal(batch)  # here, as clean passes between steps transfer batches too
        for module in pl_module.modules():
            if isinstance(module, (_BatchNorm, nn.Dropout)):
                module.eval()


def parameters_after(folder: Path, root: Path, config: str, ranks: int) -> dict[str, Tensor]:
    """All weights and buffers, in float64, after some steps of gradient descent."""
    model, data = build(config, root, batch_size=16 // ranks, dropout=0.0, optimizer="SGD", lr=0.1, lr_scaling="none")
    data.__class__ = AnnotatedDataModule if ranks > 1 else OfBothRanks
    limits = {"max_epochs": EPOCHS, "limit_train_batches": STEPS, "limit_val_batches": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda x: (1e3 * x).sin())  # noise that knows no rank
        trainer(folder, ranks, [WithoutDraws()], precision="64-true", **limits).fit(model, datamodule=data)
    return {name: value.clone() for name, value in model.state_dict().items()}


def on_two_ranks(rank: int, folder: Path, root: Path, configs: list[str]) -> dict[str, Any]:
    as_torchrun(rank, 2)
    return {config: parameters_after(folder, root, config, 2) for config in configs}


def check(configs: list[str], folder: Path, run_ranks: Any) -> None:
    root = small_folder(folder / "data")
    ranks = run_ranks(on_two_ranks, folder, root, configs)
    wrong = {}
    for config in configs:
        start = build(config, root, dropout=0.0)[0].state_dict()
        alone = parameters_after(folder, root, config, 1)
        assert any(not torch.equal(start[name].double(), value) for name, value in alone.items()), config
        for rank, found in enumerate(ranks):
            errors = [((found[config][name] - v) / v.abs().clamp_min(1)).abs().max() for name, v in alone.items()]
            if (error := float(torch.stack(errors).max())) > 1e-9:
                wrong[config, rank] = error
    assert not wrong


@pytest.mark.filterwarnings("ignore")
def test_some_configs_are_trained_alike_on_two_ranks(tmp_path, run_ranks):
    check(SOME, tmp_path, run_ranks)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_configs_are_trained_alike_on_two_ranks(tmp_path, run_ranks):
    check(CONFIGS, tmp_path, run_ranks)
