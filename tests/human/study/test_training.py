"""The elicited mixes as training items: whose labels, which images, and what must not leak."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs, ImageFiles
from hilmix.data.masks import Masks
from hilmix.data.sources import Access, find_source
from hilmix.data.sources.base import Options
from hilmix.data.targets import Aggregated
from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import Identity, ImageTable
from hilmix.human.study import (
    append_mixes,
    label_judgments,
    label_mixes,
    mean_by_mix,
    read_study,
    rebuild_stimuli,
    render_mix,
    split_around_mixes,
)
from tests.human.study.base_data import base_data
from tests.human.study.synthetic import CLASSES, invent

STUDY = invent("infer", 3)
S, L, N, K = len(STUDY.stimuli), len(STUDY.judgments), STUDY.num_items, len(CLASSES)
LABELS = np.random.default_rng(1).dirichlet(np.ones(K), S)


def test_the_mixes_follow_the_items_as_people_saw_them():
    data = base_data(STUDY)
    found = append_mixes(data, STUDY, LABELS)
    assert found.items == data.items + STUDY.stimuli.name
    assert found.split.tolist() == [*data.split, *["train"] * S]
    assert found.target.tolist() == [*data.target, *[-1] * S]
    assert found.inputs.array.dtype == np.uint8
    np.testing.assert_array_equal(found.inputs.array[:N], data.inputs.array)
    np.testing.assert_array_equal(found.inputs.array[N:], rebuild_stimuli(STUDY, data.inputs.array))
    assert found.name == "base+mixes"
    assert found.licence == "CC0; labels of the mixes as their study"


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("exchangeable", [False, True])
def test_labels_per_mix_come_from_the_crowd(soft, exchangeable):
    data = base_data(STUDY, soft=soft, exchangeable=exchangeable)
    old, new = data.annotations, append_mixes(data, STUDY, LABELS).annotations
    assert new.annotators == (("crowd",) if exchangeable else ("ann", "bob", "p1", "crowd"))
    assert new.exchangeable is exchangeable
    assert [new.annotators[a] for a in new.annotator[old.num_pairs :]] == ["crowd"] * S
    np.testing.assert_array_equal(new.probs[: old.num_pairs], old.probs if soft else np.eye(K)[old.label])
    for column in ("item", "annotator", "label"):
        np.testing.assert_array_equal(getattr(new, column)[: old.num_pairs], getattr(old, column))
    np.testing.assert_array_equal(new.item[old.num_pairs :], N + np.arange(S))
    np.testing.assert_allclose(new.probs[old.num_pairs :], LABELS, rtol=1e-6)
    np.testing.assert_array_equal(new.label[old.num_pairs :], LABELS.argmax(1))
    assert new.confidence is new.seconds is None


@pytest.mark.parametrize("exchangeable", [False, True])
def test_labels_per_judgment_come_from_the_participants(exchangeable):
    data, labels = base_data(STUDY, exchangeable=exchangeable), label_judgments(STUDY, smoothed=True)
    old, new = data.annotations, append_mixes(data, STUDY, labels, per="judgment").annotations
    others = [p for p in STUDY.participants if exchangeable or p != "p1"]  # p1 is there already: the same person
    assert new.annotators == (*old.annotators, *others)
    assert not new.exchangeable
    judgments = STUDY.judgments
    expected = {
        (
            N + judgments.stimulus[j],
            STUDY.participants[judgments.participant[j]],
            *np.float32(labels[j]).tolist(),
            np.float32(judgments.confidence[j]).item(),
        )
        for j in np.flatnonzero(~judgments.repeat)
    }
    rows = range(old.num_pairs, new.num_pairs)
    found = {
        (new.item[r], new.annotators[new.annotator[r]], *new.probs[r].tolist(), new.confidence[r].item()) for r in rows
    }
    assert len(found) == len(rows) == (~judgments.repeat).sum() < L
    flat = [np.array(sorted((i, a, *map(float, r)) for i, a, *r in part), dtype=object) for part in (found, expected)]
    assert flat[0][:, :2].tolist() == flat[1][:, :2].tolist()
    np.testing.assert_allclose(flat[0][:, 2:].astype(float), flat[1][:, 2:].astype(float), atol=1e-6)
    assert np.isnan(new.confidence[: old.num_pairs]).all()
    assert (np.diff(new.item) >= 0).all()


def test_mixes_can_be_left_out():
    data, keep = base_data(STUDY), np.arange(S) % 3 == 0
    labels = np.where(keep[:, None], LABELS, np.nan)  # those that are left out need no label
    found = append_mixes(data, STUDY, labels, keep=keep)
    assert found.items[N:] == tuple(np.array(STUDY.stimuli.name)[keep])
    np.testing.assert_array_equal(found.inputs.array[N:], rebuild_stimuli(STUDY, data.inputs.array)[keep])
    np.testing.assert_allclose(found.annotations.probs[-keep.sum() :], LABELS[keep], rtol=1e-6)
    each = append_mixes(data, STUDY, label_judgments(STUDY), per="judgment", keep=keep).annotations
    judgments = STUDY.judgments
    here = ~judgments.repeat & keep[judgments.stimulus]
    np.testing.assert_array_equal(each.labels_per_item[N:], np.bincount(judgments.stimulus[here], minlength=S)[keep])


def test_classes_are_matched_by_name():
    data = base_data(STUDY, classes=tuple(name.upper() for name in CLASSES[::-1]))
    data = replace(data, target=K - 1 - data.target)
    found = append_mixes(data, STUDY, LABELS).annotations
    np.testing.assert_allclose(found.probs[-S:], LABELS[:, ::-1], rtol=1e-6)


def test_grey_images_may_come_without_channels():
    data = base_data(STUDY)
    grey = replace(data, inputs=ArrayInputs(data.inputs.array[..., 0], "image"))
    found = append_mixes(grey, STUDY, LABELS)
    assert found.inputs.shape == grey.inputs.shape
    np.testing.assert_array_equal(found.inputs.fetch(np.arange(N)), grey.inputs.fetch(np.arange(N)))


@pytest.mark.parametrize("per", ["mix", "judgment"])
@pytest.mark.parametrize("exchangeable", [False, True])
def test_the_result_is_a_data_folder_to_train_on(tmp_path, per, exchangeable):
    labels = LABELS if per == "mix" else label_judgments(STUDY)
    data = append_mixes(base_data(STUDY, exchangeable=exchangeable), STUDY, labels, per=per)
    back = read_folder(write_folder(data, tmp_path / "out"))
    assert back.items == data.items
    assert sorted(back.annotations.annotators) == sorted(data.annotations.annotators)
    assert back.annotations.exchangeable == data.annotations.exchangeable
    np.testing.assert_allclose(back.annotations.probs, data.annotations.probs, atol=1e-6)
    module = AnnotatedDataModule(str(tmp_path / "out"), targets=Aggregated("soft"))
    assert set(range(N, N + S)) <= set(module.rows("train").tolist())
    one = module.train_annotations
    np.testing.assert_allclose(
        one.probs[one.item >= N], LABELS if per == "mix" else mean_by_mix(STUDY, labels), atol=1e-6
    )


def broken_split(name):
    data = base_data(STUDY)
    where = data.split.copy()
    where[STUDY.stimuli.id2[1]] = name
    return replace(data, split=where)


def with_inputs(inputs):
    return replace(base_data(STUDY), inputs=inputs)


REFUSED = {
    "another size": (lambda: base_data(replace(STUDY, num_items=60)), {}, "got 60."),
    "other classes": (lambda: base_data(STUDY, classes=("a", "b", "c", "d", "e")), {}, "got a, b, c, d, e."),
    "more classes": (lambda: base_data(STUDY, classes=(*CLASSES, "f")), {}, "base must have the classes of the study"),
    "no split": (lambda: base_data(STUDY, split=False), {}, "base has no split; mixes are added to data with 'train'"),
    "nothing to validate on": (lambda: replace(base_data(STUDY), split=np.full(N, "train")), {}, "splits ['train']"),
    "a leak into the test": (lambda: broken_split("test"), {}, f"'item-{STUDY.stimuli.id2[1]}', which is in the split"),
    "a leak into validation": (lambda: broken_split("val"), {}, f"The mix '{STUDY.stimuli.name[1]}' was made of"),
    "images in another order": (
        lambda: replace(base_data(STUDY), target=np.roll(base_data(STUDY).target, 7)),
        {},
        "Give the images that the study used, in their order",
    ),
    "the mixes twice": (
        lambda: replace(base_data(STUDY), items=(*STUDY.stimuli.name, *map(str, range(N - S)))),
        {},
        "has the name of a mix",
    ),
    "features of annotators": (
        lambda: replace(base_data(STUDY), annotator_features=np.zeros((3, 2), np.float32)),
        {},
        "features of annotators",
    ),
    "floats": (lambda: with_inputs(ArrayInputs(np.zeros((N, 4, 5, 3), np.float32), "image")), {}, "are float32 of kin"),
    "vectors": (lambda: with_inputs(ArrayInputs(np.zeros((N, 4)), "vector")), {}, "float64 of kind 'vector'"),
    "files": (lambda: with_inputs(ImageFiles([Path("none.png")] * N, 8)), {}, "these inputs are files of kind"),
    "labels per judgment": (lambda: base_data(STUDY), {"labels": label_judgments(STUDY)}, "one row per mix"),
    "labels per mix": (lambda: base_data(STUDY), {"per": "judgment"}, "one row per judgment"),
    "no distribution": (lambda: base_data(STUDY), {"labels": LABELS - 0.5}, "must be numbers >= 0"),
    "no label": (lambda: base_data(STUDY), {"labels": LABELS * np.nan}, "label of the mix 'mixed_"),
    "a short choice": (lambda: base_data(STUDY), {"keep": [True]}, "got bool of (1,)"),
    "a choice by number": (lambda: base_data(STUDY), {"keep": np.arange(S)}, "shape (" + str(S) + ",)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    make, changed, message = REFUSED[case]
    with pytest.raises(DataError) as error:
        append_mixes(make(), STUDY, **({"labels": LABELS} | changed))
    assert message in str(error.value)


def test_other_studies_and_settings_are_refused():
    with pytest.raises(ConfigError, match=r"per.*mix, judgment.*person"):
        append_mixes(base_data(STUDY), STUDY, LABELS, per="person")
    with pytest.raises(DataError, match="this one is 'construct'"):
        append_mixes(base_data(STUDY), invent("construct", 0), LABELS)


def test_a_leaking_mix_may_be_left_out():
    keep = ~np.isin(STUDY.stimuli.id1, STUDY.stimuli.id2[1]) & (STUDY.stimuli.id2 != STUDY.stimuli.id2[1])
    found = append_mixes(broken_split("test"), STUDY, LABELS, keep=keep)
    assert len(found) == N + keep.sum()


def test_the_split_around_the_mixes_takes_free_images_only():
    data = base_data(STUDY, split=False)
    free = np.setdiff1d(np.arange(N), [STUDY.stimuli.id1, STUDY.stimuli.id2])
    test, val = 0.2, 0.1
    found = split_around_mixes(data, STUDY, test_fraction=test, val_fraction=val, seed=3)
    held = np.flatnonzero(found.split != "train")
    assert set(held) <= set(free)
    assert abs((found.split == "test").sum() - test * N) < 1
    assert abs((found.split == "val").sum() - val * N) < 1
    append_mixes(found, STUDY, LABELS)
    again = split_around_mixes(data, STUDY, test_fraction=test, val_fraction=val, seed=3)
    np.testing.assert_array_equal(found.split, again.split)
    other = split_around_mixes(data, STUDY, test_fraction=test, val_fraction=val, seed=4)
    assert (found.split != other.split).any()
    for fractions in ((0.99, 0.01), (0.1, 0.0), (-0.1, 0.2)):
        with pytest.raises(ConfigError, match=f"at most {len(free)} of 50 items"):
            split_around_mixes(data, STUDY, test_fraction=fractions[0], val_fraction=fractions[1])


def test_the_released_mixes_join_the_images_of_cifar10h(real_data, tmp_path):
    study = read_study(real_data / "hmix", "infer")
    data = find_source("cifar10h-counts").build(Access(tmp_path, real_data), Options())
    data = split_around_mixes(data, study)
    assert [(data.split == name).sum() for name in ("train", "val", "test")] == [6_000, 1_000, 3_000]
    policy = ImageTable.fit(study.without_repeats().to_judgments())
    found = append_mixes(data, study, label_mixes(study, policy))
    shown, judgments = study.stimuli, study.judgments
    assert len(found) == 12_070
    assert found.annotations.exchangeable
    images = data.inputs.array
    for i in (0, 700, 2_069):
        expected = render_mix(images[shown.id1[i]], images[shown.id2[i]], shown.weight[i])
        np.testing.assert_array_equal(found.inputs.array[10_000 + i], expected)
        mean = judgments.weight[(judgments.stimulus == i) & ~judgments.repeat].mean()
        label = found.annotations.probs[found.annotations.indptr[10_000 + i]]
        assert label[shown.label1[i]] == pytest.approx(mean, abs=1e-6)
        assert label[shown.label2[i]] == pytest.approx(1 - mean, abs=1e-6)
    mixup = append_mixes(data, study, label_mixes(study, Identity())).annotations
    np.testing.assert_allclose(mixup.probs[-2_070:][np.arange(2_070), shown.label1], shown.weight, atol=1e-6)
    each = append_mixes(data, study, label_judgments(study), per="judgment").annotations
    assert each.num_pairs - data.annotations.num_pairs == 4_788
    assert each.num_annotators == 82
    assert not each.exchangeable


def test_masks_and_groups_of_the_items_stay_and_mixes_have_none():
    data = base_data(STUDY)
    marked = ArrayInputs(np.full((1, *data.inputs.shape[1:]), 255, np.uint8), "image")
    masks = Masks.build([2], [0], marked, num_items=N, annotators=["ann"])
    found = append_mixes(replace(data, masks=masks, group=np.arange(N) % 2, groups=("a", "b")), STUDY, LABELS)
    assert np.flatnonzero(found.masks.explained).tolist() == [2]
    assert found.masks.fetch(np.array([N]), "union").max() == 0
    assert found.group.tolist() == [*(np.arange(N) % 2), *[-1] * S]
    assert found.groups == ("a", "b")
