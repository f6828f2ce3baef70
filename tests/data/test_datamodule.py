"""From a folder to batches: splits, ids, statistics, and what a checkpoint remembers of the data."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead
from hilmix.backbones import MLP, TimmBackbone
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.data.masks import Masks
from hilmix.data.targets import Aggregated, TrueLabels
from hilmix.data.validation import NEEDS, check_validation
from hilmix.errors import ConfigError, DataError, RunError
from hilmix.mix import AnnotMix
from hilmix.modules import Classifier
from hilmix.modules.stage_metrics import METRICS
from hilmix.types import Batch
from tests.helpers import quiet_trainer

N, A, K, D = 40, 4, 3, 5
SPLIT = np.array(["train"] * 20 + ["val"] * 8 + ["test"] * 12)


def annotated(*, split=SPLIT, target: bool = True, exchangeable: bool = False, **changes) -> AnnotatedData:
    """Annotator 3 never labels one of the first 20 items; every fifth item has no votes."""
    rng = np.random.default_rng(0)
    votes = [
        (i, a, int(rng.integers(K))) for i in range(N) if i % 5 for a in range(A) if (a < 3 or i >= 20) and (i + a) % 2
    ]
    item, annotator, label = np.array(votes).T
    people = ["ann", "bob", "cleo", "dan"] if not exchangeable else ["crowd"]
    settings = {
        "name": "toy",
        "items": tuple(f"i{i}" for i in range(N)),
        "inputs": ArrayInputs(rng.normal(2.0, 3.0, (N, D)).astype(np.float32), "vector"),
        "annotations": Annotations.build(
            item,
            annotator * (not exchangeable),
            label,
            num_items=N,
            classes=["x", "y", "z"],
            annotators=people,
            exchangeable=exchangeable,
        ),
        "target": np.arange(N) % K if target else np.full(N, -1),
        "split": split,
    }
    return AnnotatedData(**{**settings, **changes})


def module(folder: Path, data: AnnotatedData | None = None, **settings) -> AnnotatedDataModule:
    return AnnotatedDataModule(str(write_folder(data or annotated(), folder / "data", overwrite=True)), **settings)


def batches(made: AnnotatedDataModule, split: str) -> list[Batch]:
    made.setup("fit")
    return list(made.clean_dataloader(split))


class Keep(Callback):
    """The batches as the training steps get them; cloned, since the mix reuses its buffer."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Classifier, batch: Batch, batch_idx: int) -> None:
        self.seen.append(batch._replace(input=batch.input.clone()))


def one_epoch(folder: Path, made: AnnotatedDataModule, model: Classifier | None = None) -> list[Batch]:
    """Fits, and returns the batches that the training steps got."""
    keep = Keep()
    model = model or Classifier(made.num_classes, made.num_annotators, made.input_shape, MLP([4]), AnnotMixHead(4))
    quiet_trainer(folder, max_epochs=1, callbacks=[keep]).fit(model, made)
    return keep.seen


def test_structural_numbers(tmp_path: Path) -> None:
    made = module(tmp_path)
    assert (made.num_classes, made.num_annotators, made.input_shape) == (K, A, [D])
    assert module(tmp_path, targets=Aggregated()).num_annotators == 1


@pytest.mark.parametrize("split", ["val", "test", "all"])
def test_evaluation_gives_every_item_once_in_order_with_its_votes(tmp_path: Path, split: str) -> None:
    made = module(tmp_path, batch_size=7, mix=AnnotMix(), targets=Aggregated())
    got = batches(made, split)
    rows = np.arange(N) if split == "all" else np.flatnonzero(split == SPLIT)
    assert torch.cat([b.index for b in got]).tolist() == rows.tolist()
    assert all(b.plan is None for b in got)
    votes = made.data.annotations
    given_labels = [z for i in rows for z in votes.label[votes.item == i]]
    assert torch.cat([b.label for b in got]).tolist() == given_labels, "votes as given, whatever training learns from"


def test_given_splits_are_kept(tmp_path: Path) -> None:
    assert module(tmp_path).split.tolist() == SPLIT.tolist()


def test_without_a_split_a_stratified_one_is_drawn_from_its_own_seed(tmp_path: Path) -> None:
    data = annotated(split=None)
    made = module(tmp_path, data, test_fraction=0.25, val_fraction=0.2)
    sizes = {s: int((made.split == s).sum()) for s in ("train", "val", "test")}
    assert sizes == {"train": 24, "val": 6, "test": 10}
    for s in ("train", "val", "test"):
        of_class = np.bincount(data.target[made.split == s], minlength=K)
        assert of_class.max() - of_class.min() <= 2
    same = module(tmp_path, data, test_fraction=0.25, val_fraction=0.2, batch_size=3)
    other = module(tmp_path, data, test_fraction=0.25, val_fraction=0.2, split_seed=1)
    assert (same.split == made.split).all()
    assert (other.split != made.split).any()


