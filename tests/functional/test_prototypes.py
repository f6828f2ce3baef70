"""Annotators as mixtures of shared matrices, against enumeration and against one matrix each."""

import itertools
import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from hilmix.functional.confusion import DenseConfusion, diagonal_confusion
from hilmix.functional.expectation import expected_counts, shrunk_confusion
from hilmix.functional.label_columns import LabelColumns
from hilmix.functional.out_of_fold import em_steps, fit_out_of_fold
from hilmix.functional.prototypes import (
    MixtureConfusion,
    PrototypePrior,
    Prototypes,
    shrunk_shares,
    start_prototypes,
)

N, A, K, S = 6, 3, 3, 2


def drawn(seed: int, pairs: int = 9) -> tuple[Prototypes, LabelColumns, Tensor, Tensor]:
    """Prototypes, hard labels, soft labels and the posterior of each pair, all random."""
    g = torch.Generator().manual_seed(seed)

    def rows(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64).add(0.05)

    matrices, share = rows(S, K, K), rows(A + 1, S)
    found = Prototypes((matrices / matrices.sum(-1, keepdim=True)).log(), (share / share.sum(-1, keepdim=True)).log())
    columns = [torch.randint(size, (pairs,), generator=g) for size in (N, A, K)]
    posterior, probs = rows(pairs, K), rows(pairs, K)
    return found, LabelColumns(*columns), probs / probs.sum(1, keepdim=True), posterior / posterior.sum(1, keepdim=True)


def mixed(prototypes: Prototypes) -> Tensor:
    """(A + 1, K, K) the matrix of each annotator, by loops."""
    share, matrices = prototypes.log_share.exp(), prototypes.log_confusion.exp()
    return torch.stack([sum(share[a, s] * matrices[s] for s in range(S)) for a in range(len(share))])


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1, 2 * S * K, 2**24]))
def test_likelihood_is_that_of_the_mixed_matrices(seed: int, soft: bool, cells: int) -> None:
    prototypes, labels, probs, _ = drawn(seed)
    who = labels.annotator.clone()
    who[0] = -1
    matrices, given_probs = DenseConfusion(mixed(prototypes)[who].log()), probs if soft else None
    with patch("hilmix.functional.prototypes.CACHED_CELLS", cells):
        found = prototypes.log_likelihood(who, labels.label, given_probs)
    torch.testing.assert_close(found, matrices.log_likelihood(labels.label, given_probs))


def test_confusion_has_the_values_of_the_mixed_matrices() -> None:
    prototypes, labels, probs, _ = drawn(0)
    who = labels.annotator.clone()
    who[2] = -1
    mixture, dense = MixtureConfusion(prototypes, who), DenseConfusion(mixed(prototypes)[who].log())
    log_probs = probs.log()
    torch.testing.assert_close(mixture.log_marginal(log_probs), dense.log_marginal(log_probs))
    torch.testing.assert_close(mixture.log_likelihood(labels.label), dense.log_likelihood(labels.label))
    torch.testing.assert_close(mixture.diagonal(), dense.diagonal())
    torch.testing.assert_close(mixture.dense(), dense.dense())


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1, 2**24]))
def test_counts_are_expectations_over_every_prototype(seed: int, soft: bool, cells: int) -> None:
    prototypes, labels, probs, posterior = drawn(seed)
    share, matrices = prototypes.log_share.exp(), prototypes.log_confusion.exp()
    counts, shares = torch.zeros(S, K, K, dtype=torch.float64), torch.zeros(A, S, dtype=torch.float64)
    for i, (a, z) in enumerate(zip(labels.annotator.tolist(), labels.label.tolist(), strict=True)):
        for k, c in itertools.product(range(K), range(K)):
            weight = float(posterior[i, c]) * (float(probs[i, k]) if soft else float(z == k))
            total = sum(float(share[a, s] * matrices[s, c, k]) for s in range(S))
            for s in range(S):
                one = weight * float(share[a, s] * matrices[s, c, k]) / total
                counts[s, c, k] += one
                shares[a, s] += one
    with patch("hilmix.functional.prototypes.CACHED_CELLS", cells):
        found = prototypes.counts(posterior, labels.annotator, labels.label, probs if soft else None)
    torch.testing.assert_close(found[0], counts)
    torch.testing.assert_close(found[1], shares)


def log_likelihood_by_enumeration(prototypes: Prototypes, log_prior: Tensor, labels: LabelColumns) -> float:
    """Log-probability of all labels, summed over each item's class and the prototype of each of its labels."""
    share, matrices, total = prototypes.log_share.exp(), prototypes.log_confusion.exp(), 0.0
    for n in range(N):
        mine = [i for i in range(len(labels.item)) if labels.item[i] == n]
        probability = 0.0
        for c in range(K):
            for chosen in itertools.product(range(S), repeat=len(mine)):
                one = float(log_prior[n, c].exp())
                for i, s in zip(mine, chosen, strict=True):
                    one *= float(share[labels.annotator[i], s] * matrices[s, c, labels.label[i]])
                probability += one
        total += math.log(probability)
    return total


