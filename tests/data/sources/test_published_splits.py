"""Splits and annotators of the annot-mix study."""

import numpy as np
from sklearn.model_selection import train_test_split

from hilmix.data.sources import Options
from hilmix.data.sources.published_splits import draw_published_split, simulate_published_annotators


def test_test_items_are_drawn_first_then_validation():
    """Against the calls that the study's code makes, on positions."""
    target = np.arange(300) % 3
    split = draw_published_split(target, test=0.2, val=30)
    rest, test = train_test_split(np.arange(300), test_size=0.2, random_state=0, stratify=target)
    train, val = train_test_split(rest, test_size=30, random_state=0, stratify=target[rest])
    assert sorted(np.flatnonzero(split == "test")) == sorted(test)
    assert sorted(np.flatnonzero(split == "val")) == sorted(val)
    assert sorted(np.flatnonzero(split == "train")) == sorted(train)
    assert np.bincount(target[split == "val"]).tolist() == [10, 10, 10]


def test_without_test_items_all_others_train():
    split = draw_published_split(np.arange(90) % 3, test=0, val=9)
    assert {part: int((split == part).sum()) for part in ("train", "val", "test")} == {"train": 81, "val": 9, "test": 0}


def test_test_items_have_every_label_and_the_options_are_applied():
    target, rng = np.arange(120) % 2, np.random.default_rng(0)
    split = np.repeat(["train", "val", "test"], 40)
    votes = simulate_published_annotators(
        rng.normal(size=(120, 3)),
        target,
        split,
        classes=["a", "b"],
        options=Options(seed=1, annotators=4, labels_per_item=1),
        hidden=(4,),
        max_epochs=2,
    )
    assert votes.num_annotators == 4
    assert votes.labels_per_item.tolist() == [1] * 80 + [4] * 40