def test_validation_items_are_held_out_where_the_folder_has_none(tmp_path: Path) -> None:
    made = module(tmp_path, annotated(split=np.where(SPLIT == "val", "train", SPLIT)))
    assert ((made.split == "test") == (SPLIT == "test")).all()
    assert 0 < (made.split == "val").sum() <= 4


def test_noisy_validation_replaces_the_folders_items(tmp_path: Path) -> None:
    made = module(tmp_path, val_fraction=0.25)
    assert (made.split == "val").sum() == 5
    assert (np.flatnonzero(made.split == "val") < 20).all(), "from the training items"
    assert (made.split[SPLIT == "val"] == "unused").all()
    assert made.train_annotations.labels_per_item[made.split != "train"].sum() == 0


@pytest.mark.parametrize(("name", "value"), [("val_fraction", 0.0), ("val_fraction", 1.5), ("val_fraction", 1e-9)])
def test_fractions_are_checked(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"data.{name}\b.*{value}"):
        _ = module(tmp_path, **{name: value}).split


def test_an_annotator_without_training_labels_is_unknown_and_reported(tmp_path: Path, caplog) -> None:
    made = module(tmp_path)
    with caplog.at_level(logging.WARNING, "hilmix"):
        got = batches(made, "test")
    assert "dan" in caplog.text
    assert "1 annotator(s) have no training label" in caplog.text
    votes = made.data.annotations
    given = [int(a) for i in np.flatnonzero(SPLIT == "test") for a in votes.annotator[votes.item == i]]
    assert torch.cat([b.annotator for b in got]).tolist() == [-1 if a == 3 else a for a in given]


def test_targets_are_made_of_training_votes_only(tmp_path: Path) -> None:
    made = module(tmp_path, targets=Aggregated("soft"))
    learnt, votes = made.train_annotations, made.data.annotations
    assert learnt.annotators == ("crowd",)
    assert set(learnt.item) == {i for i in range(20) if i % 5}
    for i, probs in zip(learnt.item, learnt.probs, strict=True):
        np.testing.assert_allclose(
            probs, np.bincount(votes.label[votes.item == i], minlength=K) / (votes.item == i).sum()
        )


