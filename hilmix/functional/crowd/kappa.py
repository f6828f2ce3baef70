"""Cohen's kappa of pairs of annotators, and Fleiss' kappa of all."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.sizes import CHUNK_CELLS


def fleiss_kappa(table: Votes) -> float:
    """Returns Fleiss' kappa, the agreement of pairs of labels beyond that of the pooled shares of classes.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.

    Returns:
        NaN where no item has two labels, or all labels are equal.

    Reference:
        Fleiss, Psychological Bulletin 76, 1971. Differs from the paper: items may have different numbers of labels;
        those with two or more count alike, and others not at all. :func:`~hilmix.functional.crowd.krippendorff_alpha`
        weights items by their labels.
    """
    k = table.num_classes
    labels = np.bincount(table.item, minlength=table.num_items)
    several = labels > 1
    rows = several[table.item]
    cell, count = np.unique(table.item[rows] * k + table.label[rows], return_counts=True)
    same = np.bincount(cell // k, count * (count - 1.0), minlength=table.num_items)[several]
    if not len(same):
        return float("nan")
    agreement = float((same / (labels[several] * (labels[several] - 1))).mean())
    # Chance is that of the labels that are compared: those of items with one label have no pair.
    share = np.bincount(table.label[rows], minlength=k) / int(rows.sum())
    chance = float(share @ share)
    return (agreement - chance) / (1 - chance) if chance < 1 else float("nan")


class CohenPairs(NamedTuple):
    """Cohen's kappa of P pairs of annotators, sorted by both. Fields are (P,)."""

    first: IntArray
    second: IntArray
    items: IntArray
    """Number of items that both labelled."""
    agreement: FloatArray
    """Share of them with equal labels."""
    kappa: FloatArray
    """Agreement beyond chance; NaN where both gave one and the same label to all."""


def cohen_kappas(table: Votes, *, min_items: int = 1) -> CohenPairs:
    """Returns Cohen's kappa of every pair of annotators with common items.

    Memory grows with the pairs, time with the pairs of labels of an item. An annotator is taken to label an item once.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        min_items: pairs with fewer common items are left out.

    Reference:
        Cohen, Educational and Psychological Measurement 20, 1960.
    """
    order = np.argsort(table.item, kind="stable")
    size = np.bincount(table.item, minlength=table.num_items)
    start = np.cumsum(size) - size
    # Whole annotators at a time, so that a chunk holds all common items of its pairs.
    by_annotator = np.argsort(table.annotator, kind="stable")
    width = np.bincount(table.annotator, size[table.item], minlength=table.num_annotators)
    last = np.cumsum(np.bincount(table.annotator, minlength=table.num_annotators))
    found = []
    for who in _chunks_by_width(width.astype(np.int64)):
        rows = by_annotator[last[who.start - 1] if who.start else 0 : last[who.stop - 1]]
        count = size[table.item[rows]]
        own = np.repeat(rows, count)
        offset = np.repeat(start[table.item[rows]] - (np.cumsum(count) - count), count)
        other = order[np.arange(len(own)) + offset]
        # Each pair once, and no annotator with themselves.
        kept = table.annotator[other] > table.annotator[own]
        found.append(_kappas_of(table, own[kept], other[kept]))
    # mypy takes the fields of a zip for one type
    columns: list[Any] = [np.concatenate(column) for column in zip(*found, strict=True)]
    enough = columns[2] >= min_items
    return CohenPairs(*(column[enough] for column in columns))


def _chunks_by_width(width: IntArray) -> list[slice]:
    """Slices of annotators whose widths together are those of a chunk, or single ones."""
    chunk = (np.cumsum(width) - width) // CHUNK_CELLS
    cuts = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(width)]
    return [slice(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def _kappas_of(table: Votes, own: IntArray, other: IntArray) -> CohenPairs:
    """Kappas from the rows of two labels of an item."""
    a, k = table.num_annotators, table.num_classes
    pair, place, items = np.unique(
        table.annotator[own] * a + table.annotator[other], return_inverse=True, return_counts=True
    )
    agreement = np.bincount(place, table.label[own] == table.label[other], minlength=len(pair)) / items
    cell, count = np.unique(place * k + table.label[own], return_counts=True)
    cell_other, count_other = np.unique(place * k + table.label[other], return_counts=True)
    # The marginal products where both have the class.
    _, left, right = np.intersect1d(cell, cell_other, assume_unique=True, return_indices=True)
    products = np.bincount(cell[left] // k, count[left] * count_other[right] * 1.0, minlength=len(pair))
    chance = products / items.astype(np.float64) ** 2
    kappa = np.divide(agreement - chance, 1 - chance, out=np.full(len(pair), np.nan), where=chance < 1)
    return CohenPairs(pair // a, pair % a, items, agreement, kappa)
