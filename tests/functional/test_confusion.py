"""Confusion matrices in log space: three forms, one truth, and loops that say the same."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from hilmix.functional.confusion import (
    Confusion,
    DenseConfusion,
    LogitConfusion,
    SharedDiagonalConfusion,
    label_posterior,
    log_prior_diagonal,
)

FORMS = ("dense", "shared")


def confusion(form: str, pairs: int, classes: int, seed: int = 0, scale: float = 1.0, dtype=torch.float64) -> Confusion:
    g = torch.Generator().manual_seed(seed)
    if form == "dense":
        logits = scale * torch.randn(pairs, classes, classes, generator=g, dtype=torch.float64)
        return DenseConfusion(logits.to(dtype).log_softmax(-1))
    shared = scale * torch.randn(classes, classes, generator=g, dtype=torch.float64)
    skill = scale * torch.randn(pairs, classes, generator=g, dtype=torch.float64)
    return SharedDiagonalConfusion(shared.to(dtype), skill.to(dtype))


def log_probs_of(pairs: int, classes: int, seed: int = 1, scale: float = 1.0, dtype=torch.float64) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(pairs, classes, generator=g, dtype=torch.float64)).to(dtype).log_softmax(-1)


@given(st.sampled_from(FORMS), st.integers(0, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_every_method_against_loops(form: str, pairs: int, classes: int, seed: int) -> None:
    matrix, log_p = confusion(form, pairs, classes, seed), log_probs_of(pairs, classes, seed + 1)
    label = torch.from_numpy(np.random.default_rng(seed).integers(0, classes, pairs))
    c, p = matrix.dense().numpy(), log_p.exp().numpy()
    assert c.shape == (pairs, classes, classes)
    np.testing.assert_allclose(c.sum(-1), 1)
    marginal, likelihood, diagonal = matrix.log_marginal(log_p), matrix.log_likelihood(label), matrix.diagonal()
    assert marginal.shape == likelihood.shape == diagonal.shape == (pairs, classes)
    for i, k in itertools.product(range(pairs), range(classes)):
        marginal_prob = sum(p[i, true] * c[i, true, k] for true in range(classes))
        assert marginal[i, k].exp().item() == pytest.approx(marginal_prob)
        assert likelihood[i, k].exp().item() == pytest.approx(c[i, k, label[i]])
        assert diagonal[i, k].item() == pytest.approx(c[i, k, k])


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 20.0]))
def test_shared_diagonal_equals_its_dense_matrix(pairs: int, classes: int, seed: int, scale: float) -> None:
    shared = confusion("shared", pairs, classes, seed, scale)
    assert isinstance(shared, SharedDiagonalConfusion)
    dense = DenseConfusion((shared.shared + torch.diag_embed(shared.skill)).log_softmax(-1))
    log_p = log_probs_of(pairs, classes, seed + 1, scale)
    label = torch.from_numpy(np.random.default_rng(seed).integers(0, classes, pairs))
    torch.testing.assert_close(shared.log_marginal(log_p), dense.log_marginal(log_p), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shared.log_likelihood(label), dense.log_likelihood(label), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shared.diagonal(), dense.diagonal(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shared.dense(), dense.dense(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_marginals_are_distributions(form: str) -> None:
    label_log_probs = confusion(form, 6, 5).log_marginal(log_probs_of(6, 5))
    torch.testing.assert_close(label_log_probs.exp().sum(1), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
def test_who_never_errs_says_the_class(form: str) -> None:
    k = 4
    if form == "dense":
        matrix: Confusion = DenseConfusion((1e4 * torch.eye(k).double()).expand(3, k, k).log_softmax(-1))
    else:
        matrix = SharedDiagonalConfusion(torch.zeros(k, k).double(), torch.full((3, k), 1e4).double())
    log_p = log_probs_of(3, k)
    torch.testing.assert_close(matrix.log_marginal(log_p), log_p)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(3, k, dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_gradients(form: str, classes: int) -> None:
    label = torch.arange(3) % classes
    parts = [part.clone().requires_grad_() for part in confusion(form, 3, classes)]
    log_p = log_probs_of(3, classes).requires_grad_()

    def values(log_p: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        matrix = DenseConfusion(*parts) if form == "dense" else SharedDiagonalConfusion(*parts)
        return matrix.log_marginal(log_p), matrix.log_likelihood(label), matrix.diagonal(), matrix.dense()

    assert torch.autograd.gradcheck(values, (log_p, *parts))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("classes", [1, 2, 10])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
def test_extreme_logits_in_single_precision_stay_finite(form: str, classes: int, scale: float, autocast) -> None:
    g = torch.Generator().manual_seed(3)
    pairs = 20
    logits = (scale * torch.randn(pairs, classes, generator=g)).requires_grad_()
    if form == "dense":
        raw = [(scale * torch.randn(pairs, classes, classes, generator=g)).requires_grad_()]
    else:
        raw = [scale * torch.randn(classes, classes, generator=g), scale * torch.randn(pairs, classes, generator=g)]
        raw = [part.requires_grad_() for part in raw]
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        matrix = DenseConfusion(raw[0].log_softmax(-1)) if form == "dense" else SharedDiagonalConfusion(*raw)
        label_log_probs = matrix.log_marginal(logits.log_softmax(-1))
        likelihood = matrix.log_likelihood(torch.randint(0, classes, (pairs,), generator=g))
    assert label_log_probs.isfinite().all()
    assert likelihood.isfinite().all()
    assert ((matrix.diagonal() >= 0) & (matrix.diagonal() <= 1)).all()
    (label_log_probs.sum() + likelihood.sum()).backward()
    for leaf in (logits, *raw):
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_does_not_coarsen_the_marginal(autocast: torch.dtype) -> None:
    """Probabilities are summed in single precision: a matrix product under autocast would not be."""
    matrix, log_p = confusion("shared", 8, 50, dtype=torch.float32), log_probs_of(8, 50, scale=3, dtype=torch.float32)
    plain = matrix.log_marginal(log_p)
    with torch.autocast("cpu", dtype=autocast):
        mixed_precision = matrix.log_marginal(log_p)
    assert mixed_precision.dtype == torch.float32
    torch.testing.assert_close(mixed_precision, plain, rtol=0, atol=1e-5)


def test_a_class_without_mistakes_keeps_gradients_finite() -> None:
    """-inf would be natural in `shared` for an error that never happens; what it gives must not be NaN."""
    shared = torch.zeros(3, 3)
    shared[:, 2] = -1e30
    shared[2, 2] = 0.0
    shared.requires_grad_()
    skill = torch.zeros(2, 3, requires_grad=True)
    SharedDiagonalConfusion(shared, skill).log_marginal(log_probs_of(2, 3, dtype=torch.float32)).sum().backward()
    assert shared.grad.isfinite().all()
    assert skill.grad.isfinite().all()


def test_many_classes_never_build_a_matrix_per_pair() -> None:
    """The largest tensor that the shared form makes at K = 1000 is (K, K) or (L, K)."""
    pairs, classes = 64, 1000
    matrix = confusion("shared", pairs, classes, dtype=torch.float32)
    log_p = log_probs_of(pairs, classes, dtype=torch.float32)
    sizes: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(t.numel() for t in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(t, Tensor))
            return out

    with Watch():
        matrix.log_marginal(log_p)
        matrix.log_likelihood(torch.zeros(pairs, dtype=torch.int64))
        matrix.diagonal()
    assert max(sizes) <= classes**2 < pairs * classes**2


@pytest.mark.parametrize("eta", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_prior_gives_the_wanted_diagonal(classes: int, eta: float) -> None:
    row = torch.zeros(classes, dtype=torch.float64)
    row[0] = log_prior_diagonal(classes, eta)
    assert row.softmax(0)[0].item() == pytest.approx(eta)


def test_prior_of_one_class_is_certain() -> None:
    assert log_prior_diagonal(1, 0.9) == 0.0


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 8), st.integers(0, 10**6))
def test_posterior_by_loops(items: int, classes: int, pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_p, matrix = log_probs_of(items, classes, seed), confusion("dense", pairs, classes, seed)
    row, label = rng.integers(0, items, pairs), rng.integers(0, classes, pairs)
    found = label_posterior(log_p, matrix.log_likelihood(torch.from_numpy(label)), torch.from_numpy(row))
    c = matrix.dense().numpy()
    for b in range(items):
        joint = log_p[b].exp().numpy().copy()
        for i in range(pairs):
            if row[i] == b:
                joint *= c[i, :, label[i]]
        np.testing.assert_allclose(found[b].numpy(), joint / joint.sum())


def test_posterior_ignores_the_order_of_labels_and_keeps_items_without_any() -> None:
    log_p, row = log_probs_of(3, 4), torch.tensor([0, 0, 0, 2])
    likelihood = confusion("dense", 4, 4).log_likelihood(torch.tensor([1, 2, 3, 0]))
    found = label_posterior(log_p, likelihood, row)
    order = torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(label_posterior(log_p, likelihood[order], row[order]), found)
    torch.testing.assert_close(found[1], log_p[1].exp())


def test_posterior_of_a_thousand_labels_is_a_distribution() -> None:
    """The product of their likelihoods is far below the smallest float."""
    likelihood = torch.full((1000, 2), -3.0)
    likelihood[:, 0] -= 0.01
    found = label_posterior(torch.zeros(1, 2).log_softmax(-1), likelihood, torch.zeros(1000, dtype=torch.int64))
    torch.testing.assert_close(found[0, 1], torch.tensor(10.0).sigmoid(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("form", ["dense", "shared"])
def test_a_soft_answer_is_the_expectation_of_the_hard_ones(form: str) -> None:
    pairs, k = 5, 4
    g = torch.Generator().manual_seed(0)
    shared = torch.randn(k, k, generator=g, dtype=torch.float64)
    matrix = SharedDiagonalConfusion(shared, torch.randn(pairs, k, generator=g, dtype=torch.float64))
    if form == "dense":
        matrix = DenseConfusion(matrix.dense().log())
    probs = torch.rand(pairs, k, generator=g, dtype=torch.float64).softmax(1)
    expected = torch.zeros(pairs, k, dtype=torch.float64)
    for label in range(k):
        marginal_prob = torch.full((pairs,), label)
        expected += probs[:, label : label + 1] * matrix.log_likelihood(marginal_prob)
    torch.testing.assert_close(matrix.log_likelihood(probs.argmax(1), probs), expected)


@given(st.integers(0, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_a_layer_of_logits_against_loops(pairs: int, classes: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    W, log_p = torch.randn(pairs, classes, classes, generator=g).double(), log_probs_of(pairs, classes, seed)
    label = torch.from_numpy(np.random.default_rng(seed).integers(0, classes, pairs))
    layer, rows = LogitConfusion(W), DenseConfusion(W.log_softmax(-1))
    soft = torch.rand(pairs, classes, generator=g).double()  # need not sum to one
    torch.testing.assert_close(layer.dense(), rows.dense())
    torch.testing.assert_close(layer.diagonal(), rows.diagonal())
    torch.testing.assert_close(layer.log_likelihood(label), rows.log_likelihood(label))
    torch.testing.assert_close(layer.log_likelihood(label, soft), rows.log_likelihood(label, soft))
    marginal_prob = layer.log_marginal(log_p)
    for i in range(pairs):
        scores = [sum(log_p[i, c].exp() * W[i, c, k] for c in range(classes)).exp().item() for k in range(classes)]
        for k in range(classes):
            assert marginal_prob[i, k].exp().item() == pytest.approx(scores[k] / sum(scores))


def test_a_layer_of_logits_says_its_row_where_the_class_is_certain() -> None:
    W = torch.randn(2, 3, 3)
    certain = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).expand(2, -1)
    torch.testing.assert_close(LogitConfusion(W).log_marginal(certain), W[:, 1].log_softmax(-1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(LogitConfusion(W).log_marginal(certain), W[:, 1].log_softmax(-1))
