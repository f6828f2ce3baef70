"""How inputs are scaled: the choice by units in closed form, through training, checkpoints and resume."""

import logging

import numpy as np
import pytest
import torch
from lightning.pytorch import seed_everything
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from hilmix.annotations import Annotations
from hilmix.backbones import MLP
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.functional.inputs import UNITS, is_constant, unit_ratio
from hilmix.modules import Classifier
from hilmix.modules.scaling import scaling_of
from tests.helpers import quiet_trainer

ONES = torch.ones(4)


def statistics(x):
    x = torch.as_tensor(np.asarray(x, dtype=np.float64))
    return x.mean(0), x.std(0, correction=0), (x != 0).double().mean(0)


def test_the_ratio_is_that_of_the_widest_to_the_narrowest():
    std = torch.tensor([0.5, 4.0, 100.0, 1.0])
    assert unit_ratio(torch.zeros(4), std, ONES) == pytest.approx(200)
    assert unit_ratio(torch.zeros(4), 1e-12 * std, ONES) == pytest.approx(200), "of any unit"
    assert unit_ratio(torch.full((4,), 50.0), std, ONES) == pytest.approx(200), "a common offset is no unit"
    assert unit_ratio(torch.zeros(1), torch.ones(1), torch.ones(1)) == 1


def test_offsets_count_as_one_deviation_would_be_theirs():
    """Deviations 1 and offsets 0, 0, 0, 4000 from a mean of 1000: the last reaches 3000."""
    ratio = unit_ratio(torch.tensor([0.0, 0.0, 0.0, 4000.0]), ONES, ONES)
    assert ratio == pytest.approx(np.hypot(1, 3000))


def test_constants_do_not_count():
    std = torch.tensor([0.0, 1.0, 3.0, 1e-9])
    assert unit_ratio(torch.tensor([5.0, 0.0, 0.0, 1.0]), std, ONES) == pytest.approx(np.hypot(3, 1.5))
    assert unit_ratio(torch.tensor([5.0, 1.0]), torch.zeros(2), torch.ones(2)) == 1
    assert is_constant(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1e-30, 1e-9, 1e-3])).tolist() == [
        False,
        True,
        False,
    ]


def test_a_rare_feature_is_as_large_as_where_it_is():
    """Values of size 2 in one row of p, else 0: deviation 2 sqrt(p (1 - p)), unit 2 sqrt(1 - p)."""
    rng = np.random.default_rng(0)
    shares = [0.5, 0.1, 0.01, 0.001]
    x = np.column_stack([np.where(rng.permutation(10_000) < 10_000 * p, 2.0, 0.0) for p in shares])
    mean, std, active = statistics(x)
    size = [2 * np.sqrt(1 - p) for p in shares]
    reach = [np.hypot(s, 2 * p - 2 * np.mean(shares)) for s, p in zip(size, shares, strict=True)]
    assert unit_ratio(mean, std, active) == pytest.approx(max(reach) / min(size), rel=1e-6)
    assert unit_ratio(mean, std, active) < 2 < 15 < float(std.max() / std.min())


def test_one_of_hundreds_decides_nothing_as_the_narrowest_and_everything_as_the_widest():
    std = torch.ones(300)
    std[7] = 1e-5
    assert unit_ratio(torch.zeros(300), std, torch.ones(300)) == 1
    std[7] = 1e5
    assert unit_ratio(torch.zeros(300), std, torch.ones(300)) == pytest.approx(1e5)


@pytest.mark.parametrize("kind", ["digits", "wine", "breast_cancer"])
def test_known_data(kind):
    load = {"digits": load_digits, "wine": load_wine, "breast_cancer": load_breast_cancer}[kind]
    ratio = unit_ratio(*statistics(load().data))
    assert (ratio > 10 * UNITS) if kind != "digits" else (ratio < UNITS / 4)


class Given:
    """A data module of a user's own, which knows mean and deviation only."""

    def input_statistics(self):
        return torch.zeros(3), torch.tensor([1.0, 1e-3, 5.0])


def test_a_data_module_without_activity_is_judged_by_its_deviations():
    found = scaling_of(Given(), "auto", vectors=True)
    assert found.chosen == "feature"
    torch.testing.assert_close(found.std, torch.tensor([1.0, 1e-3, 5.0]))
    assert scaling_of(Given(), "auto", vectors=False).std.tolist() == found.std.tolist()


