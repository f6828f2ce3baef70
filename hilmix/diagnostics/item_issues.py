"""One table of the issues of items: for each type a score in [0, 1], low is suspicious, and a column of yes and no."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.diagnostics.features import Features, mahalanobis_outliers, nearest_neighbors
from hilmix.errors import DataError
from hilmix.functional import item_issues as F

_IMAGES = ("dark", "bright", "blurred", "low_information")
_LEVEL = 0.05
_STRONG = 0.3
"""Strength from which on an association of a property with the label is an issue, a medium effect by convention."""


class ItemIssues(NamedTuple):
    """Issues of a data set."""

    items: pd.DataFrame
    """One row per item: for each issue type that the inputs allow ``TYPE`` (score in [0, 1], low is suspicious) and
    ``is_TYPE``; ``near_duplicate_set`` and ``exact_duplicate_set`` number the sets, -1 for none."""
    data_set: pd.DataFrame
    """One row per issue of the data as a whole: ``issue`` (``order``, ``underperforming_group``, ``shortcut``),
    ``name`` of the group or property, ``value`` (statistic, ratio, strength), ``p_value``, ``is_issue``."""


def find_item_issues(
    *,
    features: Features | None = None,
    images: Sequence[NDArray[Any]] | None = None,
    label: IntArray | None = None,
    num_classes: int | None = None,
    quality: NDArray[np.floating[Any]] | None = None,
    split: IntArray | None = None,
    properties: Mapping[str, NDArray[Any]] | None = None,
    k: int = 10,
) -> ItemIssues:
    """Finds the issues of items that the given arrays allow; each is optional.

    Outliers and near duplicates need ``features``, the distance from class means also ``label``; exact duplicates,
    and dark, bright, blurred, low-information and odd-sized pictures need ``images``; duplicates across splits also
    ``split``; rare classes ``label``; underperforming groups ``quality`` and ``properties``; shortcuts ``label`` and
    ``properties`` (those of the images are added).

    Args:
        features: (N, D) finite features in the order of the data.
        images: N images (C, H, W), uint8 or float in [0, 1], read one by one.
        label: (N,) int64 label of each item, -1 for none.
        num_classes: K; by default the largest label and one.
        quality: (N,) label quality, such as the self-confidence out of fold; NaN where unknown.
        split: (N,) int64 split of each item, -1 for none.
        properties: by name, (N,) numbers, or codes of groups as integers of at least 0, -1 unknown.
        k: number of neighbours.

    Raises:
        DataError: for arrays of different lengths, or features that are not finite.
    """
    known = dict(properties or {})
    given = {"features": features, "images": images, "label": label, "quality": quality, "split": split, **known}
    sizes = {name: len(values) for name, values in given.items() if values is not None}
    if len(set(sizes.values())) != 1:
        raise DataError(f"`find_item_issues` must get arrays of one length, got {sizes or 'none'}.")
    columns: dict[str, NDArray[Any]] = {}
    rows: list[dict[str, object]] = []
    if features is not None:
        _add_features(columns, rows, features, label, split, k)
    if images is not None:
        found = _add_images(columns, images, split)
        # A property that the caller gives wins over the measured one of its name.
        known = {**found, **known}
    if label is not None:
        _add_rare(columns, label, num_classes)
        rows += [_shortcut(name, values, label) for name, values in known.items()]
    if quality is not None:
        rows += _weak_groups(known, np.asarray(quality, dtype=np.float64))
    data_set = pd.DataFrame(rows, columns=["issue", "name", "value", "p_value", "is_issue"])
    # Several tests are made at once, so each level is divided by their number (Bonferroni).
    tests = max(int((data_set["issue"] == "shortcut").sum()), 1)
    shortcut = data_set["issue"] == "shortcut"
    data_set.loc[shortcut, "is_issue"] &= data_set["p_value"] < _LEVEL / tests
    return ItemIssues(pd.DataFrame(columns, index=range(next(iter(sizes.values())))), data_set)


def _add_features(
    columns: dict[str, NDArray[Any]],
    rows: list[dict[str, object]],
    features: Features,
    label: IntArray | None,
    split: IntArray | None,
    k: int,
) -> None:
    neighbors = nearest_neighbors(features, k=k)
    outliers = F.knn_outliers(neighbors)
    columns |= {"outlier": outliers.score, "is_outlier": outliers.is_outlier}
    if label is not None:
        far = mahalanobis_outliers(features, label)
        columns |= {"class_outlier": far.score, "is_class_outlier": far.is_outlier}
    _add_duplicates(columns, "near_duplicate", F.near_duplicates(neighbors), split)
    test = F.order_test(neighbors)
    rows.append(
        {"issue": "order", "name": "", "value": test.statistic, "p_value": test.p_value}
        | {"is_issue": bool(test.p_value < _LEVEL)}
    )


def _add_duplicates(
    columns: dict[str, NDArray[Any]], name: str, found: F.DuplicateSets, split: IntArray | None
) -> None:
    columns |= {name: found.score, f"is_{name}": found.set >= 0, f"{name}_set": found.set}
    if split is not None:
        columns[f"is_{name}_leak"] = F.find_leaks(found, split)


def _add_images(
    columns: dict[str, NDArray[Any]], images: Sequence[NDArray[Any]], split: IntArray | None
) -> dict[str, NDArray[Any]]:
    """Adds the columns; returns the properties."""
    import torch

    _add_duplicates(columns, "exact_duplicate", F.exact_duplicates(images), split)
    parts = [F.image_properties(torch.from_numpy(np.ascontiguousarray(image))[None]) for image in images]
    found = {name: np.array([float(getattr(part, name)) for part in parts]) for name in _IMAGES}
    for name, values in found.items():
        columns |= {name: values, f"is_{name}": values < float(getattr(F.THRESHOLDS, name))}
    height, width = (np.array([image.shape[axis] for image in images]) for axis in (-2, -1))
    score, odd = F.odd_sizes(height, width)
    columns |= {"odd_size": score, "is_odd_size": odd}
    return {**found, "pixels": (height * width).astype(np.float64)}


def _add_rare(columns: dict[str, NDArray[Any]], label: IntArray, num_classes: int | None) -> None:
    k = int(label.max(initial=0)) + 1 if num_classes is None else num_classes
    count = np.bincount(label[label >= 0], minlength=k)
    # The share of an equal share, at most 1.
    # Cut off at 1: a class above its share is no issue, whatever its size.
    share = np.minimum(count * k / max(int(count.sum()), 1), 1.0)
    columns["rare_class"] = np.where(label >= 0, share[label], np.nan)
    columns["is_rare_class"] = F.rare_classes(label, k)[label] & (label >= 0)


def _codes(values: NDArray[Any]) -> IntArray:
    whole = np.issubdtype(values.dtype, np.integer)
    return values.astype(np.int64) if whole else F.quantile_bins(values.astype(np.float64))


def _shortcut(name: str, values: NDArray[Any], label: IntArray) -> dict[str, object]:
    found = F.label_association(_codes(values), label)
    row = {"issue": "shortcut", "name": name, "value": found.strength, "p_value": found.p_value}
    return row | {"is_issue": bool(found.strength >= _STRONG)}


def _weak_groups(properties: Mapping[str, NDArray[Any]], quality: NDArray[np.float64]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, values in properties.items():
        codes = _codes(values)
        found = F.group_quality(quality, codes, int(codes.max(initial=-1)) + 1)
        # The worst group stands for the property; NaN, of an empty group, is no candidate.
        if len(found.ratio) and np.isfinite(found.ratio).any():
            worst = int(np.nanargmin(found.ratio))
            rows.append(
                {"issue": "underperforming_group", "name": f"{name} = {worst}", "value": found.ratio[worst]}
                | {"p_value": found.p_value[worst], "is_issue": bool(found.underperforming[worst])}
            )
    return rows
