"""Krippendorff's alpha on the sparse table: agreement beyond chance of any number of annotators with missing labels.

All levels reduce to sums over items, as the squared difference of values separates: nominal labels are points at equal
distance, interval labels numbers, and ordinal ones the mid-ranks of the pooled labels. Items of one label are left out.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes

Level = Literal["nominal", "ordinal", "interval"]
_DENSE = 8
"""Cells per label up to which a dense table of counts is formed."""


class Alpha(NamedTuple):
    """Krippendorff's alpha and its bootstrap interval."""

    alpha: float
    """1: perfect agreement, 0: as by chance, negative: systematic disagreement; NaN where labels do not differ."""
    low: float
    high: float


def krippendorff_alpha(table: Votes, *, level: Level = "nominal", values: ArrayLike | None = None) -> float:
    """Returns Krippendorff's alpha, 1 - observed / expected disagreement, NaN without two different paired labels.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        level: ``nominal``: labels agree or not; ``ordinal``: the order of the classes counts; ``interval``: their
            numbers do.
        values: (K,) number of each class, increasing; of ``interval`` alone; by default 0, 1, ..., K - 1.

    Reference:
        Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.

    Example:
        >>> from hilmix.functional.aggregation import VoteTable
        >>> item, label = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 1])
        >>> round(krippendorff_alpha(VoteTable(item, np.array([0, 1] * 3), label, 3, 2, 2)), 4)
        0.4444
    """
    cells = _Cells.of(table)
    return _alpha(cells, np.ones(table.num_items), level, _numbers(values, table.num_classes))


