"""Dawid-Skene: one confusion matrix per annotator."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.votes import (
    FloatArray,
    IntArray,
    OnRound,
    entries,
    has_converged,
    soft_labels,
    softmax_in_place,
    weighted_counts,
)
from hilmix.functional.sizes import bytes_needed, require_memory


class DawidSkene(NamedTuple):
    """What :func:`dawid_skene` returns. ``posterior`` is Bayes' rule under the other fields."""

    posterior: FloatArray
    """(N, K) float64, p(true class | all labels); the class prior where nobody voted."""
    confusion: FloatArray
    """(A, K, K) float64, p(annotator says k | true class c) at ``[a, c, k]``."""
    prior: FloatArray
    """(K,) float64, class prior."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """How many rounds were run."""


def dawid_skene(
    item: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    num_items: int,
    num_annotators: int,
    num_classes: int,
    probs: NDArray[np.floating] | None = None,
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> DawidSkene:
    """Returns the maximum a posteriori fit of one confusion matrix per annotator, by expectation maximisation.

    A round is an M step (confusions and class prior from the posteriors) and an E step (posteriors from both), each
    one sparse product; it starts from the shares of the votes. Memory is O(L + N K + A K^2). Repeated labels of an
    annotator for an item count as independent. Where identities are unknown and all labels bear one annotator id,
    the model is one confusion matrix shared by the crowd: it learns which classes are confused, not who errs.

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, K).
        num_items: N.
        num_annotators: A.
        num_classes: K.
        probs: optional (L, K) distributions that replace ``label``; an answer then counts as fractional labels.
        right: pseudo-count of right answers in each row of each confusion matrix, > 0.
        wrong: pseudo-count of wrong answers in each row, > 0, shared equally by the K - 1 wrong classes. The
            pseudo-counts s of a row stand for the prior density Dirichlet(1 + s). The default is an opinion of three
            labels, two of them right, so that an annotator with a handful of labels is neither trusted nor inverted.
        class_count: pseudo-count of each class in the class prior, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm,
        Applied Statistics 28 (1979), equations 2.3 to 2.5. Differs from the paper: pseudo-counts, soft answers.
    """
    for name, value in {"right": right, "wrong": wrong, "class_count": class_count}.items():
        if not 0 < value < np.inf:
            raise ConfigError(f"Dawid-Skene's {name} is {value}; a pseudo-count must be a positive number.")
    if max_rounds < 1:
        raise ConfigError(f"Dawid-Skene's max_rounds is {max_rounds}; at least 1 is needed.")
    sizes = {"items": num_items, "annotators": num_annotators, "classes": num_classes}
    require_memory("Dawid-Skene", bytes_needed(**sizes, per_item=2, per_pair=4), **sizes)
    flat = entries(item, annotator, label, num_classes, probs)
    counts = weighted_counts(flat, num_items=num_items, num_classes=num_classes)
    voted = counts.sum(axis=1) > 0
    posterior = soft_labels(counts)
    del counts  # what is large goes as soon as it can: this sets the peak of memory
    cell = flat.annotator * num_classes + flat.label
    votes = sparse.csr_array((flat.weight, (flat.item, cell)), shape=(num_items, num_annotators * num_classes))
    del flat, cell
    votes_of_cell = votes.T.tocsr()
    # Everything about confusions is laid out [annotator, said, true class], so that both products are plain.
    eye = np.eye(num_classes)
    extra = np.tile(right * eye + wrong / max(1, num_classes - 1) * (1 - eye), (num_annotators, 1))
    history: list[float] = []
    converged = False
    while not converged and len(history) < max_rounds:
        log_prior = np.log(voted @ posterior + class_count)
        log_prior -= np.logaddexp.reduce(log_prior)
        said = (votes_of_cell @ posterior + extra).reshape(num_annotators, num_classes, num_classes)
        log_confusion = np.log(said / said.sum(axis=1, keepdims=True)).reshape(-1, num_classes)
        posterior = votes @ log_confusion
        posterior += log_prior
        evidence = softmax_in_place(posterior)
        history.append(evidence + float((extra * log_confusion).sum() + class_count * log_prior.sum()))
        converged = has_converged(history, tolerance * len(item))
        if on_round is not None:
            on_round(len(history))
    confusion = np.exp(log_confusion).reshape(num_annotators, num_classes, num_classes).swapaxes(1, 2)
    return DawidSkene(posterior, confusion, np.exp(log_prior), np.array(history), converged, len(history))