@pytest.mark.parametrize("seed", range(3))
def test_steps_without_pseudo_labels_never_lower_the_likelihood(seed: int) -> None:
    prototypes, labels, _, _ = drawn(seed)
    log_prior = torch.randn(N, K, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    prior = PrototypePrior(prototypes, torch.full((K, K), 1e-9, dtype=torch.float64), 1e-9, dependence=0.0)
    before = log_likelihood_by_enumeration(prototypes, log_prior, labels)
    with patch("hilmix.functional.prototypes.ROUNDS", 1):
        for found in em_steps(log_prior, labels.by_item(), prior):
            after = log_likelihood_by_enumeration(found, log_prior, labels)
            assert after > before
            before = after


@given(st.integers(0, 10**6), st.booleans())
def test_a_prototype_for_each_annotator_is_a_matrix_for_each(seed: int, soft: bool) -> None:
    _, labels, probs, posterior = drawn(seed)
    start = diagonal_confusion(K, 0.6).double()
    own = torch.cat([torch.eye(A, dtype=torch.float64), torch.full((1, A), 1 / A, dtype=torch.float64)])
    each = Prototypes(start.log().expand(A, K, K), own.log())
    given_probs = probs if soft else None
    counts, shares = each.counts(posterior, labels.annotator, labels.label, given_probs)
    expected = expected_counts(posterior, labels.annotator, labels.label, given_probs, A)
    torch.testing.assert_close(counts, expected)
    torch.testing.assert_close(shares, torch.bincount(labels.annotator, minlength=A).double().diag())
    pseudo = diagonal_confusion(K, 0.8).double()
    with patch("hilmix.functional.prototypes.ROUNDS", 1):
        prior = PrototypePrior(each, pseudo, 3.0, 0.3)
        pairs = LabelColumns(torch.arange(len(posterior)), labels.annotator, labels.label, given_probs)
        maximised = prior.maximise(each, posterior, pairs)
    torch.testing.assert_close(maximised.log_confusion.exp(), shrunk_confusion(expected, pseudo, 3.0)[:A])


@pytest.mark.parametrize("prototypes", [1, 2, 5])
@pytest.mark.parametrize("diagonal", [0.004, 0.8])
def test_the_start_is_the_matrix_of_equal_errors(prototypes: int, diagonal: float) -> None:
    start = start_prototypes(prototypes, K, A, diagonal)
    matrices = MixtureConfusion(start, torch.tensor([0, A - 1, -1])).dense()
    torch.testing.assert_close(matrices, diagonal_confusion(K, diagonal).expand(3, K, K))
    assert len(start.log_confusion.unique(dim=0)) == prototypes


def test_shares_by_hand() -> None:
    found = shrunk_shares(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), strength=3.0)
    mean = torch.tensor([5 / 6, 1 / 6])
    torch.testing.assert_close(found, torch.stack([(torch.tensor([4.0, 0.0]) + 3 * mean) / 7, mean, mean]))


def test_reliable_annotators_get_other_shares_than_guessing_ones() -> None:
    """Two in three label 85 % right, the others guess; few labels each, of a tenth of the classes."""
    g = torch.Generator().manual_seed(0)
    items, annotators, k = 3000, 300, 30
    true = torch.randint(k, (items,), generator=g)
    item = torch.arange(items).repeat_interleave(3)
    who = torch.randint(annotators, (len(item),), generator=g)
    right = torch.where(who % 3 == 0, 1 / k, 0.85)
    wrong = torch.randint(k, (len(item),), generator=g)
    label = torch.where(torch.rand(len(item), generator=g) < right, true[item], wrong)
    predicted = torch.where(torch.rand(items, generator=g) < 0.6, true, torch.randint(k, (items,), generator=g))
    log_probs = diagonal_confusion(k, 0.3).log()[predicted]
    start = start_prototypes(4, k, annotators, 4 / (4 + k - 1))
    prior = PrototypePrior(start, diagonal_confusion(k, 0.8), 3.0, 0.3)
    found, _ = fit_out_of_fold(log_probs, LabelColumns(item, who, label), torch.arange(items) % 2, prior)
    accuracy = MixtureConfusion(found, torch.arange(annotators)).diagonal().mean(1)
    guesses = torch.arange(annotators) % 3 == 0
    pairs = accuracy[~guesses, None] > accuracy[guesses]
    assert pairs.float().mean() > 0.99
    assert accuracy[~guesses].mean() - accuracy[guesses].mean() > 0.4
