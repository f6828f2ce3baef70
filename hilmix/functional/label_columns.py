"""Labels as aligned columns, and what is computed of all of them part by part."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from hilmix.functional.confusion import label_posterior
from hilmix.functional.expectation import discount_dependence

# 64 MiB in float32, several of which an E step holds at once.
PART_CELLS = 2**24
"""Most numbers (L, K) of a part's labels, but for an item that has more labels than that."""


class LabelColumns(NamedTuple):
    """L labels as aligned columns."""

    item: Tensor
    """(L,) int64 in [0, N)."""
    annotator: Tensor
    """(L,) int64 in [0, A)."""
    label: Tensor
    """(L,) int64 in [0, K)."""
    probs: Tensor | None = None
    """(L, K) float soft labels."""

    def select(self, rows: Tensor | slice) -> "LabelColumns":
        """Returns the labels of some rows, a slice, bool or int64 index."""
        probs = None if self.probs is None else self.probs[rows]
        return LabelColumns(self.item[rows], self.annotator[rows], self.label[rows], probs)

    def by_item(self) -> "LabelColumns":
        """Returns the labels sorted by item, itself where they are."""
        if bool((self.item[1:] >= self.item[:-1]).all()):
            return self
        return self.select(self.item.argsort(stable=True))


class Part(NamedTuple):
    """All labels of some items."""

    rows: Tensor
    """(M,) int64, the items."""
    labels: LabelColumns
    """Their labels; ``item`` is in [0, M)."""


def parts_of(labels: LabelColumns, classes: int) -> Iterator[Part]:
    """Yields the labels in parts of at most :data:`PART_CELLS` numbers, all labels of an item in one part.

    Args:
        labels: sorted by item.
        classes: K.

    Example:
        >>> columns = LabelColumns(torch.tensor([3, 3, 7]), torch.tensor([0, 1, 0]), torch.tensor([2, 2, 1]))
        >>> [(part.rows.tolist(), part.labels.item.tolist()) for part in parts_of(columns, 3)]
        [([3, 7], [0, 0, 1])]
    """
    number = len(labels.item)
    step = max(1, PART_CELLS // classes)
    starts = torch.arange(0, number, step, device=labels.item.device)
    # Back to the first label of the item that a part would begin inside of.
    starts = torch.unique_consecutive(torch.searchsorted(labels.item, labels.item[starts]))
    bounds = [*starts.tolist(), number]
    for start, end in pairwise(bounds):
        part = labels.select(slice(start, end))
        rows, item = torch.unique_consecutive(part.item, return_inverse=True)
        yield Part(rows, part._replace(item=item))


def expected_classes(
    log_probs: Tensor, labels: LabelColumns, log_likelihood: Callable[[LabelColumns], Tensor], *, dependence: float
) -> Tensor:
    """The E step: returns p(true class | input, labels) of the items with labels, (N, K) float, zeros for the others.

    Memory beyond the result is that of one part (:func:`parts_of`), whatever the number of labels.

    Args:
        log_probs: (N, K) float, log-probabilities of the classes of each item.
        labels: sorted by item.
        log_likelihood: returns (L, K) log p(label of the pair | true class c) of the labels that it is given.
        dependence: correlation in [0, 1] of the labels of an item, see
            :func:`~hilmix.functional.expectation.discount_dependence`.
    """
    found = torch.zeros_like(log_probs)
    for rows, part in parts_of(labels, log_probs.shape[1]):
        evidence = discount_dependence(log_likelihood(part), part.item, len(rows), dependence)
        found[rows] = label_posterior(log_probs[rows], evidence, part.item)
    return found
