"""Confusion matrices in log space: the annotator's label given the class, and the class given the label.

Rows are the true class c, columns the given label k, each row sums to one. Three forms with the same methods: a full
matrix per pair, a shared matrix whose diagonal alone differs between pairs, for many classes, and a layer of logits
on top of class probabilities.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Confusion(Protocol):
    """p(annotator says k | true class c) of L pairs."""

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        """(L, K) log p(says k) = log sum_c p[c] C[c, k] for class log-probabilities (L, K)."""

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        """(L, K) log C[c, label] as a function of c, for labels (L,) int64.

        For soft answers ``probs`` (L, K) it is ``sum_k probs[k] log C[c, k]``, as in the loss.
        """

    def diagonal(self) -> Tensor:
        """(L, K) C[c, c]: p(right | true class c)."""

    def dense(self) -> Tensor:
        """(L, K, K) C."""


# 64 MiB in float32, so that a chunk and its intermediate results fit into any machine.
CHUNK_CELLS = 2**24
"""Most numbers of confusion matrices that are worked on at once where no gradient needs them."""


def pair_chunks(num_pairs: int, num_classes: int) -> list[slice]:
    """Returns slices that cover L pairs, so that (K, K) numbers of each pair of a slice fit :data:`CHUNK_CELLS`.

    At least one, empty if there are no pairs.
    """
    step = max(1, CHUNK_CELLS // num_classes**2)
    # At least one slice even without pairs: callers concatenate the results, and torch.cat refuses an empty list.
    return [slice(start, start + step) for start in range(0, max(num_pairs, 1), step)]


class DenseConfusion(NamedTuple):
    """One full matrix per pair, O(L K^2).

    Args:
        log_matrix: (L, K, K) float log C, rows normalised over the last axis.
    """

    log_matrix: Tensor

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        # In log space: products of small probabilities would underflow, and their log has no gradient at 0.
        return torch.logsumexp(log_probs.unsqueeze(-1) + self.log_matrix, dim=1)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        if probs is not None:
            return torch.einsum("lk,lck->lc", probs.to(self.log_matrix.dtype), self.log_matrix)
        # expand repeats the index of the column for every row without memory.
        column = label.reshape(-1, 1, 1).expand(-1, self.log_matrix.shape[1], 1)
        return self.log_matrix.gather(2, column).squeeze(2)

    def diagonal(self) -> Tensor:
        return self.log_matrix.diagonal(dim1=1, dim2=2).exp()

    def dense(self) -> Tensor:
        return self.log_matrix.exp()


class SharedDiagonalConfusion(NamedTuple):
    """C = row-softmax(shared + diag(skill)): one shared matrix, a skill per pair and class; O(L K + K^2).

    Args:
        shared: (K, K) float, unnormalised log weights that all pairs share.
        skill: (L, K) float, added to the diagonal.
    """

    shared: Tensor
    skill: Tensor

    def _log_normaliser(self) -> Tensor:
        """(L, K) log of the row sums."""
        # Only the diagonal differs between pairs, so the sum of a row needs no (L, K, K).
        wrong = _without_diagonal(self.shared).logsumexp(1)
        return torch.logaddexp(wrong, self.shared.diagonal() + self.skill)

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        share = log_probs - self._log_normaliser()
        right = share + self.shared.diagonal() + self.skill
        # The shifts cancel in the value, and so would their gradients: detached.
        top = share.amax(1, keepdim=True).detach()
        others = _without_diagonal(self.shared)
        peak = others.amax().detach().clamp_min(torch.finfo(others.dtype).min)
        # Shifted, the sum is one product (L, K) @ (K, K); logsumexp would form the (L, K, K) that this class avoids.
        with torch.autocast(share.device.type, enabled=False):  # the product would be rounded to half precision
            wrong = (share - top).exp() @ (others - peak).exp()
        # a class without mistakes has weight 0 here, whose log would spoil the gradient
        return torch.logaddexp(wrong.clamp_min(torch.finfo(wrong.dtype).tiny).log() + top + peak, right)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        if probs is not None:
            share = probs.to(self.skill.dtype)
            return share @ self.shared.t() + share * self.skill - self._log_normaliser()
        shared_term = self.shared.t()[label]
        own = torch.zeros_like(shared_term).scatter(1, label.unsqueeze(1), self.skill.gather(1, label.unsqueeze(1)))
        return shared_term + own - self._log_normaliser()

    def diagonal(self) -> Tensor:
        return (self.shared.diagonal() + self.skill - self._log_normaliser()).exp()

    def dense(self) -> Tensor:
        return (self.shared + torch.diag_embed(self.skill)).softmax(-1)


class LogitConfusion(NamedTuple):
    """A layer of logits on top of class probabilities p: it says softmax(p W), and softmax(W[c]) if c is certain.

    The layer is no mixture of its rows: ``log_marginal`` is what it says of p, while the other methods take the rows,
    its answers at certain classes, as the confusion matrix; O(L K) memory beyond W.

    Args:
        logits: (L, K, K) float W, rows = true class.
    """

    logits: Tensor

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        with torch.autocast(log_probs.device.type, enabled=False):  # the product would be rounded to half precision
            return torch.einsum("lc,lck->lk", log_probs.exp(), self.logits).log_softmax(-1)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        normaliser = self.logits.logsumexp(-1)
        if probs is not None:
            share = probs.to(self.logits.dtype)
            return torch.einsum("lk,lck->lc", share, self.logits) - share.sum(1, keepdim=True) * normaliser
        column = label.reshape(-1, 1, 1).expand(-1, self.logits.shape[1], 1)
        return self.logits.gather(2, column).squeeze(2) - normaliser

    def diagonal(self) -> Tensor:
        return (self.logits.diagonal(dim1=1, dim2=2) - self.logits.logsumexp(-1)).exp()

    def dense(self) -> Tensor:
        return self.logits.softmax(-1)


def _without_diagonal(matrix: Tensor) -> Tensor:
    """The matrix with -inf on its diagonal (a large negative number, so that gradients stay finite)."""
    eye = torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)
    # A quarter of the least number: sums of a few of these must not reach -inf.
    return matrix.masked_fill(eye, torch.finfo(matrix.dtype).min / 4)


def log_prior_diagonal(num_classes: int, eta: float) -> float:
    """Returns the logit that, against zeros elsewhere in its row, gives the diagonal probability ``eta``.

    For one class every row is [1] whatever the logit; 0 is returned.

    Reference: annot-mix (Herde et al., ECAI 2024), initial bias ``log(eta (K - 1) / (1 - eta))``.
    """
    if num_classes == 1:
        return 0.0
    # float64, as 1 - eta cancels for eta close to 1.
    return float(torch.logit(torch.tensor(eta, dtype=torch.float64)) + torch.log(torch.tensor(num_classes - 1.0)))


def diagonal_confusion(num_classes: int, diagonal: float) -> Tensor:
    """Returns a confusion matrix (K, K) float with equal errors, rows of sum 1; that of one class is 1.

    Args:
        num_classes: K.
        diagonal: p(right), in (0, 1).
    """
    wrong = (1 - diagonal) / max(1, num_classes - 1)
    return torch.full((num_classes, num_classes), wrong).fill_diagonal_(diagonal if num_classes > 1 else 1.0)


def confusion_log_likelihood(
    log_confusion: Tensor, annotator: Tensor, label: Tensor, probs: Tensor | None = None
) -> Tensor:
    """Returns (L, K) log p(label of the pair | true class c) without a matrix per pair at one time.

    Args:
        log_confusion: (A, K, K) float, log C[a][c, k].
        annotator: (L,) int64, rows of ``log_confusion``, negative ones counted from the end.
        label: (L,) int64.
        probs: optional (L, K) float soft labels, which then count in place of the label.
    """
    if probs is None:
        # Index vectors around a slice put the pairs first: (L, K) without a matrix (K, K) for any pair.
        return log_confusion[annotator, :, label]
    chunks = pair_chunks(len(annotator), log_confusion.shape[1])
    matrices = ((some, DenseConfusion(log_confusion[annotator[some]])) for some in chunks)
    return torch.cat([matrix.log_likelihood(label[some], probs[some]) for some, matrix in matrices])


def label_posterior(log_probs: Tensor, log_likelihood: Tensor, row: Tensor) -> Tensor:
    """Returns p(true class | input, the labels given), labels being independent given the class.

    Args:
        log_probs: (B, K) float class log-probabilities.
        log_likelihood: (L, K) float log p(label of the pair | true class c).
        row: (L,) int64 item row of each pair. An item without pairs keeps its class probabilities.

    Returns:
        (B, K) float, rows sum to one.
    """
    # Sums of logs, as the product of dozens of likelihoods would underflow before it is normalised.
    return log_probs.index_add(0, row, log_likelihood.to(log_probs.dtype)).softmax(-1)
