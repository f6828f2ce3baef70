"""Cross-fitting: no label of a fold reaches the network that predicts it, runs resume, and ranks agree."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead, CrowdLayer, TraceReg
from hilmix.backbones import MLP
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.data import Aggregated, AnnotatedDataModule, write_folder
from hilmix.errors import ConfigError
from hilmix.mix import AnnotMix, HiddenMix, ItemMix, MixPolicy
from hilmix.modules import CrossFitClassifier, CrowdModel, EMClassifier, FoldNetworks
from hilmix.modules.folds import draw_folds
from hilmix.types import StepOutput
from tests.helpers import vector_data

K, A, D = 3, 3, 4
Settings = dict[str, Any]
PLAIN: Settings = {"network": "hilmix.modules.Classifier", "lr": 0.05, "weight_decay": 0.0}
EM: Settings = {"network": "hilmix.modules.EMClassifier", "lr": 0.05, "warmup": 0.0, "every": 1}


def model(settings: Settings = PLAIN, *, folds: int = 2, **more: Any) -> CrossFitClassifier:
    seed_everything(3, verbose=False)
    shape: Settings = {"num_classes": K, "num_annotators": A, "input_shape": [D], "backbone": MLP([6], dropout=0.3)}
    return CrossFitClassifier(folds=folds, **shape | settings | more)


def trainer(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    plain = {"max_epochs": 2, "enable_checkpointing": False, "accelerator": "cpu", "default_root_dir": folder}
    return Trainer(**plain | quiet | options)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_folder(vector_data(), tmp_path_factory.mktemp("data") / "toy"))


def data(root: str, *, mix: MixPolicy | None = None, **options: Any) -> AnnotatedDataModule:
    return AnnotatedDataModule(root, mix=mix, **{"batch_size": 8} | options)


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items() if "metrics" not in name}


def fixed_folds(datamodule: Any, folds: int, *, seed: int, left_out: Any = None) -> np.ndarray:
    """In place of stratified ones, which other labels would change."""
    fold = np.full(len(datamodule.data), -1)
    rows = datamodule.rows("train")
    fold[rows] = np.arange(len(rows)) % folds
    return fold


def relabelled(root: str, folder: Path, fold: int, folds: int) -> str:
    """The data with every label of the training items of a fold changed."""
    given = vector_data()
    votes, rows = given.annotations, np.flatnonzero(given.split == "train")
    turned = np.isin(votes.item, rows[np.arange(len(rows)) % folds == fold])
    label = np.where(turned, (votes.label + 1) % K, votes.label)
    other = Annotations.build(
        votes.item, votes.annotator, label, num_items=len(given), classes=votes.classes, annotators=votes.annotators
    )
    return str(write_folder(replace(given, annotations=other), folder))


CASES: list[tuple[Settings, MixPolicy | None, Settings]] = [
    (PLAIN, None, {}),
    (PLAIN | {"annotator_model": AnnotMixHead(embed_dim=4)}, AnnotMix(), {}),
    (PLAIN | {"annotator_model": CrowdLayer()}, ItemMix(), {"gradient_clip_val": 0.1}),
    (PLAIN | {"annotator_model": TraceReg()}, HiddenMix(layer="0"), {"accumulate_grad_batches": 2}),
    (EM, ItemMix(0.4), {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    (EM | {"fold_networks": 2}, ItemMix(0.4), {}),
    (PLAIN | {"backbone": MLP([6], norm="batch")}, ItemMix(), {}),  # running statistics are compared too
]


@pytest.mark.parametrize(
    ("settings", "mix", "options"), CASES, ids=["face", "annot-mix", "crowd", "trace", "em", "folds", "norm"]
)
@pytest.mark.parametrize("folds", [2, 3])
def test_labels_of_a_fold_change_nothing_in_the_network_that_predicts_it(
    root: str, tmp_path: Path, monkeypatch: Any, settings: Settings, mix: Any, options: Settings, folds: int
) -> None:
    monkeypatch.setattr("hilmix.modules.folds.draw_folds", fixed_folds)

    def trained(where: str) -> list[dict[str, Tensor]]:
        fitted = model(settings, folds=folds)
        trainer(tmp_path, **options).fit(fitted, data(where, mix=mix))
        return [weights(network) for network in fitted.networks]

    before = trained(root)
    for fold in range(folds):
        after = trained(relabelled(root, tmp_path / f"turned-{fold}", fold, folds))
        for f in range(folds):
            same = [name for name, value in before[f].items() if torch.equal(after[f][name], value)]
            assert (len(same) == len(before[f])) == (f == fold), (fold, f)


def test_a_step_has_gradients_from_other_folds_alone(root: str, tmp_path: Path) -> None:
    """The gradient of network f is that of a model of its own on the items outside fold f, with its draws."""
    fitted, seen = model(folds=3), []
    training_batch = fitted.training_batch
    fitted.training_batch = lambda *args: seen.append(training_batch(*args)) or seen[-1]
    run = trainer(tmp_path, max_steps=1, callbacks=[])
    before = [weights(network) for network in fitted.networks]
    answers = data(root, mix=ItemMix())
    run.fit(fitted, answers)
    fold = fitted.fold_of(torch.arange(60))
    assert len(seen) == 3
    for f, batch in enumerate(seen):
        assert len(batch.index) > 1
        assert (fold[batch.index] != f).all()
        assert sorted(batch.plan.partner.tolist()) == list(range(len(batch.index)))
        assert not torch.equal(before[f]["head.weight"], weights(fitted.networks[f])["head.weight"])


def test_a_network_trains_as_a_plain_run_on_its_items(root: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Without dropout and mixing, two folds of which the batches are known: SGD by hand on the rest."""
    monkeypatch.setattr("hilmix.modules.folds.draw_folds", fixed_folds)
    options = {"optimizer": "SGD", "schedule": "constant", "backbone": MLP([6], dropout=0.0)}
    fitted = model(PLAIN | options)
    answers = data(root, batch_size=100)  # one batch is all
    alone = CrowdModel(K, A, [D], MLP([6], dropout=0.0))
    alone.load_state_dict({k: v for k, v in weights(fitted.networks[0]).items() if not k.startswith("train_loss")})
    trainer(tmp_path, max_epochs=5).fit(fitted, answers)
    alone.input_mean.copy_(fitted.networks[0].input_mean)
    alone.input_std.copy_(fitted.networks[0].input_std)
    batch = next(iter(answers.clean_dataloader("train")))
    batch = batch._replace(input=batch.input.float()).select(
        torch.from_numpy(fixed_folds(answers, 2, seed=0))[batch.index] == 1
    )
    sgd = torch.optim.SGD(alone.parameters(), lr=0.05)
    for _ in range(5):
        sgd.zero_grad()
        alone.loss(batch).backward()
        sgd.step()
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(fitted.networks[0])[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [PLAIN | {"annotator_model": TraceReg()}, EM, PLAIN], ids=["trace", "em", "face"])
def test_items_are_predicted_by_the_networks_that_did_not_see_them(
    root: str, tmp_path: Path, settings: Settings
) -> None:
    fitted, answers = model(settings, folds=3), data(root)
    trainer(tmp_path).fit(fitted, answers)
    fitted.eval()
    batch = next(iter(data_of_all(answers)))
    with torch.no_grad():
        output = fitted.evaluate(batch)
        each = [network.evaluate(batch) for network in fitted.networks]
    fold = draw_folds(answers, 3, seed=3)
    assert output.fold.tolist() == fold[batch.index].tolist()
    assert (fold >= 0).tolist() == (answers.split == "train").tolist()
    found, *alone = [values_of(one) for one in (output, *each)]
    fields = {"class_probs": None, "posterior": None, "label_log_probs": "row", "log_likelihood": "row"}
    for name, row in (fields | {"diagonal": "row", "confusion": "row"}).items():
        if alone[0][name] is None:
            assert found[name] is None
            continue
        for i, value in enumerate(found[name]):
            item = int(batch.index[batch.row[i] if row else i])
            by = [fold[item]] if fold[item] >= 0 else range(3)
            values = torch.stack([alone[f][name][i] for f in by])
            expected = values.exp().mean(0).log() if name.startswith("l") else values.mean(0)
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def values_of(output: StepOutput) -> dict[str, Any]:
    matrices = None if output.confusion is None else output.confusion.dense()
    return output._asdict() | {"class_probs": output.class_probs, "confusion": matrices}


