"""Confusion matrices of annotators, looked up for pairs: O(L K) memory beyond the table of all annotators.

Where no gradient is asked for, a pair needs rows and columns of its annotator's matrix, never a copy of the matrix.
Pairs are grouped by annotator, and each group is one product with the matrix of that annotator.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from hilmix.functional.calibration import sum_dtype
from hilmix.functional.confusion import Confusion
from hilmix.functional.precision import at_least_float32
from hilmix.types import UNKNOWN


class TableConfusion:
    """The :class:`~hilmix.functional.confusion.Confusion` of L pairs in a table of normalised matrices.

    Args:
        table: (A, K, K) float, log C[a][c, k], rows normalised.
        annotator: (L,) int64, rows of the table, negative ones counted from the end.
    """

    # No tuple: Lightning moves the tensors of tuples to the CPU with every batch, and the table is the model's.
    def __init__(self, table: Tensor, annotator: Tensor) -> None:
        self.table, self.annotator = table, annotator

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return self.log_mixture(log_probs, lambda matrix: matrix.exp())

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        if probs is not None:
            return self.multiply(probs.to(self.table.dtype), lambda matrix: matrix.t())
        # Index vectors around a slice put the pairs first: (L, K) without a matrix (K, K) for any pair.
        return self.table[self.annotator, :, label]

    def diagonal(self) -> Tensor:
        return self.table.diagonal(dim1=1, dim2=2)[self.annotator].exp()

    def dense(self) -> Tensor:
        return self.table[self.annotator].exp()

    # -- pairs by annotator ------------------------------------------------------------------------------------------

    def matrix(self, annotator: int) -> Tensor:
        """Returns the (K, K) entry of an annotator."""
        return self.table[annotator]

    @cached_property
    def groups(self) -> tuple[Tensor, list[tuple[int, slice]]]:
        """The order (L,) of the pairs by annotator, and the places of each annotator's pairs in it."""
        order = self.annotator.argsort(stable=True)
        found, counts = torch.unique_consecutive(self.annotator[order], return_counts=True)
        ends = counts.cumsum(0)
        # The only values that the host needs: which matrices, and how many rows of each.
        spans = zip(found.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True)
        return order, [(a, slice(start, end)) for a, start, end in spans]

    def multiply(self, rows: Tensor, factor: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns (L, K) the product of each pair's row with a matrix of its annotator.

        Args:
            rows: (L, K) float.
            factor: returns the (K, K) matrix from the annotator's entry in the table.
        """
        order, spans = self.groups
        own = rows[order]
        with torch.autocast(rows.device.type, enabled=False):  # the product would be rounded to half precision
            parts = [own[span] @ factor(self.matrix(a)).to(own.dtype) for a, span in spans]
        found = torch.cat(parts) if parts else own
        return torch.empty_like(found).index_copy(0, order, found)

    def log_mixture(self, log_weights: Tensor, factor: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns (L, K) ``log sum_c exp(log_weights[c]) M[c, k]``, M being positive matrices of the annotators.

        Args:
            log_weights: (L, K) float.
            factor: returns M (K, K) from the annotator's entry in the table.
        """
        top = log_weights.amax(1, keepdim=True)
        found = self.multiply((log_weights - top).exp(), factor)
        return found.clamp_min(torch.finfo(found.dtype).tiny).log() + top

    def each(self, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns (L, K) for each pair the vector that is computed from its annotator's entry, once per annotator."""
        order, spans = self.groups
        if not spans:
            return self.table.new_zeros(0, self.table.shape[1])
        vectors = torch.stack([compute(self.matrix(a)) for a, _ in spans])
        place = torch.empty_like(order).index_copy(
            0, order, torch.arange(len(spans), device=order.device).repeat_interleave(self._sizes)
        )
        return vectors[place]

    @property
    def _sizes(self) -> Tensor:
        sizes = [span.stop - span.start for _, span in self.groups[1]]
        return torch.tensor(sizes, device=self.annotator.device)


class LogitTable(TableConfusion):
    """Layers of logits of annotators: each says softmax(p W), and softmax(W[c]) if c is certain.

    See :class:`~hilmix.functional.confusion.LogitConfusion`.

    Args:
        table: (A, K, K) float W of each annotator.
        annotator: (L,) int64 in [0, A), or -1 for the mean of the table.
    """

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return self.multiply(log_probs.exp(), lambda matrix: matrix).log_softmax(-1)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        if probs is not None:
            share = at_least_float32(probs.to(self.table.dtype))
            return self.multiply(share, lambda matrix: matrix.t()) - share.sum(1, keepdim=True) * self.normaliser
        return self.entries(lambda table: table[self.annotator.clamp_min(0), :, label], label) - self.normaliser

    def diagonal(self) -> Tensor:
        return (self.each(lambda matrix: matrix.diagonal()) - self.normaliser).exp()

    def dense(self) -> Tensor:
        known = at_least_float32(self.table[self.annotator.clamp_min(0)])
        unknown = (self.annotator == UNKNOWN).reshape(-1, 1, 1)
        return torch.where(unknown, at_least_float32(self._mean), known).softmax(-1)

    def matrix(self, annotator: int) -> Tensor:
        return at_least_float32(self._mean if annotator == UNKNOWN else self.table[annotator])

    @cached_property
    def normaliser(self) -> Tensor:
        """(L, K) log of the sum of each row's exponentials."""
        return self.each(lambda matrix: matrix.logsumexp(-1))

    def entries(self, look_up: Callable[[Tensor], Tensor], label: Tensor) -> Tensor:
        """Returns (L, K) the column of each pair's label, that of the mean for unknown annotators."""
        found = at_least_float32(look_up(self.table))
        unknown = self.annotator == UNKNOWN
        if not unknown.any():
            return found
        return torch.where(unknown.unsqueeze(1), self.matrix(UNKNOWN).t()[label], found)

    @cached_property
    def _mean(self) -> Tensor:
        return self.table.mean(0)


class SoftmaxTable(LogitTable):
    """Matrices of annotators as the softmax of logits, which class probabilities mix: p softmax(T)."""

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return self.mix_rows(log_probs)

    def mix_rows(self, log_weights: Tensor) -> Tensor:
        """Returns (L, K) the log of the sum of each pair's rows with weights (L, K), given as logarithms."""
        # Logits that an optimizer has moved reach further than float32: a product of its probabilities would underflow.
        exact = log_weights.to(sum_dtype(log_weights.device))
        found = self.log_mixture(exact, lambda matrix: matrix.to(exact.dtype).softmax(-1))
        return found.to(at_least_float32(log_weights).dtype)


class JoinedConfusion:
    """The confusion of pairs that were computed in chunks.

    Args:
        parts: at least one, in the order of the pairs.
        sizes: number of pairs of each.
    """

    def __init__(self, parts: Sequence[Confusion], sizes: Sequence[int]) -> None:
        self.parts, self.sizes = list(parts), list(sizes)

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        split = torch.split(log_probs, self.sizes)
        return torch.cat([part.log_marginal(own) for part, own in zip(self.parts, split, strict=True)])

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        labels = torch.split(label, self.sizes)
        answers = [None] * len(labels) if probs is None else torch.split(probs, self.sizes)
        joined = zip(self.parts, labels, answers, strict=True)
        return torch.cat([part.log_likelihood(own, soft) for part, own, soft in joined])

    def diagonal(self) -> Tensor:
        return torch.cat([part.diagonal() for part in self.parts])

    def dense(self) -> Tensor:
        return torch.cat([part.dense() for part in self.parts])