def bootstrap_alpha(
    table: Votes,
    *,
    level: Level = "nominal",
    values: ArrayLike | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Alpha:
    """Returns Krippendorff's alpha with the percentile interval of resampled items.

    Args:
        table: as of :func:`krippendorff_alpha`.
        level: as there.
        values: as there.
        draws: number of resamples, each as expensive as alpha itself.
        confidence: of the interval, in (0, 1).
        seed: equal seeds give equal intervals.

    Reference:
        Hayes and Krippendorff, Communication Methods and Measures 1, 2007. Differs from it: items are resampled, not
        pairs of labels, which would be taken as independent.
    """
    cells, numbers = _Cells.of(table), _numbers(values, table.num_classes)
    paired = np.flatnonzero(cells.labels > 1)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        weight = np.zeros(table.num_items)
        if len(paired):
            # Items are drawn, not labels: those of an item depend on each other. Weights stand for copies, so that no
            # table is built anew for each draw.
            weight[paired] = np.bincount(rng.integers(len(paired), size=len(paired)), minlength=len(paired))
        found.append(_alpha(cells, weight, level, numbers))
    tail = (1 - confidence) / 2
    # A resample in which all labels are equal has no alpha.
    some = np.array(found)[~np.isnan(found)]
    low, high = np.quantile(some, [tail, 1 - tail]) if len(some) else (np.nan, np.nan)
    return Alpha(_alpha(cells, np.ones(table.num_items), level, numbers), float(low), float(high))


def leave_one_out_alpha(
    table: Votes, *, level: Literal["nominal", "interval"] = "nominal", values: ArrayLike | None = None
) -> FloatArray:
    """Returns alpha without each annotator, (A,) float64; higher than alpha where the annotator lowers agreement.

    In one pass over the labels. An annotator is taken to label an item once; the ordinal level, whose distances depend
    on all labels, is not offered.

    Args:
        table: as of :func:`krippendorff_alpha`.
        level: as there.
        values: as there.
    """
    cells, k, a = _Cells.of(table), table.num_classes, table.num_annotators
    numbers = _numbers(values, k) if level == "interval" else None
    m = cells.labels[table.item]
    first, second = _item_moments(cells, numbers)
    # What each label's own item loses with it; an item of two labels is lost entirely.
    value = None if numbers is None else numbers[table.label]
    own_first = 0.0 if value is None else value
    own_second = 2 * _count_of(cells, table) - 1 if value is None else value**2
    before = _disagreement(m, first[table.item], second[table.item], nominal=numbers is None)
    after = _disagreement(
        m - 1, first[table.item] - own_first, second[table.item] - own_second, nominal=numbers is None
    )
    observed = _disagreement(cells.labels, first, second, nominal=numbers is None)
    lost = np.bincount(table.annotator, before - after, minlength=a)
    remaining = float(observed.sum()) - lost
    return _without_each(table, cells, numbers, remaining.astype(np.float64))


class _Cells(NamedTuple):
    """The counts of labels that occur."""

    item: IntArray
    label: IntArray
    times: FloatArray
    labels: IntArray
    """(N,) labels of each item."""
    num_classes: int

    @classmethod
    def of(cls, table: Votes) -> "_Cells":
        cell, count = _occurring(table.item * table.num_classes + table.label, table.num_items * table.num_classes)
        item = cell // table.num_classes
        labels = np.bincount(table.item, minlength=table.num_items)
        return cls(item, cell - item * table.num_classes, count.astype(np.float64), labels, table.num_classes)


def _occurring(cell: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The cells of a table of ``size`` that occur, and how often."""
    if size > _DENSE * len(cell):
        return np.unique(cell, return_counts=True)
    # Counting is ten times faster than sorting where most cells occur.
    count = np.bincount(cell, minlength=size)
    found = np.flatnonzero(count)
    return found, count[found]


def _numbers(values: ArrayLike | None, num_classes: int) -> FloatArray:
    return np.arange(num_classes, dtype=np.float64) if values is None else np.asarray(values, dtype=np.float64)


def _item_moments(cells: _Cells, numbers: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """(N,) sums of values and of their squares; of nominal labels 0 and the sum of squared counts."""
    size = len(cells.labels)
    if numbers is None:
        return np.zeros(size), np.bincount(cells.item, cells.times**2, minlength=size).astype(np.float64)
    value = numbers[cells.label]
    first, second = (np.bincount(cells.item, cells.times * value**p, minlength=size) for p in (1, 2))
    return first.astype(np.float64), second.astype(np.float64)


def _disagreement(m: IntArray, first: FloatArray, second: FloatArray, *, nominal: bool) -> FloatArray:
    """Sum over the ordered pairs of an item's labels of their squared difference, over m - 1; 0 for fewer than two."""
    pairs = m**2 - second if nominal else 2 * (m * second - first**2)
    found: FloatArray = np.divide(pairs, m - 1, out=np.zeros(len(m)), where=m > 1)
    return found


def _alpha(cells: _Cells, weight: FloatArray, level: Level, numbers: FloatArray) -> float:
    """Alpha where item n occurs weight[n] times."""
    paired = weight * (cells.labels > 1)
    by_class = np.bincount(cells.label, cells.times * paired[cells.item], minlength=cells.num_classes)
    total = by_class.sum()
    if level == "nominal":
        observed = paired @ _disagreement(cells.labels, *_item_moments(cells, None), nominal=True)
        expected = (total**2 - by_class @ by_class) / max(total - 1, 1)
    else:
        # Mid-ranks: the distance of two ordered classes is the number of labels between them.
        place = numbers if level == "interval" else np.cumsum(by_class) - by_class / 2
        # Centred and scaled: alpha does not change, and no digits are lost to large numbers.
        place = place - by_class @ place / max(total, 1)
        place = place / max(float(np.abs(place).max(initial=0.0)), np.finfo(np.float64).tiny)
        observed = paired @ _disagreement(cells.labels, *_item_moments(cells, place), nominal=False)
        expected = 2 * (total * (by_class @ place**2) - (by_class @ place) ** 2) / max(total - 1, 1)
    return float(1 - observed / expected) if expected > 0 else float("nan")


def _count_of(cells: _Cells, table: Votes) -> FloatArray:
    """(L,) how often each label was given to its item."""
    key = cells.item * cells.num_classes + cells.label
    return cells.times[np.searchsorted(key, table.item * cells.num_classes + table.label)]


def _without_each(table: Votes, cells: _Cells, numbers: FloatArray | None, observed: FloatArray) -> FloatArray:
    """(A,) alpha from the observed disagreement without each annotator."""
    k, a = cells.num_classes, table.num_annotators
    paired = cells.labels > 1
    by_class = np.bincount(cells.label, cells.times * paired[cells.item], minlength=k)
    item, label, annotator = table.item, table.label, table.annotator
    kept = paired[item]
    gone_who, gone_label = annotator[kept], label[kept]
    # An item of two labels takes the other annotator's label with it.
    other_who, other_label = _partners(table, cells)
    who, gone = np.concatenate([gone_who, other_who]), np.concatenate([gone_label, other_label])
    number = np.bincount(who, minlength=a).astype(np.float64)
    total = by_class.sum() - number
    if numbers is None:
        cell, count = np.unique(who * k + gone, return_counts=True)
        owner = cell // k
        of_class = by_class[cell - owner * k]
        # (n - d)^2 = n^2 + d^2 - 2 n d: only classes that the annotator takes away are visited, not all K of each.
        squares = by_class @ by_class + np.bincount(owner, count**2 - 2.0 * of_class * count, minlength=a)
        pairs = total**2 - squares
    else:
        first = by_class @ numbers - np.bincount(who, numbers[gone], minlength=a)
        second = by_class @ numbers**2 - np.bincount(who, numbers[gone] ** 2, minlength=a)
        pairs = 2 * (total * second - first**2)
    expected = pairs / np.maximum(total - 1, 1)
    # Exact zeros of integer sums; a NaN says that no two labels differ.
    alpha: FloatArray = np.divide(expected - observed, expected, out=np.full(a, np.nan), where=expected > 1e-12)
    return alpha


def _partners(table: Votes, cells: _Cells) -> tuple[IntArray, IntArray]:
    """Annotator and the other's label, for each label of an item of two."""
    two = np.flatnonzero(cells.labels[table.item] == 2)
    by_item = two[np.argsort(table.item[two], kind="stable")].reshape(-1, 2)
    return table.annotator[by_item].ravel(), table.label[by_item[:, ::-1]].ravel()