def data_of_all(answers: AnnotatedDataModule) -> Any:
    answers.batch_size = 100
    return answers.clean_dataloader("all")


def test_folds_depend_on_names_not_on_the_order_of_rows(tmp_path: Path) -> None:
    given = vector_data()
    order = np.random.default_rng(1).permutation(len(given))
    place = np.argsort(order)
    votes = given.annotations
    turned = replace(
        given,
        items=tuple(given.items[i] for i in order),
        inputs=type(given.inputs)(given.inputs.fetch(order).numpy(), "vector"),
        annotations=Annotations.build(
            place[votes.item],
            votes.annotator,
            votes.label,
            num_items=len(given),
            classes=votes.classes,
            annotators=votes.annotators,
        ),
        target=given.target[order],
        split=given.split[order],
    )
    first, second = (
        AnnotatedDataModule(str(write_folder(one, tmp_path / name))) for one, name in ((given, "a"), (turned, "b"))
    )
    fold, other = draw_folds(first, 3, seed=5), draw_folds(second, 3, seed=5)
    assert dict(zip(first.data.items, fold, strict=True)) == dict(zip(second.data.items, other, strict=True))


def test_rare_classes_are_named(root: str, caplog: pytest.LogCaptureFixture) -> None:
    draw_folds(data(root), 3, seed=0)
    assert not caplog.text
    draw_folds(data(root), 20, seed=0)
    assert "fewer training items than there are folds" in caplog.text