UNITS_OF = np.array([1e4, 1.0, 1e-3, 50.0, 1e-6, 1.0])
OFFSETS = np.array([3.0, 0.0, 0.0, 1.0, 5.0, 0.0])


def audio(seed: int = 0, rows: int = 240):
    """Three genres that only the features in small units distinguish, beside a loud one in Hz."""
    rng = np.random.default_rng(seed)
    genre = np.arange(rows) % 3
    x = rng.normal(size=(rows, 6))
    x[:, 2] += 3.0 * (genre == 1)
    x[:, 4] += 3.0 * (genre == 2)
    return ((x + OFFSETS) * UNITS_OF).astype(np.float32), genre


def module(folder, x, target):
    rows = len(x)
    train = np.flatnonzero(np.arange(rows) % 4 < 2)
    data = AnnotatedData(
        name="audio",
        items=tuple(f"i{i}" for i in range(rows)),
        inputs=ArrayInputs(x, "vector"),
        annotations=Annotations.build(
            train,
            np.zeros(len(train), np.int64),
            target[train],
            num_items=rows,
            classes=["a", "b", "c"],
            annotators=["ann"],
        ),
        target=target,
        split=np.array(["train", "train", "val", "test"])[np.arange(rows) % 4],
    )
    return AnnotatedDataModule(str(write_folder(data, folder, overwrite=True)), batch_size=16)


def fitted(made, folder, epochs=1, model=None, **settings):
    seed_everything(0, verbose=False)
    model = model or Classifier(made.num_classes, made.num_annotators, made.input_shape, MLP([16]), **settings)
    trainer = quiet_trainer(folder, max_epochs=epochs)
    trainer.fit(model, made)
    return model, trainer


def test_features_in_different_units_are_learned_from_without_a_setting(tmp_path, caplog):
    x, genre = audio()
    made = module(tmp_path / "data", x, genre)
    accuracy = {}
    with caplog.at_level(logging.INFO):
        for standardize in ("auto", "global"):
            model, _ = fitted(made, tmp_path, epochs=10, lr=0.1, standardize=standardize)
            test = np.arange(len(x)) % 4 == 3
            accuracy[standardize] = (model.eval()(torch.from_numpy(x[test])).argmax(1).numpy() == genre[test]).mean()
    assert accuracy["auto"] > 0.75
    assert accuracy["global"] < 0.55
    message = [record.getMessage() for record in caplog.records if "standardize" in record.getMessage()]
    assert len(message) == 1
    assert "feature" in message[0]


def test_the_default_scales_each_feature_in_different_units_and_all_alike_otherwise(tmp_path):
    x, genre = audio()
    train = np.arange(len(x)) % 4 < 2
    for divisor, per_feature in ((1.0, True), (UNITS_OF, False)):
        z = (x / divisor).astype(np.float32)
        model, _ = fitted(module(tmp_path / "data", z, genre), tmp_path)
        want = z[train].astype(np.float64).std(0) if per_feature else np.full(6, z[train].astype(np.float64).std())
        np.testing.assert_allclose(model.input_std, want, rtol=1e-5)
        assert model.scaled_by == ("feature" if per_feature else "global")


def test_a_checkpoint_keeps_what_was_trained(tmp_path):
    """Also where training goes on with data that would be scaled otherwise."""
    x, genre = audio()
    first, trainer = fitted(module(tmp_path / "data", x, genre), tmp_path)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = Classifier.load_from_checkpoint(tmp_path / "a.ckpt")
    torch.testing.assert_close(loaded.input_std, first.input_std)
    assert (loaded.scaled_by, loaded.hparams["standardize"]) == ("feature", "auto")
    other = module(tmp_path / "other", (x / UNITS_OF).astype(np.float32), genre)
    assert fitted(other, tmp_path, model=loaded)[0].scaled_by == "feature"
    resumed = Classifier(3, 1, [6], MLP([16]))
    trainer = quiet_trainer(tmp_path)
    trainer.fit(resumed, module(tmp_path / "data", x, genre), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    torch.testing.assert_close(resumed.input_std, first.input_std)
    assert resumed.scaled_by == "feature"


def test_activity_is_the_share_of_values_that_are_not_zero(tmp_path):
    x, genre = audio()
    x[::3, 1] = 0
    made = module(tmp_path / "data", x, genre)
    train = np.arange(len(x)) % 4 < 2
    np.testing.assert_allclose(made.input_activity(), (x[train] != 0).mean(0), rtol=1e-6)
