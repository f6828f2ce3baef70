"""Expectation maximisation for annotators' confusion matrices, on tensors and on the training device.

The E step is :func:`~hilmix.functional.confusion.label_posterior` on likelihoods of the power that
:func:`discount_dependence` gives them; the M step is :func:`expected_counts` and :func:`shrunk_confusion`.
"""

import torch
from torch import Tensor

from hilmix.functional.confusion import pair_chunks


def discount_dependence(log_likelihood: Tensor, row: Tensor, num_rows: int, dependence: float) -> Tensor:
    """Returns the log-likelihoods raised to the power ``1 / (1 + (n - 1) dependence)``, n labels of the item.

    Annotators who look at the same item err alike, so n answers are worth fewer than n independent ones: the power is
    the ratio of effective to given answers if any two have the correlation ``dependence`` (Kish's design effect).

    Args:
        log_likelihood: (L, K) float, log p(label of the pair | true class c).
        row: (L,) int64 item row of each pair.
        num_rows: number of items.
        dependence: 0 for independent answers, 1 if all of an item's answers count as one.

    Reference: L. Kish, Survey Sampling, 1965, section 8.2 (design effect of clusters).
    """
    # The power of an item with one label is 1: what is discounted is what labels repeat of each other.
    count = torch.bincount(row, minlength=num_rows)[row]
    return log_likelihood / (1 + (count - 1) * dependence).unsqueeze(1)


def expected_counts(
    posterior: Tensor, annotator: Tensor, label: Tensor, probs: Tensor | None, num_annotators: int
) -> Tensor:
    """Returns (A, K, K) float: expected number of labels k of each annotator for items of class c, ``[a, c, k]``.

    Args:
        posterior: (L, K) float, p(true class) of the item of each pair.
        annotator: (L,) int64 in [0, A).
        label: (L,) int64 in [0, K).
        probs: optional (L, K) float soft answers, which then count in place of the label.
        num_annotators: A.

    Example:
        >>> expected_counts(torch.tensor([[0.75, 0.25]]), torch.tensor([0]), torch.tensor([1]), None, 1).tolist()
        [[[0.0, 0.75], [0.0, 0.25]]]
    """
    classes = posterior.shape[1]
    if probs is not None:
        counts = posterior.new_zeros(num_annotators, classes, classes)
        # Soft answers need outer products (L, K, K): formed chunk by chunk.
        for some in pair_chunks(len(annotator), classes):
            joint = posterior[some].unsqueeze(2) * probs[some].to(posterior.dtype).unsqueeze(1)
            counts.index_add_(0, annotator[some], joint)
        return counts
    by_label = posterior.new_zeros(num_annotators * classes, classes)
    # One index for (annotator, label): adds the posterior rows without one-hot labels (L, K).
    by_label.index_add_(0, annotator * classes + label, posterior)
    return by_label.view(num_annotators, classes, classes).transpose(1, 2)


def shrunk_confusion(counts: Tensor, start: Tensor, strength: float) -> Tensor:
    """Returns (A + 1, K, K) float: the confusion matrix of each annotator, and last that of an unknown one.

        shared = rows-normalised(sum_a counts[a] + start)
        C[a]   = rows-normalised(counts[a] + strength shared)

    The posterior mean under a Dirichlet prior per row, centred on the crowd's matrix: who has few labels of a class is
    taken for an average annotator there.

    Args:
        counts: (A, K, K) float, expected counts ``[annotator, true class, label]``.
        start: (K, K) float, positive pseudo-counts of the shared matrix.
        strength: pseudo-labels per row of every annotator, > 0.
    """
    shared = counts.sum(0) + start
    # `start` is positive, so also a class that no item has gives a row that can be normalised.
    shared = shared / shared.sum(1, keepdim=True)
    own = counts + strength * shared
    return torch.cat([own / own.sum(2, keepdim=True), shared.unsqueeze(0)])
