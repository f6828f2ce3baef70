"""Matrices from out-of-fold predictions against loops, and on labels whose matrices are known."""

import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from hilmix.functional.confusion import confusion_log_likelihood, diagonal_confusion
from hilmix.functional.label_columns import LabelColumns
from hilmix.functional.out_of_fold import (
    STEPS,
    MatrixPrior,
    em_steps,
    fit_out_of_fold,
    leave_one_out_log_likelihood,
    match_class_shares,
)
from hilmix.functional.prototypes import PrototypePrior, Prototypes, start_prototypes
from tests.helpers import PeakMemory

N, A, K = 12, 3, 4


def drawn(seed: int, pairs: int = 30) -> tuple[Tensor, LabelColumns, Tensor]:
    """Log-probabilities, labels and folds."""
    g = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(N, K, generator=g, dtype=torch.float64).log_softmax(-1)
    columns = [torch.randint(size, (pairs,), generator=g) for size in (N, A, K)]
    return log_probs, LabelColumns(*columns), torch.arange(N) % 3


def prior(start: Tensor, *, dependence: float = 0.3) -> MatrixPrior:
    pseudo = diagonal_confusion(K, 0.8).double()
    return MatrixPrior(start.log().double().expand(A + 1, K, K), pseudo, 3.0, dependence)