def test_truth_of_training_items_is_needed_only_to_train_on_it(tmp_path: Path) -> None:
    blind = annotated(target=False)
    assert module(tmp_path, blind).train_annotations.num_pairs
    with pytest.raises(ConfigError, match=r"`target`.*unknown"):
        _ = module(tmp_path, blind, targets=TrueLabels()).train_annotations


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    votes = annotated().annotations.subset(SPLIT != "train")
    with pytest.raises(ConfigError, match=r"training item of toy.*annotation"):
        module(tmp_path, annotated(annotations=votes)).setup("fit")


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"augment": "cutout"}, {"repeat_explained": 0}])
def test_settings_are_checked(tmp_path: Path, settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        AnnotatedDataModule("digits-class", **settings)


def test_embedded_data_have_their_size() -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size.*'decoy-digits'.*64"):
        _ = AnnotatedDataModule("decoy-digits", image_size=64).input_shape


def test_vectors_cannot_be_augmented(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.augment.*toy.*'crop-flip'"):
        _ = module(tmp_path, augment="crop-flip").input_shape


def test_training_batches_are_mixed_and_their_items_whole(tmp_path: Path) -> None:
    made = module(tmp_path, batch_size=6, mix=AnnotMix())
    seen = one_epoch(tmp_path, made)
    assert sorted(torch.cat([b.index for b in seen]).tolist()) == list(range(20))
    for b in seen:
        assert len(b.input) == len(b.row)
        assert b.plan.rows == "pairs"
    weights = [tuple(b.plan.weight[:3].tolist()) for b in seen]
    assert len(set(weights)) == len(weights), "every batch draws its own"


def test_an_epoch_with_batches_without_pairs_trains(tmp_path: Path) -> None:
    """Batches of one item: those of the items 0, 5, 10, 15 have no pair."""
    made = module(tmp_path, batch_size=1, mix=AnnotMix())
    model = Classifier(K, A, [D], MLP([4]), AnnotMixHead(4))
    seen = one_epoch(tmp_path, made, model)
    assert sum(len(b.row) == 0 for b in seen) == 4
    assert all(p.isfinite().all() for p in model.parameters())


BLACK = 3


def explained(rows: list[int]) -> AnnotatedData:
    """Items with masks; that of item 3 marks nothing."""
    pictures = ArrayInputs(np.array([[float(row != BLACK)] * D for row in rows], dtype=np.float32), "vector")
    return annotated(masks=Masks.build(rows, [0] * len(rows), pictures, num_items=N, annotators=["ann"]))


def test_explained_training_items_are_repeated_and_no_others(tmp_path: Path) -> None:
    made = module(tmp_path, explained([0, BLACK, 7, 25, 30]), repeat_explained=3, batch_size=4)
    seen = torch.cat([b.index for b in one_epoch(tmp_path, made)])
    assert torch.bincount(seen).tolist() == [3 if i in (0, 7) else 1 for i in range(20)]
    again = AnnotatedDataModule(made.root, batch_size=4)
    assert again.input_statistics()[0].tolist() == made.input_statistics()[0].tolist()
    assert len(batches(made, "val")) == len(batches(again, "val")) == 2


@pytest.mark.parametrize("rows", [[], [25], [BLACK]])
def test_nothing_to_repeat_is_refused(tmp_path: Path, rows: list[int]) -> None:
    data = explained(rows) if rows else annotated()
    with pytest.raises(ConfigError, match=r"data\.repeat_explained.*toy.*got 2"):
        one_epoch(tmp_path, module(tmp_path, data, repeat_explained=2))


@pytest.mark.parametrize("group", ["train", "val", "none"])
@pytest.mark.parametrize("target", ["train", "val"])
@pytest.mark.parametrize("votes", ["train", "val"])
def test_a_metric_needs_what_it_is_computed_from(group: str, target: str, votes: str) -> None:
    """Whether validation items have it, by what the metrics are defined on."""
    grouped = {} if group == "none" else {"group": np.where(group == SPLIT, 0, -1), "groups": ("one",)}
    data = annotated(annotations=annotated().annotations.subset(votes == SPLIT), **grouped)
    data = replace(data, target=np.where(target == SPLIT, 0, -1))
    metrics = {
        "val/loss": True,
        "val/acc": target == "val",
        "val/ece": target == "val",
        "val/vote_nll": votes == "val",
        "val/agreement": votes == "val",
        "val/annotator_auroc": target == votes == "val",
        "val/mean_group_acc": target == group == "val",
        "val/worst_group_acc": target == group == "val",
        "train/loss": True,
        "val/mine": True,
    }
    rows = np.flatnonzero(SPLIT == "val")
    if target == votes == "train":
        with pytest.raises(ConfigError, match=r"toy.*votes.*targets"):
            check_validation(data, rows)
        return
    check_validation(data, rows, [metric for metric, there in metrics.items() if there])
    for metric in (metric for metric, there in metrics.items() if not there):
        with pytest.raises(ConfigError) as refused:
            check_validation(data, rows, ["val/loss", metric])
        message = str(refused.value)
        assert f"'{metric}'," in message
        named = {other for other, there in metrics.items() if f"'{other}'" in message and other != metric}
        assert named == {other for other, there in metrics.items() if there} - {"train/loss", "val/mine"}


def test_what_every_metric_of_a_stage_needs_is_known() -> None:
    assert {"loss", "loss_calibrated", *NEEDS} == set(METRICS)


def test_statistics_are_those_of_the_training_items(tmp_path: Path) -> None:
    made = module(tmp_path)
    x = made.data.inputs.fetch(np.arange(20)).double()
    mean, std = made.input_statistics()
    torch.testing.assert_close(mean.double(), x.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(std.double(), x.std(0, correction=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("standardize", ["global", "feature", "none"])
def test_scaling_in_closed_form_with_a_constant_feature(tmp_path: Path, standardize: str) -> None:
    """Half of the features are constant zeros, as in ready features behind a ReLU, and their scale must not matter."""
    x = np.zeros((N, 2 * D), dtype=np.float32)
    x[:, :D] = np.random.default_rng(1).normal(100.0, 0.01, (N, D))
    made = module(tmp_path, annotated(inputs=ArrayInputs(x, "vector")))
    model = Classifier(K, A, [2 * D], MLP([4]), standardize=standardize)
    one_epoch(tmp_path, made, model)
    train = torch.from_numpy(x[:20]).double()
    mean, std = {
        "global": (train.mean().expand(2 * D), train.std(correction=0).expand(2 * D)),
        "feature": (train.mean(0), torch.where(torch.arange(2 * D) < D, train.std(0, correction=0), 1.0)),
        "none": (torch.zeros(2 * D), torch.ones(2 * D)),
    }[standardize]
    torch.testing.assert_close(model.input_mean.double(), mean.double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.input_std.double(), std.double(), rtol=1e-2, atol=1e-6)


def test_images_stay_bytes_until_the_device(tmp_path: Path) -> None:
    made = AnnotatedDataModule("digits-class", batch_size=300)
    (batch, *_) = batches(made, "val")
    assert batch.input.dtype == torch.uint8
    moved = made.on_after_batch_transfer(batch, 0)
    assert moved.input.dtype == torch.float32
    torch.testing.assert_close(moved.input, batch.input / 255)


def test_exchangeable_votes_have_one_known_annotator(tmp_path: Path) -> None:
    made = module(tmp_path, annotated(exchangeable=True))
    assert made.num_annotators == 1
    assert {a for b in batches(made, "test") for a in b.annotator.tolist()} == {0}


def test_a_checkpoint_refuses_other_classes(tmp_path: Path) -> None:
    state = module(tmp_path).state_dict()
    votes = annotated().annotations
    other = Annotations.build(
        votes.item, votes.annotator, votes.label, num_items=N, classes=["x", "y", "w"], annotators=votes.annotators
    )
    with pytest.raises(RunError, match=r"\['x', 'y', 'z'\].*'w'"):
        module(tmp_path / "o", annotated(annotations=other)).load_state_dict(state)


def test_a_checkpoint_refuses_another_split_of_the_same_items(tmp_path: Path) -> None:
    state = module(tmp_path, val_fraction=0.25).state_dict()
    with pytest.raises(RunError, match="another split of the same items"):
        module(tmp_path, val_fraction=0.25, split_seed=1).load_state_dict(state)
    module(tmp_path, val_fraction=0.25).load_state_dict(state)


def test_on_other_items_annotators_are_known_by_name(tmp_path: Path) -> None:
    """ann, bob and a newcomer; dan had no training label, so his place has no name."""
    state = module(tmp_path).state_dict()
    votes = annotated().annotations
    other = Annotations.build(
        votes.item,
        votes.annotator,
        votes.label,
        num_items=N,
        classes=votes.classes,
        annotators=["new", "dan", "bob", "ann"],
    )
    there = module(tmp_path / "o", annotated(annotations=other, items=tuple(f"n{i}" for i in range(N))))
    there.load_state_dict(state)
    known = {int(a) for b in batches(there, "all") for a in b.annotator}
    assert known == {-1, 1, 0}
    ids = dict(zip(there.data.annotations.annotators, there.annotator_ids.tolist(), strict=True))
    assert [ids[name] for name in ("ann", "bob", "dan", "new")] == [0, 1, -1, -1]


def test_state_is_plain(tmp_path: Path) -> None:
    torch.save(module(tmp_path).state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["annotators"] == ["ann", "bob", "cleo", ""]


def png_folder(folder: Path, items: int = 10) -> Path:
    """What a new user brings: ten images of mixed sizes, three annotators, no truth, no split, no classes."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(items):
        Image.fromarray(rng.integers(0, 256, (*rng.integers(20, 60, 2), 3), dtype=np.uint8)).save(folder / f"{i}.png")
    names = [f"item{i}" for i in range(items)]
    pd.DataFrame({"item": names, "path": [f"{i}.png" for i in range(items)]}).to_csv(folder / "items.csv", index=False)
    votes = [(n, who, rng.choice(["cat", "dog"])) for n in names for who in ("ann", "bob", "cleo")]
    pd.DataFrame(votes, columns=["item", "annotator", "label"]).to_csv(folder / "annotations.csv", index=False)
    (folder / "dataset.yaml").write_text("name: pets\ninput: image\n")
    return folder


def test_ten_pngs_of_mixed_sizes(tmp_path: Path) -> None:
    made = AnnotatedDataModule(str(png_folder(tmp_path / "pets")), image_size=24, mix=AnnotMix(), batch_size=4)
    assert (made.num_classes, made.num_annotators, made.input_shape) == (2, 3, [3, 24, 24])
    assert set(made.split) == {"train", "val", "test"}
    model = Classifier(2, 3, made.input_shape, TimmBackbone("test_resnet"), AnnotMixHead(4))
    seen = one_epoch(tmp_path, made, model)
    assert sum(len(b.index) for b in seen) == (made.split == "train").sum()
    assert all(p.isfinite().all() for p in model.parameters())


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    folder = png_folder(tmp_path / "pets")
    (folder / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"3\.png"):
        _ = AnnotatedDataModule(str(folder)).input_shape
    torn = png_folder(tmp_path / "torn")
    whole = (torn / "3.png").read_bytes()
    (torn / "3.png").write_bytes(whole[: len(whole) // 2])
    made = AnnotatedDataModule(str(torn), image_size=24)
    with pytest.raises(DataError, match=r"Cannot decode the image .*3\.png"):
        made.data.inputs.fetch(np.arange(10))
