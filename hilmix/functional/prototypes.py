"""Annotators as mixtures over a few shared confusion matrices: memory O(S K^2 + A S) in place of O(A K^2).

    p(z | c, a) = sum_s share[a, s] C_s[c, z]

Each label draws its prototype s from the shares of its annotator. With one prototype per annotator and shares of 0 and
1 the expected counts are those of a matrix for each annotator: :func:`~hilmix.functional.expectation.expected_counts`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hilmix.functional.confusion import diagonal_confusion
from hilmix.functional.expectation import shrunk_confusion
from hilmix.functional.label_columns import LabelColumns, parts_of

# 4 MiB in float32: parts that fit into a processor's cache took half the time of those of 64 MiB.
CACHED_CELLS = 2**20
"""Most numbers (L, S, K) that are worked on at once."""
SPREAD = 0.5
"""Of the diagonals of the first prototypes around their mean, relative to the largest that keeps all in (0, 1)."""
ROUNDS = 5
"""Of shares and matrices in an M step, the posteriors being fixed: one round hardly separates equal prototypes."""


class Prototypes(NamedTuple):
    """Shared matrices, and how much each annotator has of them."""

    log_confusion: Tensor
    """(S, K, K) float, log C_s[c, k]."""
    log_share: Tensor
    """(A + 1, S) float, rows sum to one; the last is that of an unknown annotator, so that -1 finds it."""

    def log_likelihood(self, annotator: Tensor, label: Tensor, probs: Tensor | None = None) -> Tensor:
        """Returns (L, K) log p(label of the pair | true class c), without a number for each pair of classes.

        Args:
            annotator: (L,) int64 in [0, A), or -1.
            label: (L,) int64.
            probs: optional (L, K) float soft labels: then ``sum_k probs[k] log p(k | c)``.
        """
        votes, columns, share = self._asked(annotator, label, probs)
        found = self.log_confusion.new_zeros(len(annotator), self.log_confusion.shape[1])
        for part in votes.chunks(columns.shape[1:].numel()):
            mixed = part.mix(columns, share).sum(1)
            found.index_add_(
                0, part.pair, part.weight.unsqueeze(1) * mixed.clamp_min(torch.finfo(mixed.dtype).tiny).log()
            )
        return found

    def counts(
        self, posterior: Tensor, annotator: Tensor, label: Tensor, probs: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the expected numbers of labels, of each prototype (S, K, K) and of each annotator's shares (A, S).

            r[l, c, s] = share[a, s] C_s[c, z] / sum_s' share[a, s'] C_s'[c, z]
            counts[s, c, k] = sum of posterior[l, c] r[l, c, s] over labels l with z = k

        Args:
            posterior: (L, K) float, p(true class) of the item of each pair.
            annotator: (L,) int64 in [0, A).
            label: (L,) int64.
            probs: optional (L, K) float soft labels, each class of which counts as so large a part of a label.
        """
        votes, columns, share = self._asked(annotator, label, probs)
        by_label = posterior.new_zeros(columns.shape)
        shares = posterior.new_zeros(share[:-1].shape)
        for part in votes.chunks(columns.shape[1:].numel()):
            joint = part.mix(columns, share).to(posterior.dtype)
            total = joint.sum(1).clamp_min_(torch.finfo(joint.dtype).tiny)
            weight = part.weight.to(posterior.dtype).unsqueeze(1) * posterior[part.pair] / total
            joint *= weight.unsqueeze(1)
            by_label.index_add_(0, part.label, joint)
            shares.index_add_(0, part.annotator, joint.sum(2))
        return by_label.permute(1, 2, 0), shares

    def _asked(self, annotator: Tensor, label: Tensor, probs: Tensor | None) -> tuple["_Votes", Tensor, Tensor]:
        """The labels, the columns (K, S, K) of the matrices by label, and the shares (A + 1, S)."""
        # A column of a row-major matrix lies in K places of the memory: one copy makes every look-up a single read.
        columns = self.log_confusion.exp().permute(2, 0, 1).contiguous()
        return _Votes.of(annotator, label, probs, dtype=columns.dtype), columns, self.log_share.exp()


