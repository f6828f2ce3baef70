"""EMClassifier: its targets against a plain recomputation, resume, two ranks, and what it refuses."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead, DawidSkene
from hilmix.backbones import MLP, TimmBackbone
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.data.targets import Aggregated
from hilmix.errors import ConfigError, SizeError
from hilmix.functional.confusion import diagonal_confusion
from hilmix.functional.label_columns import LabelColumns
from hilmix.functional.out_of_fold import MatrixPrior, fit_out_of_fold, match_class_shares
from hilmix.mix import HiddenMix, ItemMix, NoMix
from hilmix.modules import Classifier, EMClassifier
from hilmix.modules.folds import draw_folds
from tests.helpers import PeakMemory, quiet_trainer

N, K, A, D = 40, 3, 4, 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 training items with 0 to 3 labels each."""
    rng = np.random.default_rng(0)
    votes = [(i, a, rng.integers(K)) for i in range(N + 20) for a in rng.permutation(A)[: rng.integers(4)]]
    item, annotator, label = np.array(votes).T
    data = AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(N + 20)),
        inputs=ArrayInputs(rng.normal(size=(N + 20, D)).astype(np.float32), "vector"),
        annotations=Annotations.build(item, annotator, label, num_items=N + 20, classes=K, annotators=A),
        target=rng.integers(0, K, N + 20),
        split=np.array(["train"] * N + ["val"] * 20),
    )
    return str(write_folder(data, tmp_path_factory.mktemp("data") / "toy"))


def model(**settings: Any) -> EMClassifier:
    options = {"backbone": MLP([6], dropout=0.5), "lr": 0.05, "warmup": 0.0, "every": 1} | settings
    return EMClassifier(K, A, [D], **options)


class BeforeEachEpoch(Callback):
    """Keeps the clean predictions from which an epoch's targets are made, and the targets."""

    def __init__(self) -> None:
        self.log_probs: list[Tensor] = []
        self.targets: list[Tensor] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:  # callbacks come before the module
        pl_module.eval()
        x = torch.as_tensor(trainer.datamodule.data.inputs.fetch(np.arange(N)))
        with torch.no_grad():
            self.log_probs.append(pl_module(x).log_softmax(-1))
        pl_module.train()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.targets.append(pl_module.em_targets.clone())


def by_loops(data: AnnotatedDataModule, log_probs: Tensor | None, before: Tensor, dependence: float) -> Tensor:
    """(N, K) E step for matrices (A, K, K), pair by pair; zeros for items without votes."""
    votes, found = data.train_annotations, torch.zeros(N, K)
    for n in range(N):
        mine = np.flatnonzero(votes.item == n)
        if not len(mine):
            continue
        power = 1 / (1 + (len(mine) - 1) * dependence)
        score = torch.zeros(K) if log_probs is None else log_probs[n].clone()
        for i in mine:
            for c in range(K):
                score[c] += power * math.log(before[votes.annotator[i], c, votes.label[i]])
        found[n] = score.softmax(0)
    return found


def test_targets_are_those_of_a_plain_recomputation(root: str, tmp_path: Path) -> None:
    seed_everything(0)
    data, seen = AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4)), BeforeEachEpoch()
    em = model(annotator_model=DawidSkene(eta=0.7, strength=2.0, dependence=0.3))
    quiet_trainer(tmp_path, callbacks=[seen]).fit(em, data)
    start = torch.full((K, K), 0.15).fill_diagonal_(0.7)
    torch.testing.assert_close(seen.targets[0][:N], by_loops(data, None, start.expand(A, K, K), 0.3))
    first = by_loops(data, seen.log_probs[1], start.expand(A, K, K), 0.3)
    counts, votes = torch.zeros(A, K, K), data.train_annotations
    for item, annotator, label in zip(votes.item, votes.annotator, votes.label, strict=True):
        counts[annotator, :, label] += first[item]
    shared = (counts.sum(0) + start) / (counts.sum(0) + start).sum(1, keepdim=True)
    own = counts + 2.0 * shared
    matrices = own / own.sum(2, keepdim=True)
    torch.testing.assert_close(em.annotator_model.log_confusion.exp(), torch.cat([matrices, shared[None]]))
    torch.testing.assert_close(seen.targets[1][:N], by_loops(data, seen.log_probs[1], matrices, 0.3))
    assert not seen.targets[1][N:].any(), "only training items have targets"


