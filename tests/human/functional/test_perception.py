"""Relabelling curves, confidence smoothing and two-hot labels against closed forms and scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy import special, stats

from hilmix.human.functional.perception import (
    CURVES,
    logistic_anchored_curve,
    logistic_curve,
    logit_curve,
    probit_curve,
    smooth_by_confidence,
    smooth_uniformly,
    two_hot,
    uniform_share,
)

F64 = torch.float64
GRID = torch.linspace(0, 1, 101, dtype=F64)
ANCHORED = ["logit", "probit", "logistic_anchored"]
offsets, slopes = st.floats(-2, 2), st.floats(0.05, 4)
steepness, centres = st.floats(0.05, 30), st.floats(-0.5, 1.5)


def anchored_by_definition(w, k, x0):
    low, here, high = (special.expit(k * (v - x0)) for v in (0.0, w, 1.0))
    return (here - low) / (high - low)


ORACLES = {
    "logit": lambda w, a, b: special.expit(a + b * special.logit(w)),
    "probit": lambda w, a, b: stats.norm.cdf(a + b * stats.norm.ppf(w)),
    "logistic": lambda w, k, x0: special.expit(k * (w - x0)),
    "logistic_anchored": anchored_by_definition,
}


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("parameters", [(0.3, 0.8), (2.5, 0.4), (4.58, 0.522)])
def test_curves_equal_their_formulas(kind, parameters):
    found = CURVES[kind](GRID, *parameters)
    np.testing.assert_allclose(found, ORACLES[kind](GRID.numpy(), *parameters), rtol=1e-12, atol=1e-14)


@given(offsets, slopes, steepness, centres)
def test_curves_rise_from_0_to_1(a, b, k, x0):
    for kind, curve in CURVES.items():
        seen = curve(GRID, *((k, x0) if "logistic" in kind else (a, b)))
        assert ((seen >= 0) & (seen <= 1 + 1e-12)).all(), kind
        assert (seen.diff() >= -1e-12).all(), kind
        if kind in ANCHORED:
            assert (seen[0], seen[-1]) == (0, pytest.approx(1, abs=1e-12)), kind


@given(st.floats(0.05, 4), st.floats(0.05, 30), st.integers(0, 1024).map(lambda n: n / 1024))
def test_centred_curves_commute_with_swapping_the_images(b, k, w):
    w = torch.tensor([w], dtype=F64)
    for seen in (
        lambda v: logit_curve(v, 0.0, b),
        lambda v: probit_curve(v, 0.0, b),
        lambda v: logistic_curve(v, k, 0.5),
        lambda v: logistic_anchored_curve(v, k, 0.5),
    ):
        torch.testing.assert_close(seen(1 - w), 1 - seen(w), rtol=0, atol=1e-9)


def test_identities():
    torch.testing.assert_close(logit_curve(GRID, 0.0, 1.0), GRID)
    torch.testing.assert_close(probit_curve(GRID, 0.0, 1.0), GRID)
    for k in (0.0, 1e-9, -1e-9):
        torch.testing.assert_close(logistic_anchored_curve(GRID, k, 0.3), GRID, rtol=0, atol=1e-6)
    torch.testing.assert_close(logistic_anchored_curve(GRID, -3.0, 0.3), logistic_anchored_curve(GRID, 3.0, 0.3))
    torch.testing.assert_close(logistic_curve(torch.tensor([0.4]), 7.0, 0.4), torch.tensor([0.5]))


@pytest.mark.parametrize("kind", CURVES)
def test_gradients_by_weight_and_parameters(kind):
    w = torch.linspace(0.05, 0.95, 7, dtype=F64, requires_grad=True)
    p, q = (torch.tensor(v, dtype=F64, requires_grad=True) for v in (1.7, 0.6))
    assert torch.autograd.gradcheck(CURVES[kind], (w, p, q))


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("parameters", [(-0.098, 0.875), (0.0, 1.0), (-3.0, 30.0), (60.0, 0.2), (300.0, 2.0)])
def test_values_and_gradients_are_finite_everywhere(kind, dtype, parameters):
    w = torch.tensor([0.0, 1e-45, 1e-30, 1e-6, 0.5, 1 - 2**-24, 1.0], dtype=dtype, requires_grad=True)
    p, q = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in parameters)
    seen = CURVES[kind](w, p, q)
    seen.sum().backward()
    assert seen.dtype == dtype
    assert all(torch.isfinite(t).all() for t in (seen, w.grad, p.grad, q.grad))


@pytest.mark.parametrize("kind", CURVES)
def test_float32_is_close_to_float64_and_parameters_broadcast(kind):
    p, q = torch.tensor([[0.5], [4.0]]), torch.tensor([[0.4], [1.2]])
    found = CURVES[kind](GRID.float(), p, q)
    assert found.shape == (2, len(GRID))
    # 2e-5: in float32 the last step before 1 is coarse, and a slope of .4 magnifies it
    torch.testing.assert_close(
        found.double(), CURVES[kind](GRID.float().double(), p.double(), q.double()), rtol=2e-5, atol=2e-5
    )


def test_smoothing_by_the_published_formula():
    y, w = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]], dtype=F64), torch.tensor([0.5, 0.9], dtype=F64)
    found = smooth_by_confidence(y, w)
    for i in range(2):
        c = 50 * 0.0001 ** w[i].item()
        np.testing.assert_allclose(found[i], (3 * y[i] + c) / (3 + 3 * c))
    np.testing.assert_allclose(
        smooth_by_confidence(y, w, a=2.0, b=0.1)[0], (y[0] + 2 * 0.1**0.5 / 3) / (1 + 2 * 0.1**0.5)
    )


def test_shares_of_the_uniform_distribution_as_printed():
    confidence = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.9, 1.0], dtype=F64)
    np.testing.assert_allclose(uniform_share(confidence), [0.98, 0.83, 0.33, 0.048, 0.012, 0.005], atol=5e-3)
    assert uniform_share(torch.tensor([0.0, 1.0])).isfinite().all()


@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 10**6))
def test_smoothing_stays_on_the_simplex_and_keeps_the_order(classes, confidence, seed):
    y = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(classes), 4))
    found = smooth_by_confidence(y, torch.full((4,), confidence, dtype=F64))
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=F64))
    assert (found >= 0).all()
    assert torch.equal(found.argmax(1), y.argmax(1))


def test_uniform_smoothing():
    y = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(smooth_uniformly(y, 0.2), torch.tensor([[0.85, 0.05, 0.05, 0.05]]))
    torch.testing.assert_close(smooth_uniformly(y, 0.0), y)
    torch.testing.assert_close(smooth_uniformly(y, torch.ones(1)), torch.full((1, 4), 0.25))
    # the matched control: one confidence for all is one share for all
    w = torch.tensor([0.6])
    torch.testing.assert_close(smooth_by_confidence(y, w), smooth_uniformly(y, uniform_share(w).item()))


def test_two_hot_labels():
    label1, label2, weight = torch.tensor([0, 2, 1]), torch.tensor([1, 0, 1]), torch.tensor([0.75, 0.1, 0.3], dtype=F64)
    weight.requires_grad_()
    found = two_hot(label1, label2, weight, num_classes=4)
    want = [[0.75, 0.25, 0, 0], [0.9, 0, 0.1, 0], [0, 1, 0, 0]]
    torch.testing.assert_close(found, torch.tensor(want, dtype=F64))
    assert torch.autograd.gradcheck(lambda w: two_hot(label1, label2, w, num_classes=4), weight)
    empty = torch.zeros(0, dtype=torch.int64)
    assert two_hot(empty, empty, torch.zeros(0), num_classes=4).shape == (0, 4)


def test_mean_confidence_and_share_per_weight_of_hmix(infer):
    """As printed: confidence .79/.72/.63/.72/.78, share 3/6/13/6/4 %."""
    shown = infer.first()
    means = [shown.confidence[shown.weight == w].mean() for w in (0.1, 0.25, 0.5, 0.75, 0.9)]
    np.testing.assert_allclose(means, [0.79, 0.72, 0.63, 0.72, 0.78], atol=0.0055)
    np.testing.assert_allclose(uniform_share(torch.tensor(means)), [0.03, 0.06, 0.13, 0.06, 0.04], atol=0.0055)
