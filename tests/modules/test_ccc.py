"""CCCClassifier: what guides each network, its relation to the crowd layer, resume, two ranks, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from hilmix.annotators import CrowdLayer, Perfect
from hilmix.backbones import MLP
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.data import Aggregated, AnnotatedDataModule
from hilmix.errors import ConfigError, SizeError
from hilmix.mix import ItemMix
from hilmix.modules import CCCClassifier, Classifier
from tests.helpers import in_memory, quiet_trainer, vector_data

K, A, TRAIN = 3, 3, 30


def model(**settings: Any) -> CCCClassifier:
    options = {"backbone": MLP([6], dropout=0.0), "lr": 0.05, "schedule": "constant", "warmup": 0.0} | settings
    return CCCClassifier(K, A, [4], **options)


def data(**settings: Any) -> AnnotatedDataModule:
    return in_memory(vector_data(), **settings)


def fit(folder: Path, *, resume: Path | None = None, batch_size: int = 8, **settings: Any) -> CCCClassifier:
    seed_everything(3)
    fitted = model(**settings)
    every = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    options = {"callbacks": [every], "plugins": [AtomicCheckpointIO()], "enable_checkpointing": True}
    quiet_trainer(folder, max_epochs=3, **options).fit(fitted, data(batch_size=batch_size), ckpt_path=resume)
    return fitted


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CCCClassifier]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(folder)


def test_each_network_is_guided_by_the_labels_that_look_clean_to_the_other(tmp_path: Path) -> None:
    fitted = model(lr=0.0, clean_items=9)  # at rate 0 the networks at the end are those of the last epoch's begin
    served = data()
    quiet_trainer(tmp_path).fit(fitted, served)
    fitted.eval()
    x = torch.as_tensor(served.data.inputs.fetch(list(range(TRAIN))))
    votes = set(zip(served.train_annotations.item.tolist(), served.train_annotations.label.tolist(), strict=True))
    networks = [fitted, fitted.peer]
    with torch.no_grad():
        features = [network.features(network.standardized(x)) for network in networks]
        losses = [-n.head(h).log_softmax(-1) for n, h in zip(networks, features, strict=True)]
    for which, guide in enumerate(fitted.guides):
        expected = []
        for c in range(K):
            given = sorted((losses[1 - which][item, c].item(), item) for item, z in votes if z == c)
            expected += [(c, item) for _, item in given[:3]]
        rows = torch.tensor([item for _, item in expected])
        assert guide.label.tolist() == [c for c, _ in expected]
        torch.testing.assert_close(guide.features, features[which][rows])
    assert losses[0].argmin(1).tolist() != losses[1].argmin(1).tolist(), "the networks differ"


def test_without_a_correction_it_is_a_crowd_layer(tmp_path: Path) -> None:
    fitted = []
    for kind, own in ((CCCClassifier, {"rate": 0.0}), (Classifier, {"annotator_model": CrowdLayer()})):
        seed_everything(0)
        fitted.append(kind(K, A, [4], MLP([6]), lr=0.05, **own))
        quiet_trainer(tmp_path, max_epochs=3).fit(fitted[-1], data())
    assert fitted[0].guides
    torch.testing.assert_close(fitted[0].head.weight, fitted[1].head.weight)
    torch.testing.assert_close(fitted[0].annotator_model.weight, fitted[1].annotator_model.weight)


def test_a_correction_changes_what_is_learned(run: tuple[Path, CCCClassifier], tmp_path: Path) -> None:
    plain = fit(tmp_path, rate=0.0)
    assert not torch.allclose(plain.head.weight, run[1].head.weight)
    assert not torch.allclose(plain.peer.head.weight, run[1].peer.head.weight)


def test_predictions_are_means_over_both_networks(run: tuple[Path, CCCClassifier]) -> None:
    fitted = run[1].eval()
    batch = next(iter(fitted.trainer.datamodule.clean_dataloader("test")))
    with torch.no_grad():
        networks = [Classifier.forward(fitted, batch.input), fitted.peer(batch.input)]
        output = fitted.evaluate(batch)
    expected = torch.stack([logits.softmax(-1) for logits in networks]).mean(0)
    torch.testing.assert_close(fitted.predict_proba(batch.input), expected)
    torch.testing.assert_close(output.class_probs, expected)
    assert output.fold is None


def test_annotators_in_groups_and_unknown_ones_in_none(run: tuple[Path, CCCClassifier]) -> None:
    for guide in run[1].guides:
        assert guide.group.shape == (A + 1,)
        assert sorted(guide.group.tolist()) == [-1, 0, 1, 2], "three annotators who differ, in at most 30 groups"


def test_a_resumed_run_ends_as_the_uninterrupted_one(run: tuple[Path, CCCClassifier], tmp_path: Path) -> None:
    folder, straight = run
    for step in (3, 6, 8):
        resumed = fit(tmp_path, resume=folder / f"step={step}.ckpt")
        for name, value in straight.named_parameters():
            assert torch.equal(dict(resumed.named_parameters())[name], value), (step, name)


class KeepResult(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        state = {name: value.detach() for name, value in pl_module.named_parameters()}
        torch.save(state, self.folder / f"{trainer.world_size}-{trainer.global_rank}.pt")


def test_two_ranks_take_the_steps_of_one(tmp_path: Path) -> None:
    for devices in (1, 2):
        seed_everything(0)
        options = {"callbacks": [KeepResult(tmp_path)], "precision": "64-true", "max_epochs": 3}
        fitted = model(optimizer="SGD", weight_decay=0.0)
        quiet_trainer(tmp_path, devices, **options).fit(fitted, data(batch_size=10 // devices))
    alone, *ranks = (torch.load(file) for file in sorted(tmp_path.glob("*.pt")))
    assert len(ranks) == 2
    for rank in ranks:
        for name, value in alone.items():
            torch.testing.assert_close(rank[name], value, rtol=0, atol=1e-9)


def test_what_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"annotator_model`.*CrowdLayer.*Perfect"):
        model(annotator_model=Perfect())
    with pytest.raises(ConfigError, match=r"data\.mix to NoMix"):
        quiet_trainer(tmp_path).fit(model(), data(mix=ItemMix()))
    with pytest.raises(ConfigError, match="single votes"):
        quiet_trainer(tmp_path).fit(model(), data(targets=Aggregated("majority")))
    with pytest.raises(ConfigError, match="not of a CCCClassifier"):
        model().on_load_checkpoint({})
    monkeypatch.setattr("hilmix.functional.sizes.memory", lambda: 2 * 4 * 60 * 2 * (K + 6) - 2)
    with pytest.raises(SizeError, match="GiB for 60 items"):
        quiet_trainer(tmp_path).fit(model(), data())
