"""The data folders of the benchmark: levels of noise, held-out votes, features kept as files."""

import pathlib
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from experiments.annotators import public, simulated
from experiments.annotators.data import RECIPES, main, overview, prepare
from experiments.annotators.features import Features, extract
from experiments.annotators.parts import chosen_items, hold_out, pixels
from experiments.annotators.settings import EMBEDDED, FAMILY_OF
from hilmix.annotations import Annotations
from hilmix.data.folder import read_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access
from hilmix.data.sources.mnist import FASHION, Images

NO_FEATURES = Features(None, pathlib.Path("no-cache"))


@pytest.fixture
def data():
    """60 items of three classes, 0 to 4 votes each by 5 people; the last 10 test."""
    rng = np.random.default_rng(0)
    number = rng.integers(0, 5, 60)
    item = np.repeat(np.arange(60), number)
    return AnnotatedData(
        name="toy",
        items=tuple(f"item {i}" for i in range(60)),
        inputs=ArrayInputs(np.arange(120.0).reshape(60, 2), "vector"),
        annotations=Annotations.build(
            item,
            rng.integers(0, 5, len(item)),
            rng.integers(0, 3, len(item)),
            num_items=60,
            classes="abc",
            annotators="vwxyz",
        ),
        target=rng.integers(0, 3, 60),
        split=np.repeat(["train", "test"], [50, 10]),
    )


def votes_of(data):
    votes = data.annotations
    pairs = zip(votes.item, votes.annotator, votes.label, strict=True)
    return sorted((data.items[i], votes.annotators[a], votes.classes[k]) for i, a, k in pairs)


def test_chosen_items_keep_inputs_votes_and_truth(data):
    rows = [31, 4, 17]
    part = chosen_items(data, rows)
    assert part.items == ("item 31", "item 4", "item 17")
    np.testing.assert_array_equal(pixels(part), pixels(data)[rows])
    np.testing.assert_array_equal(part.target, data.target[rows])
    assert votes_of(part) == [vote for vote in votes_of(data) if vote[0] in part.items]


def test_held_out_items_come_from_training_with_their_votes(data):
    held = hold_out(data, 0.2)
    assert (held.split == "val").sum() == 10
    assert (held.split[50:] == "test").all()
    assert held.annotations is data.annotations
    np.testing.assert_array_equal(hold_out(data, 0.2).split, held.split)


def test_holding_out_never_looks_at_the_truth(data):
    shuffled = replace(data, target=np.random.default_rng(1).permutation(data.target))
    np.testing.assert_array_equal(hold_out(shuffled).split, hold_out(data).split)


def test_held_out_items_are_stratified_by_the_vote(data):
    votes = Annotations.build(np.arange(50), np.zeros(50), np.arange(50) % 2, num_items=60, classes="abc", annotators=1)
    held = hold_out(replace(data, annotations=votes), 0.2).split == "val"
    assert np.bincount(np.flatnonzero(held) % 2).tolist() == [5, 5]


@pytest.mark.parametrize("level", [30, 50, 65])
@pytest.mark.parametrize("build", [simulated.digits_by_class, simulated.digits_by_item])
def test_digits_reach_their_level_and_the_truth_stays_identifiable(build, level):
    data = build(level, 2)
    votes = data.annotations
    wrong = votes.label != data.target[votes.item]
    assert wrong.mean() == pytest.approx(level / 100, abs=0.02)
    assert votes.num_annotators == 20
    assert set(votes.labels_per_item.tolist()) == {2}
    assert [(data.split == s).sum() for s in ("train", "val", "test")] == [1149, 288, 360]
    counts = np.zeros((10, 10))
    np.add.at(counts, (data.target[votes.item], votes.label), 1)
    assert (counts.argmax(1) == np.arange(10)).all()
    number = np.bincount(votes.annotator, minlength=20)
    share = (np.bincount(votes.annotator, wrong, minlength=20) / np.maximum(number, 1))[number > 30]
    assert share.max() - share.min() > 0.35  # some good, some bad


@pytest.mark.parametrize("build", [simulated.digits_by_class, simulated.digits_by_item])
def test_another_number_of_labels_keeps_items_and_split(build):
    few, many = build(50, 1), build(50, 4)
    assert (few.annotations.num_pairs, many.annotations.num_pairs) == (1797, 4 * 1797)
    np.testing.assert_array_equal(few.split == "test", many.split == "test")
    assert few.annotations.annotators == many.annotations.annotators


class FakeImages(Access):
    def __init__(self):
        pass

    def read(self, resource):
        rng = np.random.default_rng(0)
        return Images(rng.integers(0, 256, (300, 28, 28), dtype=np.uint8), np.arange(300) % 10, 200)


