"""Two processes (gloo) compute what one process computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead
from hilmix.backbones import MLP
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.mix import AnnotMix
from hilmix.modules import Classifier
from hilmix.regularizers import EntropyPenalty
from hilmix.types import Batch, MixPlan
from tests.helpers import FreezeBatchNorm, GivenBatches, quiet_trainer

K, A, D = 3, 4, 5


def part(pairs: int, items: int, rows: str, seed: int) -> Batch:
    """One rank's batch with an injected plan; the input is the un-mixed one."""
    g = torch.Generator().manual_seed(seed)
    row = torch.randint(0, items, (pairs,), generator=g).sort().values
    size = pairs if rows == "pairs" else items
    plan = MixPlan(torch.randperm(size, generator=g), torch.rand(size, generator=g), rows=rows)
    return Batch(
        input=torch.randn(items, D, generator=g),
        index=torch.arange(items),
        target=torch.full((items,), -1),
        row=row,
        annotator=torch.randint(0, A, (pairs,), generator=g),
        label=torch.randint(0, K, (pairs,), generator=g),
        plan=plan if size else None,
    )


def joined(first: Batch, second: Batch) -> Batch:
    """Both parts as one process would see them."""
    items = len(first.index)
    plans = [b.plan for b in (first, second) if b.plan is not None]
    shift = len(first.plan.partner) if first.plan is not None else 0
    plan = MixPlan(
        torch.cat([p.partner + (shift if i else 0) for i, p in enumerate(plans)]),
        torch.cat([p.weight for p in plans]),
        rows=plans[0].rows,
    )
    return Batch(
        input=torch.cat([first.input, second.input]),
        index=torch.arange(items + len(second.index)),
        target=torch.cat([first.target, second.target]),
        row=torch.cat([first.row, second.row + items]),
        annotator=torch.cat([first.annotator, second.annotator]),
        label=torch.cat([first.label, second.label]),
        plan=plan,
    )


class MixedBatches(GivenBatches):
    """Hands out one given batch per rank, mixed by the plan it carries."""

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return batch if batch.plan is None else AnnotMix().apply(batch, batch.plan)


def one_step(folder: Path, batches: list[Batch], penalties: list[EntropyPenalty]) -> dict[str, Tensor]:
    """The gradient, as what one step of SGD with learning rate 1 takes away."""
    seed_everything(0)
    model = Classifier(
        K,
        A,
        [D],
        MLP([6], dropout=0.0),
        AnnotMixHead(embed_dim=4, dropout=0.0),
        penalties,
        optimizer="SGD",
        lr=1.0,
        weight_decay=0.0,
        schedule="constant",
    )
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    options = {"max_steps": 1, "callbacks": [FreezeBatchNorm()]}
    quiet_trainer(folder, len(batches), **options).fit(model, MixedBatches(batches))
    return {name: before[name] - p.detach() for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("rows", "pairs"), [("pairs", (7, 3)), ("items", (7, 3)), ("pairs", (5, 0)), ("items", (0, 5)), ("pairs", (1, 6))]
)
def test_two_processes_take_the_step_of_one(tmp_path: Path, rows: str, pairs: tuple[int, int]) -> None:
    first, second = (part(n, 4, rows, seed) for seed, n in enumerate(pairs))
    # a rank without pairs keeps its items as rows, which the penalty counts and one process with all pairs has not
    penalties = [] if rows == "pairs" and 0 in pairs else [EntropyPenalty(0.3)]
    alone = one_step(tmp_path, [joined(first, second)], penalties)
    together = one_step(tmp_path, [first, second], penalties)
    assert sum(float(g.abs().sum()) for g in alone.values()) > 0
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def uneven_folder(folder: Path) -> Path:
    """101 test items with 0 to 3 labels each, so that ranks get 51 and 50 items and other numbers of pairs."""
    rng = np.random.default_rng(0)
    n = 161
    votes = [(i, a, rng.integers(K)) for i in range(n) for a in rng.permutation(A)[: rng.integers(4)]]
    item, annotator, label = np.array(votes).T
    data = AnnotatedData(
        name="uneven",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(rng.normal(size=(n, D)).astype(np.float32), "vector"),
        annotations=Annotations.build(item, annotator, label, num_items=n, classes=K, annotators=A),
        target=rng.integers(-1, K, n),
        split=np.array(["train"] * 40 + ["val"] * 20 + ["test"] * 101),
    )
    return write_folder(data, folder / "data")


def test_test_metrics_of_two_processes_equal_those_of_one(tmp_path: Path) -> None:
    root = str(uneven_folder(tmp_path))
    results = []
    for devices in (1, 2):
        seed_everything(1)
        data = AnnotatedDataModule(root, batch_size=16)
        model = Classifier(K, A, [D], MLP([6]), AnnotMixHead(embed_dim=4))
        results.append(quiet_trainer(tmp_path, devices).test(model, data, verbose=False)[0])
    alone, together = results
    assert {"test/acc", "test/ece", "test/nll", "test/brier", "test/vote_nll", "test/annotator_auroc"} <= set(alone)
    assert together == pytest.approx(alone, abs=1e-6)


class WriteWeights(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        torch.save((batch.plan.weight, batch.index), self.folder / f"{trainer.global_rank}-{batch_idx}.pt")


def test_ranks_draw_different_weights_and_share_out_the_items(tmp_path: Path) -> None:
    seed_everything(1)
    data = AnnotatedDataModule(str(uneven_folder(tmp_path)), batch_size=10, mix=AnnotMix())
    model = Classifier(K, A, [D], MLP([6]), AnnotMixHead(embed_dim=4))
    quiet_trainer(tmp_path, 2, max_epochs=1, callbacks=[WriteWeights(tmp_path)], limit_val_batches=0).fit(model, data)
    weights = {name: torch.load(tmp_path / f"{name}.pt")[0][:8] for name in ("0-0", "0-1", "1-0", "1-1")}
    assert len({tuple(w.tolist()) for w in weights.values()}) == 4
    seen = torch.cat([torch.load(tmp_path / f"{name}.pt")[1] for name in weights])
    assert sorted(seen.tolist()) == list(range(40))