@pytest.mark.parametrize(
    ("warmup", "every", "expected"), [(0.0, 2, {1, 3, 5}), (0.5, 1, {3, 4, 5}), (0.34, 3, {2, 5}), (1.0, 1, set())]
)
def test_matrices_change_after_the_warmup_every_so_often(
    root: str, tmp_path: Path, warmup: float, every: int, expected: set[int]
) -> None:
    em, steps = model(warmup=warmup, every=every), set[int]()
    maximise = em.annotator_model.maximise
    em.annotator_model.maximise = lambda *votes: (steps.add(em.current_epoch), maximise(*votes))
    quiet_trainer(tmp_path, max_epochs=6).fit(em, AnnotatedDataModule(root, batch_size=64))
    assert steps == expected


def test_the_warmup_is_a_share_of_the_steps_where_they_end_the_run(root: str, tmp_path: Path) -> None:
    em = model(warmup=0.5)
    # 40 items in batches of 16: three steps an epoch, so four epochs although fifty are allowed
    quiet_trainer(tmp_path, max_epochs=50, max_steps=12).fit(em, AnnotatedDataModule(root, batch_size=16))
    assert em.em_epoch == 3
    assert not em.annotator_model.untouched


def test_a_run_within_the_warmup_is_reported(root: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    em = model(warmup=0.2)
    quiet_trainer(tmp_path, max_epochs=1).fit(em, AnnotatedDataModule(root))
    assert em.annotator_model.untouched
    assert "ended within the warm-up" in caplog.text
    caplog.clear()
    quiet_trainer(tmp_path, max_epochs=2).fit(model(warmup=1.0), AnnotatedDataModule(root))
    quiet_trainer(tmp_path, max_epochs=2).fit(em, AnnotatedDataModule(root))
    assert "warm-up" not in caplog.text


def test_another_fit_makes_its_own_targets(root: str, tmp_path: Path) -> None:
    em, answers = model(warmup=1.0), AnnotatedDataModule(root)
    quiet_trainer(tmp_path, max_epochs=1).fit(em, answers)
    first = em.em_targets
    votes = answers.data.annotations
    turned = Annotations.build(
        votes.item, votes.annotator, (votes.label + 1) % K, num_items=N + 20, classes=K, annotators=A
    )
    data = replace(answers.data, annotations=turned)
    quiet_trainer(tmp_path, max_epochs=1).fit(em, AnnotatedDataModule(str(write_folder(data, tmp_path / "turned"))))
    torch.testing.assert_close(em.em_targets, first.roll(1, dims=1))


def test_restored_targets_follow_the_model_to_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning restores a checkpoint before it moves the model."""
    em = model()
    em.on_load_checkpoint({"em": {"targets": torch.ones(N, K), "epoch": 3}, "seed": 0})
    monkeypatch.setattr(EMClassifier, "device", torch.device("meta"))
    monkeypatch.setattr(EMClassifier, "trainer", Trainer(logger=False, enable_checkpointing=False))
    em.on_fit_start()
    assert em.em_targets.device.type == "meta"


def test_training_asks_no_annotator(root: str, tmp_path: Path) -> None:
    em = model()
    em.annotator_model.register_forward_hook(lambda module, *_: pytest.fail("asked") if em.training else None)
    quiet_trainer(tmp_path).fit(em, AnnotatedDataModule(root, mix=ItemMix(0.4)))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_it_trains_at_any_precision(root: str, tmp_path: Path, precision: str) -> None:
    em = model()
    quiet_trainer(tmp_path, precision=precision).fit(em, AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4)))
    assert not em.annotator_model.untouched
    assert all(parameter.isfinite().all() for parameter in em.parameters())


def test_evaluation_uses_the_same_posterior_as_the_targets(root: str, tmp_path: Path) -> None:
    seed_everything(0)
    data = AnnotatedDataModule(root, batch_size=64)
    em = model()
    quiet_trainer(tmp_path).fit(em, data)
    em.eval()
    with torch.no_grad():
        output = em.evaluate(next(iter(data.clean_dataloader("train"))))
    expected = by_loops(data, output.logits.log_softmax(-1), em.annotator_model.log_confusion[:A].exp(), 0.3)
    voted = torch.from_numpy(data.data.annotations.labels_per_item[:N] > 0)
    torch.testing.assert_close(output.posterior[voted], expected[voted], rtol=1e-4, atol=1e-5)


MIXES = {"none": NoMix(), "item": ItemMix(0.5), "features": HiddenMix(0.5), "hidden": HiddenMix(0.5, layer="0")}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES.keys())
def test_every_parameter_trains_under_every_mix(root: str, tmp_path: Path, mix: Any) -> None:
    seed_everything(0)
    em = model(fold_networks=2)
    before = {name: p.detach().clone() for name, p in em.named_parameters()}
    quiet_trainer(tmp_path).fit(em, AnnotatedDataModule(root, batch_size=16, mix=mix))
    for name, parameter in em.named_parameters():
        assert not torch.equal(parameter, before[name]), name
        assert parameter.isfinite().all(), name


def fit(root: str, folder: Path, resume: Path | None = None, *, folds: int) -> dict[str, Tensor]:
    seed_everything(3)
    em = model(every=2, fold_networks=folds)
    if resume is not None:
        torch.manual_seed(99)
    every_step = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    end = ModelCheckpoint(folder, filename="end-{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    options = {"max_epochs": 4, "plugins": [AtomicCheckpointIO()], "enable_checkpointing": resume is None}
    run = quiet_trainer(folder, **options, callbacks=[every_step, end] if resume is None else [])
    run.fit(em, AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4)), ckpt_path=resume, weights_only=True)
    return {name: value.clone() for name, value in em.state_dict().items() if "metrics" not in name}


@pytest.mark.parametrize("folds", [0, 2])
def test_a_resumed_run_equals_the_uninterrupted_one(root: str, tmp_path: Path, folds: int) -> None:
    straight = fit(root, tmp_path, folds=folds)
    names = ["step=1", "step=3", "step=4", "step=5", "step=8", "end-epoch=0", "end-epoch=1", "end-epoch=2"]
    for name in names:
        resumed = fit(root, tmp_path, tmp_path / f"{name}.ckpt", folds=folds)
        for key, value in straight.items():
            assert torch.equal(resumed[key], value), f"{name}: {key}"


def test_a_checkpoint_rebuilds_the_model(root: str, tmp_path: Path) -> None:
    fit(root, tmp_path, folds=2)
    em = EMClassifier.load_from_checkpoint(tmp_path / "end-epoch=3.ckpt")
    assert (em.warmup, em.every, len(em.out_of_fold)) == (0.0, 2, 2)
    assert em.annotator_model.log_confusion.exp().sum(2) == pytest.approx(1, abs=1e-5)
    assert not torch.equal(em.annotator_model.log_confusion[0], em.annotator_model.log_confusion[1])


def test_cheap_networks_get_more_folds() -> None:
    """A timm network gets two, for twice the time of one; the number chosen is what a checkpoint holds."""
    image = EMClassifier(K, A, [3, 8, 8], backbone=TimmBackbone("resnet10t"), fold_networks="auto")
    vector = model(fold_networks="auto")
    assert [len(em.out_of_fold) for em in (image, vector)] == [2, 5]
    assert vector.hparams["fold_networks"] == 5


def two_epochs(root: str, folder: Path, devices: int, folds: int) -> tuple[Tensor, Tensor]:
    """Targets and matrices after the E and M steps of the second epoch; the weights stay as they were."""
    seed_everything(0)
    em = model(backbone=MLP([6], dropout=0.0), optimizer="SGD", lr=0.0, weight_decay=0.0, fold_networks=folds)
    strategy = "ddp_fork" if devices > 1 else "auto"
    data = AnnotatedDataModule(root, batch_size=16)
    result = KeepResult(folder)
    quiet_trainer(folder, devices=devices, strategy=strategy, callbacks=[result]).fit(em, data)
    return torch.load(folder / f"targets-{devices}.pt")


class KeepResult(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero:
            result = (pl_module.em_targets, pl_module.annotator_model.log_confusion)
            torch.save(result, self.folder / f"targets-{trainer.world_size}.pt")


@pytest.mark.parametrize("folds", [0, 2])
def test_two_ranks_make_the_targets_of_one(root: str, tmp_path: Path, folds: int) -> None:
    alone, together = two_epochs(root, tmp_path, 1, folds), two_epochs(root, tmp_path, 2, folds)
    for one, two in zip(alone, together, strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-6)


def test_what_it_refuses(root: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"annotator_model`.*DawidSkene.*AnnotMixHead"):
        model(annotator_model=AnnotMixHead())
    with pytest.raises(ConfigError, match=r"`model.warmup` must be in \[0, 1\], got 1\.5"):
        model(warmup=1.5)
    with pytest.raises(ConfigError, match=r"`model.every` must be >= 1, got 0"):
        model(every=0)
    with pytest.raises(ConfigError, match=r"`model.fold_networks`.*got 1"):
        model(fold_networks=1)
    with pytest.raises(ConfigError, match=r"`model.fold_networks`.*'many'"):
        model(fold_networks="many")
    with pytest.raises(ConfigError, match=r"set trainer\.max_epochs or max_steps"):
        quiet_trainer(tmp_path, max_epochs=-1).fit(model(), AnnotatedDataModule(root))
    with pytest.raises(ConfigError, match="not of an EMClassifier"):
        model().on_load_checkpoint({})
    plain = Classifier(K, A, [D], MLP([6]), DawidSkene())
    with pytest.raises(ConfigError, match=r"must be hilmix\.modules\.EMClassifier"):
        quiet_trainer(tmp_path).fit(plain, AnnotatedDataModule(root))
    with pytest.raises(ConfigError, match="single votes"):
        quiet_trainer(tmp_path).fit(model(), AnnotatedDataModule(root, targets=Aggregated("majority")))


@pytest.mark.parametrize("folds", [0, 2])
@pytest.mark.parametrize("soft", [False, True])
def test_targets_are_sized_before_they_are_allocated(
    soft: bool, folds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for covers what the second M and E step hold, and not twice of it; without room it is refused."""
    n, k = 900, 40
    rng = np.random.default_rng(0)
    labels: dict[str, Any] = {"probs": rng.dirichlet(np.ones(k), n)} if soft else {"label": rng.integers(k, size=n)}
    votes = Annotations.build(np.arange(n), np.zeros(n, int), num_items=n, classes=k, annotators=1, **labels)
    inputs = ArrayInputs(rng.normal(size=(n, D)).astype(np.float32), "vector")
    made = AnnotatedData("x", tuple(map(str, range(n))), inputs, votes, split=np.array(["train"] * n))
    write_folder(made, tmp_path / "many")
    asked: list[int] = []
    monkeypatch.setattr(
        "hilmix.modules.training_items.require_memory", lambda what, needed, **sizes: asked.append(needed)
    )
    monkeypatch.setattr("hilmix.functional.confusion.CHUNK_CELLS", 4 * k * k)
    for user in ("functional.label_columns", "modules.training_items"):
        monkeypatch.setattr(f"hilmix.{user}.PART_CELLS", n // 3 * k)
    em = EMClassifier(k, 1, [D], backbone=MLP([6]), warmup=0.0, every=1, fold_networks=folds)
    peaks: list[int] = []

    class Step(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.current_epoch == 1 and batch_idx == 0:
                before = pl_module.em_targets.nbytes
                with PeakMemory() as memory:
                    pl_module._start_epoch(1)
                peaks.append(before + memory.peak)

    quiet_trainer(tmp_path, max_epochs=2, callbacks=[Step()]).fit(em, AnnotatedDataModule(str(tmp_path / "many")))
    assert peaks[0] <= asked[0] <= 2 * peaks[0]
    monkeypatch.undo()
    monkeypatch.setattr("hilmix.functional.sizes.memory", lambda: 2 * asked[0] - 2)
    with pytest.raises(SizeError, match=f"GiB for {n} items, {k} classes"):
        quiet_trainer(tmp_path).fit(em, AnnotatedDataModule(str(tmp_path / "many")))


def test_backbones_of_frozen_batch_norm_stay_frozen_in_the_clean_pass(root: str, tmp_path: Path) -> None:
    em = model()
    em.backbone.net.append(nn.BatchNorm1d(6).eval())
    quiet_trainer(tmp_path, max_epochs=2).fit(em, AnnotatedDataModule(root, batch_size=16))
    assert not em.backbone.net[-1].training


def all_items(data: AnnotatedDataModule) -> Any:
    """One batch of the whole table."""
    data.batch_size = 100
    return next(iter(data.clean_dataloader("all")))


def test_training_items_are_predicted_by_the_network_that_has_not_seen_them(root: str, tmp_path: Path) -> None:
    seed_everything(0)
    em, data = model(fold_networks=2), AnnotatedDataModule(root, batch_size=16)
    quiet_trainer(tmp_path).fit(em, data)
    em.eval()
    batch, fold = all_items(data), torch.from_numpy(draw_folds(data, 2, seed=0))
    with torch.no_grad():
        output, alone = em.evaluate(batch), em(batch.input)
        each = torch.stack([network(batch.input) for network in em.out_of_fold]).log_softmax(-1)
    assert output.fold.tolist() == fold[batch.index].tolist()
    for row, f in enumerate(output.fold.tolist()):
        expected = alone[row] if f < 0 else each[f, row]
        torch.testing.assert_close(output.logits[row].log_softmax(-1), expected.log_softmax(-1))


def test_matrices_and_targets_come_from_out_of_fold_predictions(root: str, tmp_path: Path) -> None:
    seed_everything(0)
    em, data = model(fold_networks=2, lr=0.0, backbone=MLP([6], dropout=0.0)), AnnotatedDataModule(root, batch_size=16)
    quiet_trainer(tmp_path).fit(em, data)  # at rate 0 the networks at the end are those of the M step
    em.eval()
    batch, fold = all_items(data), torch.from_numpy(draw_folds(data, 2, seed=0))
    with torch.no_grad():
        each = torch.stack([network(batch.input) for network in em.out_of_fold]).log_softmax(-1)
    trained = (fold >= 0).nonzero().flatten()
    log_probs = torch.zeros(len(fold), K)
    log_probs[batch.index] = each[fold[batch.index].clamp_min(0), torch.arange(len(batch.index))]
    votes = data.train_annotations
    voted = torch.from_numpy(np.unique(votes.item))
    flat = by_loops(data, None, diagonal_confusion(K, 0.8).expand(A, K, K), 0.3)[voted]
    log_probs[voted] = match_class_shares(log_probs[voted], flat.mean(0))
    labels = LabelColumns(*(torch.from_numpy(column) for column in (votes.item, votes.annotator, votes.label)))
    weak = diagonal_confusion(K, 4 / (4 + K - 1)).log().expand(A + 1, K, K)
    matrices, _ = fit_out_of_fold(log_probs, labels, fold, MatrixPrior(weak, diagonal_confusion(K, 0.8), 3.0, 0.3))
    torch.testing.assert_close(em.annotator_model.log_confusion, matrices)
    expected = by_loops(data, log_probs, matrices[:A].exp(), 0.3)
    torch.testing.assert_close(em.em_targets[trained], expected[trained])


def test_targets_of_a_fold_do_not_train_its_network(root: str, tmp_path: Path) -> None:
    class Turned(EMClassifier):
        """Its targets of fold 0 are those of other labels."""

        def _start_epoch(self, epoch: int) -> None:
            super()._start_epoch(epoch)
            rows = (self._fold_of(torch.arange(N + 20)) == 0).nonzero().flatten()
            self.em_targets[rows] = self.em_targets[rows].roll(1, dims=1)

    def trained(kind: type[EMClassifier]) -> list[dict[str, Tensor]]:
        seed_everything(0)
        em = kind(K, A, [D], backbone=MLP([6], dropout=0.5), lr=0.05, warmup=1.0, fold_networks=2)
        quiet_trainer(tmp_path, gradient_clip_val=0.1).fit(
            em, AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4))
        )
        return [{k: v.clone() for k, v in network.state_dict().items()} for network in em.out_of_fold]

    plain, turned = trained(EMClassifier), trained(Turned)
    assert all(torch.equal(value, turned[0][name]) for name, value in plain[0].items())
    assert not torch.equal(plain[1]["head.weight"], turned[1]["head.weight"])


def test_the_network_trains_as_without_folds_before_the_first_m_step(root: str, tmp_path: Path) -> None:
    """Fold networks take no draws from it."""
    heads = []
    for folds in (0, 2):
        seed_everything(0)
        em = model(warmup=1.0, fold_networks=folds)
        quiet_trainer(tmp_path).fit(em, AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4)))
        heads.append(em.head.weight)
    torch.testing.assert_close(heads[0], heads[1], rtol=0, atol=0)


@pytest.mark.parametrize("folds", [0, 2])
def test_batch_norm_sees_the_steps_of_training_alone(root: str, tmp_path: Path, folds: int) -> None:
    """Clean passes, E steps and validation leave the running statistics of every network alone."""
    em = model(backbone=MLP([6], norm="batch"), fold_networks=folds)
    run = quiet_trainer(tmp_path, max_epochs=3)
    run.fit(em, AnnotatedDataModule(root, batch_size=16, mix=ItemMix(0.4)))
    norms = [module for module in em.modules() if isinstance(module, nn.BatchNorm1d)]
    assert len(norms) == 1 + folds
    assert run.global_step == 3 * math.ceil(N / 16)
    assert [int(norm.num_batches_tracked) for norm in norms] == [run.global_step] * len(norms)