def labels_given_the_others(log_prior: Tensor, evidence: Tensor, item: Tensor, dependence: float) -> list[float]:
    found = []
    for m in range(len(item)):
        others = [j for j in range(len(item)) if j != m and item[j] == item[m]]
        power = 1 / (1 + (len(others) - 1) * dependence) if others else 1.0
        weight = [
            math.exp(log_prior[item[m], c] + power * sum(float(evidence[j, c]) for j in others)) for c in range(K)
        ]
        found.append(math.log(sum(w * math.exp(evidence[m, c]) for c, w in enumerate(weight)) / sum(weight)))
    return found


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 1.0]))
def test_each_label_is_scored_by_the_others_of_its_item(seed: int, dependence: float) -> None:
    log_probs, labels, _ = drawn(seed)
    evidence = torch.rand(len(labels.item), K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log()
    found = leave_one_out_log_likelihood(log_probs, evidence, labels.item, dependence=dependence)
    expected = labels_given_the_others(log_probs, evidence, labels.item, dependence)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_scores_of_all_classes_of_a_label_sum_to_one() -> None:
    log_probs, labels, _ = drawn(0)
    matrices = torch.rand(A, K, K, dtype=torch.float64).softmax(-1).log()
    total = torch.zeros(len(labels.item), dtype=torch.float64)
    evidence = confusion_log_likelihood(matrices, labels.annotator, labels.label)
    for m in range(len(labels.item)):
        for k in range(K):
            other = evidence.clone()
            other[m] = matrices[labels.annotator[m], :, k]
            total[m] += leave_one_out_log_likelihood(log_probs, other, labels.item, dependence=0.3)[m].exp()
    torch.testing.assert_close(total, torch.ones_like(total))


def by_loops(log_probs: Tensor, labels: LabelColumns, given: MatrixPrior, steps: int) -> Tensor:
    matrices = given.start.exp()
    for _ in range(steps):
        counts = torch.zeros(A, K, K, dtype=torch.float64)
        for i in range(len(labels.item)):
            mine = [j for j in range(len(labels.item)) if labels.item[j] == labels.item[i]]
            power = 1 / (1 + (len(mine) - 1) * given.dependence)
            score = log_probs[labels.item[i]].clone()
            for j in mine:
                score = score + power * matrices[labels.annotator[j], :, labels.label[j]].log()
            counts[labels.annotator[i], :, labels.label[i]] += score.softmax(0)
        shared = counts.sum(0) + given.pseudo_counts
        shared = shared / shared.sum(1, keepdim=True)
        own = counts + given.strength * shared
        matrices = torch.cat([own / own.sum(2, keepdim=True), shared[None]])
    return matrices


def test_steps_are_those_of_em_with_fixed_predictions() -> None:
    log_probs, labels, _ = drawn(1)
    given = prior(diagonal_confusion(K, 0.5))
    for steps, found in zip(STEPS, em_steps(log_probs, labels.by_item(), given), strict=True):
        torch.testing.assert_close(found.exp(), by_loops(log_probs, labels, given, steps))


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_steps_is_that_of_the_most_likely_held_out_labels(seed: int) -> None:
    log_probs, labels, fold = drawn(seed, pairs=40)
    given, scores = prior(diagonal_confusion(K, 0.5)), []
    for steps in STEPS:
        evidence = torch.zeros(len(labels.item), K, dtype=torch.float64)
        for f in range(3):
            inside = fold[labels.item] == f
            matrices = by_loops(log_probs, labels.select(~inside), given, steps)
            for i in inside.nonzero().flatten():
                evidence[i] = matrices[labels.annotator[i], :, labels.label[i]].log()
        scores.append(sum(labels_given_the_others(log_probs, evidence, labels.item, 0.3)))
    matrices, steps = fit_out_of_fold(log_probs, labels, fold, given)
    assert steps == STEPS[scores.index(max(scores))]
    torch.testing.assert_close(matrices.exp(), by_loops(log_probs, labels, given, steps))


@pytest.mark.parametrize("cells", [1, 7 * K])
@pytest.mark.parametrize("soft", [False, True])
def test_parts_of_the_labels_give_the_fit_of_all_at_once(cells: int, soft: bool) -> None:
    """Labels in any order; matrices for each annotator and mixtures of prototypes."""
    log_probs, labels, fold = drawn(3, pairs=40)
    if soft:
        probs = torch.rand(40, K, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        labels = labels._replace(probs=probs / probs.sum(1, keepdim=True))
    start = start_prototypes(2, K, A, 0.5)
    prototypes = PrototypePrior(
        Prototypes(*(one.double() for one in start)), diagonal_confusion(K, 0.8).double(), 3.0, 0.3
    )
    for form in (prior(diagonal_confusion(K, 0.5)), prototypes):
        whole = fit_out_of_fold(log_probs, labels, fold, form)
        with patch("hilmix.functional.label_columns.PART_CELLS", cells):
            found = fit_out_of_fold(log_probs, labels, fold, form)
        torch.testing.assert_close(found, whole)


def test_memory_is_that_of_a_part_whatever_the_number_of_labels() -> None:
    """Ten times the labels need no more than their own columns more."""
    items, peaks, columns = 50, [], []
    g = torch.Generator().manual_seed(0)
    log_probs = torch.randn(items, K, generator=g).log_softmax(-1)
    given = MatrixPrior(diagonal_confusion(K, 0.5).log().expand(A + 1, K, K), diagonal_confusion(K, 0.8), 3.0, 0.3)
    for each in (10, 100):
        item = torch.arange(items).repeat_interleave(each)
        labels = LabelColumns(item, *(torch.randint(size, (len(item),), generator=g) for size in (A, K)))
        with patch("hilmix.functional.label_columns.PART_CELLS", 100 * K), PeakMemory() as memory:
            fit_out_of_fold(log_probs, labels, torch.arange(items) % 2, given)
        peaks.append(memory.peak)
        columns.append(sum(column.nbytes for column in labels[:3]))
    table = 4 * K * items * 100
    assert peaks[1] - peaks[0] < 2 * (columns[1] - columns[0])
    assert peaks[1] < 3 * columns[1] + table / 4


def test_soft_labels_of_one_class_are_labels() -> None:
    log_probs, labels, fold = drawn(2)
    soft = labels._replace(probs=torch.nn.functional.one_hot(labels.label, K).double())
    given = prior(diagonal_confusion(K, 0.5))
    hard_fit, soft_fit = (fit_out_of_fold(log_probs, columns, fold, given) for columns in (labels, soft))
    torch.testing.assert_close(soft_fit[0], hard_fit[0])
    assert soft_fit[1] == hard_fit[1]


def test_known_matrices_are_found_from_under_confident_predictions() -> None:
    """One label per item, 57 % of them right; the predictions are right in 80 % and say so with .4."""
    g = torch.Generator().manual_seed(0)
    items, k = 4000, 10
    true = torch.randint(k, (items,), generator=g)

    def noisy(right: float) -> Tensor:
        wrong = (true + torch.randint(1, k, (items,), generator=g)) % k
        return torch.where(torch.rand(items, generator=g) < right, true, wrong)

    log_probs = diagonal_confusion(k, 0.4).log()[noisy(0.8)]
    labels = LabelColumns(torch.arange(items), torch.zeros(items, dtype=torch.long), noisy(0.57))
    start = diagonal_confusion(k, 0.3).log().expand(2, k, k)
    trusting = diagonal_confusion(k, 0.8)
    weak = MatrixPrior(start, trusting, 3.0, 0.3)
    found, _ = fit_out_of_fold(log_probs, labels, torch.arange(items) % 2, weak)
    diagonal = found[0].exp().diagonal().mean()
    # EM that begins with trust in the annotators and goes on ends with all of them nearly perfect.
    collapsed = trusting.log().expand(2, k, k)
    for _ in range(5):
        collapsed = em_steps(log_probs, labels, weak._replace(start=collapsed))[-1]
    assert abs(diagonal - 0.57) < 0.15
    assert collapsed[0].exp().diagonal().mean() > 0.95


@given(st.integers(0, 10**6))
def test_matched_predictions_have_the_shares_and_their_ratios(seed: int) -> None:
    """Ratios between items are kept: one summand for each class is all that changes."""
    log_probs, _, _ = drawn(seed)
    shares = torch.rand(K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).add(0.2)
    shares = shares / shares.sum()
    found = match_class_shares(log_probs, shares, steps=200)
    torch.testing.assert_close(found.exp().mean(0), shares, rtol=1e-4, atol=1e-5)
    change = found - log_probs
    change = change - change[:, :1]
    torch.testing.assert_close(change, change[:1].expand_as(change))


def test_a_class_that_nothing_predicts_stays_finite() -> None:
    log_probs = torch.tensor([[0.0, -torch.inf], [0.0, -torch.inf]])
    assert match_class_shares(log_probs, torch.tensor([0.5, 0.5])).exp().tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_equal_errors_by_hand() -> None:
    expected = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])
    torch.testing.assert_close(diagonal_confusion(3, 0.5), expected)
    assert diagonal_confusion(1, 0.5).tolist() == [[1.0]]