class _Votes(NamedTuple):
    """Labels with weights: a soft label is as many as it has classes."""

    pair: Tensor
    annotator: Tensor
    label: Tensor
    weight: Tensor

    @classmethod
    def of(cls, annotator: Tensor, label: Tensor, probs: Tensor | None, *, dtype: torch.dtype) -> "_Votes":
        if probs is None:
            pair = torch.arange(len(label), device=label.device)
            return cls(pair, annotator, label, torch.ones(len(label), dtype=dtype, device=label.device))
        pair, classes = probs.nonzero(as_tuple=True)
        return cls(pair, annotator[pair], classes, probs[pair, classes].to(dtype))

    def chunks(self, numbers: int) -> Iterator["_Votes"]:
        """Yields the labels in parts, for so many numbers of each."""
        step = max(1, CACHED_CELLS // numbers)
        for start in range(0, len(self.label), step):
            yield _Votes(*(column[start : start + step] for column in self))

    def mix(self, columns: Tensor, share: Tensor) -> Tensor:
        """(L, S, K) share[a, s] C_s[c, z]."""
        return columns[self.label].mul_(share[self.annotator].unsqueeze(2))


class MixtureConfusion:
    """The :class:`~hilmix.functional.confusion.Confusion` of L pairs whose annotators are mixtures of prototypes.

    O(L K) memory beyond the prototypes, O(L S K^2) time for label probabilities, O(L S K) for likelihoods.

    Args:
        prototypes: of all annotators.
        annotator: (L,) int64 in [0, A), or -1.
    """

    # No tuple: Lightning moves the tensors of tuples to the CPU with every batch, and these are those of the model.
    def __init__(self, prototypes: Prototypes, annotator: Tensor) -> None:
        self.prototypes, self.annotator = prototypes, annotator

    @property
    def _share(self) -> Tensor:
        """(L, S)."""
        return self.prototypes.log_share[self.annotator].exp()

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        matrices, share = self.prototypes.log_confusion, self._share
        probs = log_probs.exp().to(share.dtype)
        found = torch.zeros_like(probs)
        for s, matrix in enumerate(matrices):
            found.addcmul_(share[:, s, None], probs @ matrix.exp())
        # Pseudo-labels keep every entry of a matrix positive, so that nothing underflows but what has no digits left.
        return found.clamp_min(torch.finfo(found.dtype).tiny).log()

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        return self.prototypes.log_likelihood(self.annotator, label, probs)

    def diagonal(self) -> Tensor:
        return self._share @ self.prototypes.log_confusion.diagonal(dim1=1, dim2=2).exp()

    def dense(self) -> Tensor:
        return torch.einsum("ls,sck->lck", self._share, self.prototypes.log_confusion.exp())


def start_prototypes(num_prototypes: int, num_classes: int, num_annotators: int, diagonal: float) -> Prototypes:
    """Returns prototypes of equal shares whose mixture has the diagonal that is given, and equal errors.

    Their diagonals differ, evenly around it: equal prototypes would stay equal under expectation maximisation.

    Args:
        num_prototypes: S.
        num_classes: K.
        num_annotators: A.
        diagonal: p(right), in (0, 1).
    """
    reach = SPREAD * min(diagonal, 1 - diagonal)
    # Of one prototype there is no spread: its diagonal is the mean.
    places = [2 * s / (num_prototypes - 1) - 1 for s in range(num_prototypes)] if num_prototypes > 1 else [0.0]
    matrices = torch.stack([diagonal_confusion(num_classes, diagonal + reach * place) for place in places])
    shares = torch.full((num_annotators + 1, num_prototypes), 1 / num_prototypes)
    return Prototypes(matrices.log(), shares.log())


class PrototypePrior(NamedTuple):
    """Prior of prototypes, beside the labels; see :class:`~hilmix.functional.out_of_fold.MatrixPrior`."""

    start: Prototypes
    """Before the first step."""
    pseudo_counts: Tensor
    """(K, K) float, of the matrix of all, see :func:`~hilmix.functional.expectation.shrunk_confusion`."""
    strength: float
    """Pseudo-labels that pull an annotator's shares, and each row of a prototype, towards those of all."""
    dependence: float
    """Correlation in [0, 1] of the labels of an item."""

    def log_likelihood(self, matrices: Prototypes, labels: LabelColumns) -> Tensor:
        """Returns (L, K) log p(label of the pair | true class c)."""
        return matrices.log_likelihood(labels.annotator, labels.label, labels.probs)

    def maximise(self, matrices: Prototypes, posterior: Tensor, labels: LabelColumns) -> Prototypes:
        """The M step: :data:`ROUNDS` rounds of expected counts and what they make of shares and matrices.

            C_s = rows-normalised(N_s + strength shared),   shared = rows-normalised(sum_s N_s + pseudo_counts)
            share[a] = normalised(M[a] + strength mean),   mean = normalised(sum_a M[a] + 1)

        Args:
            matrices: from which the first round sets out.
            posterior: (N, K) float, p(true class) of each item.
            labels: sorted by item, annotators in [0, A).
        """
        for _ in range(ROUNDS):
            counts, shares = self._count(matrices, posterior, labels)
            log_confusion = shrunk_confusion(counts, self.pseudo_counts, self.strength)[:-1].log()
            matrices = Prototypes(log_confusion, shrunk_shares(shares, self.strength).log())
        return matrices

    @staticmethod
    def _count(matrices: Prototypes, posterior: Tensor, labels: LabelColumns) -> tuple[Tensor, Tensor]:
        counts = posterior.new_zeros(matrices.log_confusion.shape)
        shares = posterior.new_zeros(len(matrices.log_share) - 1, len(counts))
        for rows, (item, annotator, label, probs) in parts_of(labels, posterior.shape[1]):
            of_matrix, of_annotator = matrices.counts(posterior[rows[item]], annotator, label, probs)
            counts += of_matrix
            shares += of_annotator
        return counts, shares


def shrunk_shares(counts: Tensor, strength: float) -> Tensor:
    """Returns (A + 1, S) float: the shares of each annotator, and last those of an unknown one, the mean.

    Args:
        counts: (A, S) float, expected numbers of an annotator's labels of each prototype.
        strength: pseudo-labels of the mean that each annotator has beside its own, > 0.

    Example:
        >>> shrunk_shares(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), strength=2.0)
        tensor([[0.8667, 0.1333],
                [0.4444, 0.5556],
                [0.6667, 0.3333]])
    """
    total = counts.sum(0) + 1
    # One label of each prototype more: a prototype that has lost all labels could never get one again.
    mean = total / total.sum()
    own = counts + strength * mean
    return torch.cat([own / own.sum(1, keepdim=True), mean.unsqueeze(0)])
