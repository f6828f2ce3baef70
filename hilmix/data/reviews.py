"""Items of a data folder to review, and the labels of a reviewer as votes or as targets."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hilmix.annotations import Annotations, IntArray
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError

REVIEWED = "reviewed"
"""Column for the reviewer's label, empty where there is none."""


def take_items(data: AnnotatedData, rows: IntArray) -> AnnotatedData:
    """Returns some items with their inputs and annotations, without splits, groups and masks.

    Args:
        data: all items.
        rows: (M,) int64 of the items, in the order of the result; without repeats.
    """
    notes = data.annotations
    place = np.full(len(data), -1)
    place[rows] = np.arange(len(rows))
    kept = place[notes.item] >= 0
    probs = None if notes.probs is None else notes.probs[kept]
    annotations = Annotations.build(
        place[notes.item[kept]],
        notes.annotator[kept],
        notes.label[kept],
        num_items=len(rows),
        classes=notes.classes,
        annotators=notes.annotators,
        probs=probs,
        exchangeable=notes.exchangeable,
    )
    array = data.inputs.fetch(rows).numpy()
    if data.inputs.kind == "image":
        array = np.moveaxis(array, 1, -1)  # stored with the channels last
    return AnnotatedData(
        name=f"{data.name}-review",
        items=tuple(data.items[row] for row in rows),
        inputs=ArrayInputs(array, data.inputs.kind),
        annotations=annotations,
        licence=data.licence,
    )


def add_reviews(data: AnnotatedData, reviews: pd.DataFrame, *, reviewer: str | None = None) -> AnnotatedData:
    """Returns the data with a reviewer's labels, as votes of an annotator or as true classes.

    Args:
        data: all items.
        reviews: columns ``item`` and ``reviewed``, a class or empty.
        reviewer: name of the annotator, whose former labels of these items are replaced; None: labels become targets.

    Raises:
        DataError: naming every unknown item and class, repeated items, missing columns, or anonymous annotators.
    """
    item, label = _code_reviews(data, reviews)
    if reviewer is None:
        target = data.target.copy()
        target[item] = label
        return replace(data, target=target)
    notes = data.annotations
    if notes.exchangeable or notes.probs is not None:
        kind = "anonymous" if notes.exchangeable else "soft"
        raise DataError(f"{data.name}: annotations must be named hard labels to add a reviewer, got {kind} ones.")
    if data.annotator_features is not None and reviewer not in notes.annotators:
        raise DataError(f"`reviewer` must be one of the annotators, whose features are known, got {reviewer!r}.")
    names = notes.annotators if reviewer in notes.annotators else (*notes.annotators, reviewer)
    code = names.index(reviewer)
    # The later review counts, whatever the rule for repeated labels.
    kept = ~((notes.annotator == code) & np.isin(notes.item, item))
    columns: dict[str, Any] = {}
    for name in ("confidence", "seconds"):
        values = getattr(notes, name)
        columns[name] = None if values is None else np.concatenate([values[kept], np.full(len(item), np.nan)])
    annotations = Annotations.build(
        np.concatenate([notes.item[kept], item]),
        np.concatenate([notes.annotator[kept], np.full(len(item), code)]),
        np.concatenate([notes.label[kept], label]),
        num_items=len(data),
        classes=notes.classes,
        annotators=names,
        **columns,
    )
    return replace(data, annotations=annotations)


class JoinedVotes(NamedTuple):
    """Result of :func:`join_votes`."""

    data: AnnotatedData
    added: pd.DataFrame
    """One row per vote that came in: ``item``, ``reviewed``, ``reviewer``."""


def join_votes(data: AnnotatedData, reviewed: AnnotatedData) -> JoinedVotes:
    """Returns the data with the votes that further annotators gave to some of the items in another folder.

    Votes of annotators whom the data have are left out: of a folder that was taken from the data they are its own.

    Args:
        data: all items.
        reviewed: some of these items, by name, with classes of the data, by name.

    Raises:
        DataError: naming unknown items and classes; for no vote of a further annotator, or anonymous or soft ones.
    """
    notes, more = data.annotations, reviewed.annotations
    for one in (data, reviewed):
        if one.annotations.exchangeable or one.annotations.probs is not None:
            kind = "anonymous" if one.annotations.exchangeable else "soft"
            raise DataError(f"{one.name}: annotations must be named hard labels to join votes, got {kind} ones.")
    new = ~np.isin(np.asarray(more.annotators, dtype=object), np.asarray(notes.annotators, dtype=object))
    kept = new[more.annotator]
    if not kept.any():
        raise DataError(f"{reviewed.name} must have a vote of an annotator whom {data.name} does not have, got none.")
    items, classes = np.asarray(reviewed.items, dtype=object), np.asarray(reviewed.classes, dtype=object)
    who = np.asarray(more.annotators, dtype=object)[more.annotator[kept]]
    added = pd.DataFrame({"item": items[more.item[kept]], REVIEWED: classes[more.label[kept]], "reviewer": who})
    for name, part in added.groupby("reviewer", sort=False):
        data = add_reviews(data, part, reviewer=str(name))
    return JoinedVotes(data, added)


def _code_reviews(data: AnnotatedData, reviews: pd.DataFrame) -> tuple[IntArray, IntArray]:
    if missing := [name for name in ("item", REVIEWED) if name not in reviews]:
        raise DataError(f"The reviews must have the columns item and {REVIEWED}, got none called {missing[0]}.")
    given = reviews[reviews[REVIEWED].notna() & (reviews[REVIEWED].astype(str).str.strip() != "")]
    names, labels = given["item"].astype(str), given[REVIEWED].astype(str).str.strip()
    item, label = pd.Index(data.items).get_indexer(names), pd.Index(data.classes).get_indexer(labels)
    faults = [f"item {name!r} is unknown" for name in names[item < 0]]
    faults += [f"{name!r} is none of the classes {', '.join(data.classes)}" for name in sorted(set(labels[label < 0]))]
    faults += [f"item {name!r} is reviewed twice" for name in names[names.duplicated()]]
    if faults:
        raise DataError(f"{len(faults)} faults in the reviews: {'; '.join(faults[:20])}. Correct them.")
    if not len(item):
        raise DataError(f"The column {REVIEWED} must hold a class for at least one item, got none.")
    return item.astype(np.int64), label.astype(np.int64)