def fit(root: str, folder: Path, settings: Settings, resume: Path | None = None) -> dict[str, Tensor]:
    fitted = model(settings, folds=3)
    if resume is not None:
        torch.manual_seed(99)
    every_step = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    end = ModelCheckpoint(folder, filename="end-{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    options = {"max_epochs": 3, "plugins": [AtomicCheckpointIO()], "enable_checkpointing": resume is None}
    run = trainer(folder, **options, callbacks=[every_step, end] if resume is None else [])
    run.fit(fitted, data(root, mix=ItemMix(0.4)), ckpt_path=resume, weights_only=True)
    return weights(fitted)


@pytest.mark.parametrize("settings", [PLAIN | {"annotator_model": TraceReg()}, EM], ids=["trace", "em"])
def test_a_resumed_run_equals_the_uninterrupted_one(root: str, tmp_path: Path, settings: Settings) -> None:
    straight = fit(root, tmp_path, settings)
    for name in ("step=1", "step=3", "step=4", "step=6", "end-epoch=0", "end-epoch=1"):
        resumed = fit(root, tmp_path, settings, tmp_path / f"{name}.ckpt")
        for key, value in straight.items():
            assert torch.equal(resumed[key], value), f"{name}: {key}"


def test_a_checkpoint_brings_networks_and_folds_also_to_other_data(root: str, tmp_path: Path) -> None:
    fitted = model(EM, folds=2)
    run = trainer(tmp_path, plugins=[AtomicCheckpointIO()], enable_checkpointing=True)
    run.fit(fitted, data(root))
    run.save_checkpoint(tmp_path / "run.ckpt")
    again = CrossFitClassifier.load_from_checkpoint(tmp_path / "run.ckpt")
    assert [type(network) for network in again.networks] == [EMClassifier] * 2
    given = vector_data()
    other = replace(given, items=(*given.items[:29], "new", *given.items[30:]))
    answers = AnnotatedDataModule(str(write_folder(other, tmp_path / "other")))
    outputs = trainer(tmp_path).predict(again, answers)
    found = {int(i): int(f) for output in outputs for i, f in zip(output.index, output.fold, strict=True)}
    expected = fitted.fold_of(torch.arange(60)).tolist()
    assert [found[i] for i in range(60)] == [*expected[:29], -1, *expected[30:]]


def test_a_frozen_backbone_is_shared(root: str, tmp_path: Path) -> None:
    networks = [CrowdModel(K, A, [D], MLP([6])) for _ in range(2)]
    assert FoldNetworks(networks)[0].backbone is not networks[1].backbone
    for network in networks:
        network.backbone.requires_grad_(False)
    shared = FoldNetworks(networks)
    assert shared[0].backbone is shared[1].backbone
    assert shared[0].head is not shared[1].head


def test_networks_start_apart_and_know_their_settings() -> None:
    one = EMClassifier(K, A, [D], MLP([6]), lr=0.3, warmup=0.5)
    fitted = CrossFitClassifier.from_classifier(one, folds=4)
    assert fitted.hparams["warmup"] == 0.5
    assert fitted.lr == 0.3
    heads = [network.head.weight for network in fitted.networks]
    assert len({float(head.sum()) for head in heads}) == 4


@pytest.mark.parametrize("folds", [1, 0, -3])
def test_fewer_than_two_folds_are_refused(folds: int) -> None:
    with pytest.raises(ConfigError, match=rf"`folds` must be >= 2, got {folds}"):
        model(folds=folds)


def test_what_it_refuses(root: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`folds` must be in \[2, 30\].*got 31"):
        trainer(tmp_path).fit(model(folds=31), data(root))
    loader = torch.utils.data.DataLoader([torch.zeros(D)])
    with pytest.raises(ConfigError, match="AnnotatedDataModule"):
        trainer(tmp_path).fit(model(), loader)
    with pytest.raises(ConfigError, match="single votes"):
        trainer(tmp_path).fit(model(EM), data(root, targets=Aggregated("majority")))
    with pytest.raises(ConfigError, match="crossfit"):
        model().on_load_checkpoint({})
    with pytest.raises(ConfigError, match="Classifier"):
        CrossFitClassifier.from_classifier(torch.nn.Linear(1, 1), folds=2)


def test_a_batch_of_one_fold_trains_the_other_networks(root: str, tmp_path: Path) -> None:
    fitted = model(PLAIN | {"annotator_model": TraceReg()}, folds=2)
    trainer(tmp_path, max_epochs=1).fit(fitted, data(root, batch_size=1, mix=ItemMix()))
    assert all(value.isfinite().all() for value in weights(fitted).values())
