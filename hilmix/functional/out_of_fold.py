"""Matrices of annotators from out-of-fold predictions, and what the labels themselves say about these predictions."""

import math
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from hilmix.functional.confusion import confusion_log_likelihood
from hilmix.functional.expectation import expected_counts, shrunk_confusion
from hilmix.functional.label_columns import LabelColumns, expected_classes, parts_of

STEPS = (1, 2, 4)
"""Numbers of EM steps that are compared. From a start without belief in the annotators, the first step counts what the
predictions say; each further one lets the labels confirm themselves a little more."""


Matrices = TypeVar("Matrices")
"""Type of the confusion matrices of all annotators."""


class Prior(Protocol[Matrices]):
    """Prior of estimated matrices, beside the labels, for one form of them."""

    @property
    def start(self) -> Matrices:
        """The matrices before the first step."""

    @property
    def dependence(self) -> float:
        """Correlation in [0, 1] of the labels of an item, see
        :func:`~hilmix.functional.expectation.discount_dependence`."""

    def log_likelihood(self, matrices: Matrices, labels: LabelColumns) -> Tensor:
        """Returns (L, K) log p(label of the pair | true class c)."""

    def maximise(self, matrices: Matrices, posterior: Tensor, labels: LabelColumns) -> Matrices:
        """Returns the matrices that follow from p(true class) of each item, (N, K), and labels sorted by item."""


class MatrixPrior(NamedTuple):
    """Prior of a matrix for each annotator, beside the labels."""

    start: Tensor
    """(A + 1, K, K) float, log matrices before the first step."""
    pseudo_counts: Tensor
    """(K, K) float, of the shared matrix, see :func:`~hilmix.functional.expectation.shrunk_confusion`."""
    strength: float
    """Pseudo-labels per row that pull an annotator towards the shared matrix."""
    dependence: float
    """Correlation in [0, 1] of the labels of an item, see
    :func:`~hilmix.functional.expectation.discount_dependence`."""

    def log_likelihood(self, matrices: Tensor, labels: LabelColumns) -> Tensor:
        """Returns (L, K) log p(label of the pair | true class c) for log matrices (A + 1, K, K)."""
        return confusion_log_likelihood(matrices, labels.annotator, labels.label, labels.probs)

    def maximise(self, matrices: Tensor, posterior: Tensor, labels: LabelColumns) -> Tensor:
        """Returns the log matrices (A + 1, K, K) of the counts that posteriors (N, K) expect."""
        counts = posterior.new_zeros(len(matrices) - 1, *matrices.shape[1:])
        for rows, (item, annotator, label, probs) in parts_of(labels, posterior.shape[1]):
            counts += expected_counts(posterior[rows[item]], annotator, label, probs, len(counts))
        return shrunk_confusion(counts, self.pseudo_counts, self.strength).log()


def match_class_shares(log_probs: Tensor, shares: Tensor, *, steps: int = 20) -> Tensor:
    """Returns predictions whose mean is a given distribution, (N, K) float log-probabilities.

    Each class gets one summand on its logits, found by iterative proportional fitting. A network trained on targets
    with cross-entropy has their class shares on average; one that is young, or has seen few items of a class, has not,
    and targets made from its predictions would lose the class a little more every time.

    Args:
        log_probs: (N, K) float.
        shares: (K,) float, sum 1; a class of share 0 gets none.
        steps: of the fitting; each sets the mean that the summands so far leave wrong.

    Reference: M. Saerens, P. Latinne and C. Decaestecker, Adjusting the Outputs of a Classifier to New a Priori
    Probabilities, Neural Computation 14 (2002), equation 2.4; here the shares are known and the summands are sought.

    Example:
        >>> log_probs = torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log()
        >>> match_class_shares(log_probs, torch.tensor([0.5, 0.5])).exp().mean(0)
        tensor([0.5000, 0.5000])
    """
    # Predictions that are 0 everywhere leave a class without a mean; 0 in its place changes nothing, where -inf would
    # spread to all classes.
    for _ in range(steps):
        mean = (log_probs.logsumexp(0) - math.log(len(log_probs))).nan_to_num(neginf=0.0)
        log_probs = (log_probs + shares.log() - mean).log_softmax(-1)
    return log_probs


