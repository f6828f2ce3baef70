"""The M step against loops, and the discount of dependent answers."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.functional.confusion import label_posterior
from hilmix.functional.expectation import discount_dependence, expected_counts, shrunk_confusion

A, K = 4, 3


def answers(pairs: int, seed: int) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    posterior = torch.rand(pairs, K, generator=g, dtype=torch.float64).softmax(1)
    probs = torch.rand(pairs, K, generator=g, dtype=torch.float64).softmax(1)
    return posterior, torch.randint(A, (pairs,), generator=g), torch.randint(K, (pairs,), generator=g), probs


@given(st.integers(0, 12), st.integers(0, 10**6), st.booleans(), st.sampled_from([1, 5 * K * K, 2**24]))
def test_expected_counts_are_sums_over_the_pairs(pairs: int, seed: int, soft: bool, cells: int) -> None:
    posterior, annotator, label, probs = answers(pairs, seed)
    expected = torch.zeros(A, K, K, dtype=torch.float64)
    for i in range(pairs):
        for c in range(K):
            for k in range(K):
                share = probs[i, k] if soft else float(label[i] == k)
                expected[annotator[i], c, k] += posterior[i, c] * share
    with patch("hilmix.functional.confusion.CHUNK_CELLS", cells):
        found = expected_counts(posterior, annotator, label, probs if soft else None, A)
    torch.testing.assert_close(found, expected)
    assert found.sum().item() == pytest.approx(pairs)


def test_shrinkage_by_hand() -> None:
    """Two annotators, two classes; the second has no label of class 1 and is taken for the crowd there."""
    counts = torch.tensor([[[3.0, 1.0], [0.0, 4.0]], [[1.0, 1.0], [0.0, 0.0]]])
    start = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    shared = torch.tensor([[4.75 / 7, 2.25 / 7], [0.25 / 5, 4.75 / 5]])
    found = shrunk_confusion(counts, start, strength=2.0)
    torch.testing.assert_close(found[2], shared)
    torch.testing.assert_close(found[0, 0], torch.tensor([3 + 2 * 4.75 / 7, 1 + 2 * 2.25 / 7]) / 6)
    torch.testing.assert_close(found[1, 0], torch.tensor([1 + 2 * 4.75 / 7, 1 + 2 * 2.25 / 7]) / 4)
    torch.testing.assert_close(found[1, 1], shared[1])


@given(st.integers(0, 10**6))
def test_matrices_are_distributions_between_the_persons_counts_and_the_crowd(seed: int) -> None:
    posterior, annotator, label, _ = answers(20, seed)
    counts, start = expected_counts(posterior, annotator, label, None, A), torch.eye(K, dtype=torch.float64) + 0.1
    weak, strong = shrunk_confusion(counts, start, 1e-9), shrunk_confusion(counts, start, 1e9)
    torch.testing.assert_close(weak.sum(2), torch.ones(A + 1, K, dtype=torch.float64))
    torch.testing.assert_close(strong[:A], strong[A].expand(A, K, K))
    seen = counts.sum(2) > 1e-3
    own = counts / counts.sum(2, keepdim=True).clamp_min(1e-12)
    torch.testing.assert_close(weak[:A][seen], own[seen], rtol=1e-5, atol=1e-5)


def test_independent_answers_keep_their_likelihood_and_dependent_ones_count_as_one() -> None:
    log_p = torch.tensor([[-1.0, -2.0], [-3.0, -4.0], [-5.0, -6.0]])
    row = torch.tensor([0, 0, 2])
    assert torch.equal(discount_dependence(log_p, row, 3, 0.0), log_p)
    torch.testing.assert_close(discount_dependence(log_p, row, 3, 1.0), log_p / torch.tensor([[2.0], [2.0], [1.0]]))
    torch.testing.assert_close(discount_dependence(log_p, row, 3, 0.3)[:2], log_p[:2] / 1.3)


@given(st.integers(1, 6))
def test_copies_of_one_answer_count_as_that_answer(copies: int) -> None:
    """With dependence 1, an answer that is repeated by n echoes leaves the posterior where one answer puts it."""
    log_probs, one = torch.tensor([[0.2, 0.3, 0.5]]).log(), torch.tensor([[-0.1, -2.0, -3.0]])
    row = torch.zeros(copies, dtype=torch.int64)
    echoed = label_posterior(log_probs, discount_dependence(one.repeat(copies, 1), row, 1, 1.0), row)
    torch.testing.assert_close(echoed, label_posterior(log_probs, one, torch.zeros(1, dtype=torch.int64)))