def test_image_samples_are_stratified_and_come_from_their_part(monkeypatch):
    monkeypatch.setattr(simulated, "TEST_ITEMS", 50)
    data = simulated.images_by_class(FakeImages(), FASHION, train=100, labels_per_item=3, crowds=2)
    assert [(data.split == s).sum() for s in ("train", "val", "test")] == [80, 20, 50]
    assert data.annotations.num_annotators == 40
    assert np.bincount(data.target[data.split == "test"]).tolist() == [5] * 10
    images = FakeImages().read(None).images
    for row in (0, 99, 100, 149):
        part, number = data.items[row].split("-")
        assert part == ("train" if row < 100 else "test")
        np.testing.assert_array_equal(pixels(data)[row], images[int(number) + (200 if part == "test" else 0)])


def test_weak_classifiers_label_image_samples(monkeypatch):
    monkeypatch.setattr(simulated, "TEST_ITEMS", 50)
    data = simulated.images_by_item(
        FakeImages(), FASHION, train=100, labels_per_item=(1, 3), annotators=6, knowledge=1.0
    )
    assert set(data.annotations.labels_per_item.tolist()) == {1, 2, 3}
    assert data.inputs.shape == (1, 28, 28)


def test_first_votes_are_some_of_each_item(data):
    votes = data.annotations
    few = public.first_votes(votes, 2)
    assert few.labels_per_item.tolist() == np.minimum(votes.labels_per_item, 2).tolist()
    left = votes_of(data)
    for vote in votes_of(replace(data, annotations=few)):
        left.remove(vote)


def test_the_worst_vote_is_wrong_where_any_is(data):
    votes, target = data.annotations, data.target
    worst = public.worst_votes(votes, target)
    assert worst.labels_per_item.tolist() == np.minimum(votes.labels_per_item, 1).tolist()
    for item, label in zip(worst.item, worst.label, strict=True):
        mine = votes.label[votes.item == item]
        assert label in mine
        assert (label != target[item]) == (mine != target[item]).any()


class Mean(nn.Module):
    def forward(self, x):
        assert x.shape[1:] == (3, 16, 16)
        return x.mean((2, 3))


def test_features_see_resized_scaled_pixels():
    colours = np.random.default_rng(0).integers(0, 256, (130, 3), dtype=np.uint8)
    images = np.broadcast_to(colours[:, None, None], (130, 8, 8, 3)).copy()
    found = extract(Mean(), images, size=16, title="colours")
    np.testing.assert_allclose(found, (colours.astype(float) - 127) / 128, atol=1e-5)


def test_features_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.annotators.features.load", lambda weights: Mean())
    images = np.full((2, 4, 4, 3), 255, dtype=np.uint8)
    given = Features(tmp_path / "weights.pth", tmp_path / "cache")
    first = given.of("toy", lambda: images, size=16)
    monkeypatch.setattr("experiments.annotators.features.extract", lambda *_, **__: pytest.fail("computed again"))
    np.testing.assert_array_equal(first, given.of("another name", lambda: images, size=16))
    with pytest.raises(FileNotFoundError, match="none are given"):
        Features(None, tmp_path / "cache").of("toy", lambda: images, size=16)


def test_every_recipe_belongs_to_its_family_of_the_study():
    assert {name: recipe.family for name, recipe in RECIPES.items()} == {
        name: family for name, family in FAMILY_OF.items() if name not in EMBEDDED
    }


def test_a_folder_that_is_there_is_kept(tmp_path):
    args = ("digits-class-50", tmp_path, Access(tmp_path), NO_FEATURES)
    assert prepare(*args)
    data = read_folder(tmp_path / "digits-class-50")
    assert data.name == "digits-class-50"
    before = (tmp_path / "digits-class-50" / "items.parquet").stat().st_mtime_ns
    assert prepare(*args)
    assert (tmp_path / "digits-class-50" / "items.parquet").stat().st_mtime_ns == before
    assert overview([tmp_path / "digits-class-50"]).row_count == 1


def test_missing_weights_are_reported_with_the_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["data", "--out", str(tmp_path), "digits-instance-30", "cifar10n"])
    main()
    out = " ".join(capsys.readouterr().out.split())
    assert "Skipped cifar10n: give --weights" in out
    assert (tmp_path / "digits-instance-30").is_dir()
    assert not (tmp_path / "cifar10n").exists()


@pytest.mark.parametrize("extra", [["cifar"], ["--weights", "/nowhere.pth"]])
def test_typing_errors_are_refused(tmp_path, monkeypatch, capsys, extra):
    monkeypatch.setattr("sys.argv", ["data", "--out", str(tmp_path), *extra])
    with pytest.raises(SystemExit):
        main()
    assert extra[-1] in capsys.readouterr().err


def test_votes_of_labelme_validate_in_the_second_folder(real_data, tmp_path):
    data = public.labelme_features_heldout(Access(tmp_path, real_data))
    assert [(data.split == s).sum() for s in ("train", "val", "test")] == [850, 150, 1188]
    assert data.annotations.num_pairs == 2_547
    assert (data.annotations.labels_per_item[data.split == "val"] > 0).all()
    published = public.labelme_features(Access(tmp_path, real_data))
    shared = {name: row for row, name in enumerate(published.items)}
    rows = [shared[name] for name in data.items]
    np.testing.assert_array_equal(pixels(data), pixels(published)[rows])
    assert votes_of(data) == votes_of(published)