def match_targets(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Returns predictions with the class shares of the targets that the networks were trained on, (N, K) float.

    Args:
        log_probs: (N, K) float.
        targets: (N, K) float; rows of zeros belong to items without labels, whose predictions stay.
    """
    some, matched = targets.any(1), log_probs.clone()
    matched[some] = match_class_shares(log_probs[some], targets[some].mean(0))
    return matched


def leave_one_out_log_likelihood(
    log_prior: Tensor, log_likelihood: Tensor, item: Tensor, *, dependence: float
) -> Tensor:
    """Returns log p(label | input, the other labels of the item) of each label, (L,) float.

        p(c | others) ~ prior[c] prod_(m' other than m) C[m'][c, z_m']^w,   w = 1 / (1 + (n - 2) dependence)
        p(z_m | others) = sum_c p(c | others) C[m][c, z_m]

    A proper score of the prior, of the matrices and of the dependence that no true class is needed for: labels that err
    together make a model that takes them for independent too sure of the next label.

    Args:
        log_prior: (N, K) float, log-probabilities of the classes of each item.
        log_likelihood: (L, K) float, log p(label of the pair | true class c).
        item: (L,) int64 in [0, N).
        dependence: correlation in [0, 1] of the labels of an item, see
            :func:`~hilmix.functional.expectation.discount_dependence`; the n - 1 other labels are discounted.

    Example:
        >>> prior, one = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.8, 0.2], [0.8, 0.2]]).log()
        >>> leave_one_out_log_likelihood(prior, one, torch.tensor([0, 0]), dependence=0.0).exp()
        tensor([0.6800, 0.6800])
    """
    total = torch.zeros_like(log_prior, dtype=log_likelihood.dtype).index_add_(0, item, log_likelihood)
    others = torch.bincount(item, minlength=len(log_prior))[item] - 1
    # Clamped: of a label that is alone there are no others to discount, and their number less one is -1.
    power = 1 / (1 + (others - 1).clamp_min(0) * dependence)
    rest = (total[item] - log_likelihood) * power.unsqueeze(1)
    return ((log_prior[item] + rest).log_softmax(-1) + log_likelihood).logsumexp(-1)


def fit_out_of_fold(
    log_probs: Tensor, labels: LabelColumns, fold: Tensor, prior: Prior[Matrices]
) -> tuple[Matrices, int]:
    """Returns the matrices of annotators from predictions of networks that have not seen the labels.

    A few steps of expectation maximisation with fixed predictions, begun anew: matrices that go on from those of the
    last call drift towards perfect annotators. The number of steps, of :data:`STEPS`, is that under which the labels of
    each fold are most likely, each label given the others of its item (:func:`leave_one_out_log_likelihood`), with
    matrices of the other folds. Memory beyond the arguments is one table (N, K), the matrices of all steps and a part
    of the labels (:func:`~hilmix.functional.label_columns.parts_of`).

    Args:
        log_probs: (N, K) float, log-probabilities; those of an item by networks that have not seen its labels.
        labels: of the training items.
        fold: (N,) int64 fold of each item, at least 0 where there are labels.
        prior: of the matrices.

    Returns:
        The matrices, in the form that the prior has them, and the number of steps.
    """
    labels = labels.by_item()
    of_label = fold[labels.item]
    # float64, as thousands of labels are summed and steps can be close
    scores = torch.zeros(len(STEPS), dtype=torch.float64, device=log_probs.device)
    for f in range(int(fold.max()) + 1):
        fitted = em_steps(log_probs, labels.select(of_label != f), prior)
        for rows, part in parts_of(labels.select(of_label == f), log_probs.shape[1]):
            scores += torch.stack([_score(log_probs[rows], part, prior, matrices) for matrices in fitted])
    best = int(scores.argmax())
    return em_steps(log_probs, labels, prior)[best], STEPS[best]


def _score(log_probs: Tensor, labels: LabelColumns, prior: Prior[Matrices], matrices: Matrices) -> Tensor:
    evidence = prior.log_likelihood(matrices, labels)
    found = leave_one_out_log_likelihood(log_probs, evidence, labels.item, dependence=prior.dependence)
    return found.double().sum()


def em_steps(log_probs: Tensor, labels: LabelColumns, prior: Prior[Matrices]) -> list[Matrices]:
    """Returns the matrices after each number of EM steps of :data:`STEPS`, predictions being fixed.

    Args:
        log_probs: (N, K) float, log-probabilities of the classes of each item.
        labels: what is counted, sorted by item.
        prior: where the steps begin, and what shrinks the matrices.
    """
    matrices, found = prior.start, []
    for step in range(1, max(STEPS) + 1):
        evidence = partial(prior.log_likelihood, matrices)
        posterior = expected_classes(log_probs, labels, evidence, dependence=prior.dependence)
        matrices = prior.maximise(matrices, posterior, labels)
        # The candidates lie on one path, so that comparing them costs no more steps than the longest.
        if step in STEPS:
            found.append(matrices)
    return found
