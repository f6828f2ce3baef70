"""The table of item issues: planted issues of every type, and what is refused."""

import numpy as np
import pytest

from hilmix.diagnostics import find_item_issues
from hilmix.errors import DataError


def planted(seed: int = 0):
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=120)
    features = 4 * np.eye(6)[label] + rng.normal(size=(120, 6))
    features[3], features[8] = [-6, -6, 0, 0, 0, 0], features[5]
    images = [rng.integers(256, size=(3, 12, 12), dtype=np.uint8) for _ in range(120)]
    images[8], images[10] = images[5], images[10] // 8
    images[11] = rng.integers(256, size=(3, 12, 60), dtype=np.uint8)
    return features, images, label


def test_every_planted_issue_is_found():
    features, images, label = planted()
    split = np.arange(120) % 2 * (np.arange(120) != 8)
    background = np.where(np.arange(120) % 5 == 0, 1 - label, label)
    quality = np.where(background == 1, 0.3, 0.9) + np.linspace(0, 0.01, 120)
    found = find_item_issues(
        features=features,
        images=images,
        label=label,
        num_classes=2,
        quality=quality,
        split=split,
        properties={"background": background},
    )
    items = found.items
    assert len(items) == 120
    assert items.is_outlier[3]
    assert items.is_class_outlier[3]
    for kind in ("near", "exact"):
        assert np.flatnonzero(items[f"is_{kind}_duplicate"]).tolist() == [5, 8]
        assert np.flatnonzero(items[f"is_{kind}_duplicate_leak"]).tolist() == [5, 8]
    assert np.flatnonzero(items.is_dark).tolist() == [10]
    assert np.flatnonzero(items.is_odd_size).tolist() == [11]
    assert not items.is_rare_class.any()
    by_name = found.data_set.set_index(["issue", "name"])
    assert by_name.loc[("shortcut", "background"), "is_issue"]
    assert not by_name.loc[("shortcut", "dark"), "is_issue"]
    assert by_name.loc[("underperforming_group", "background = 1"), "is_issue"]
    assert not by_name.loc[("order", ""), "is_issue"]
    scores = items[[name for name in items if f"is_{name}" in items]]
    assert ((scores >= 0) & (scores <= 1)).all(axis=None)


def test_each_input_is_optional_and_lengths_are_checked():
    features, images, label = planted()
    assert set(find_item_issues(label=label).items) == {"rare_class", "is_rare_class"}
    assert "is_outlier" not in find_item_issues(images=images[:5]).items
    assert not len(find_item_issues(label=label).data_set)
    with pytest.raises(DataError, match=r"'features': 120.*'label': 119"):
        find_item_issues(features=features, label=label[1:])
    with pytest.raises(DataError, match="none"):
        find_item_issues()
