"""Votes to aggregate: random ones, and the public sets of HILMIX_DATA."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from hilmix.annotations import Annotations
from hilmix.functional.aggregation import VoteTable

Loose = list[tuple[int, int, list[float]]]
"""(item, annotator, shares of the K classes) of every answer, for loops."""


def random_table(
    seed: int,
    *,
    num_items: int = 6,
    num_annotators: int = 3,
    num_classes: int = 3,
    density: float = 0.7,
    soft: bool = False,
    repeats: int = 0,
) -> VoteTable:
    """Random votes: rows in no order, some items empty, the first rows given again if asked."""
    rng = np.random.default_rng(seed)
    item, annotator = np.nonzero(rng.random((num_items, num_annotators)) < density)
    order = rng.permutation(len(item))
    order = np.concatenate([order, order[:repeats]])
    item, annotator, label = item[order], annotator[order], rng.integers(0, num_classes, len(order))
    probs = rng.dirichlet(np.ones(num_classes), len(order)) if soft else None
    label = label if probs is None else probs.argmax(1)
    return VoteTable(item, annotator, label, num_items, num_annotators, num_classes, probs)


def loose(table: VoteTable) -> Loose:
    """The same answers one by one."""
    shares = np.eye(table.num_classes)[table.label] if table.probs is None else table.probs
    return [(int(i), int(a), q.tolist()) for i, a, q in zip(table.item, table.annotator, shares, strict=True)]


def shuffled(table: VoteTable, seed: int = 0) -> VoteTable:
    """The same answers in another order."""
    order = np.random.default_rng(seed).permutation(len(table.item))
    rows = {name: getattr(table, name)[order] for name in ("item", "annotator", "label")}
    return replace(table, **rows, probs=None if table.probs is None else table.probs[order])


def with_empty_items(table: VoteTable, number: int) -> VoteTable:
    return replace(table, num_items=table.num_items + number)


def crowd(folder: Path, name: str) -> tuple[Annotations, np.ndarray]:
    """The votes and the truth of a public set."""
    stored = np.load(folder / "crowds" / f"{name}.npz", allow_pickle=True)
    truth = stored["truth"].astype(np.int64)
    annotations = Annotations.build(
        stored["item"],
        stored["annotator"],
        stored["label"],
        num_items=len(truth),
        classes=len(stored["class_names"]),
        annotators=int(stored["annotator"].max()) + 1,
    )
    return annotations, truth
