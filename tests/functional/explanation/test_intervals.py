"""Interval bounds against closed forms, corners of boxes and sampled points."""

import itertools
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st

from hilmix.functional.explanation.intervals import (
    Interval,
    add,
    affine,
    interval_around,
    log_prob_bounds,
    monotone,
    worst_log_probs,
)

close = torch.testing.assert_close


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def corners(box: Interval) -> torch.Tensor:
    """All corners of one box (D,), (2^D, D)."""
    return torch.cartesian_prod(*torch.stack(tuple(box), 1)).reshape(-1, len(box.lower))


def test_a_linear_layer_is_bounded_by_its_corners():
    box, weight, bias = interval_around(normal(5), normal(5, seed=1).abs()), normal(3, 5, seed=2), normal(3, seed=3)
    outputs = F.linear(corners(box), weight, bias)
    found = affine(Interval(box.lower[None], box.upper[None]), weight, bias)
    close(found.lower[0], outputs.amin(0))
    close(found.upper[0], outputs.amax(0))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 1), "padding": (0, 2)},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"padding": "same"},
    ],
    ids=str,
)
def test_a_convolution_is_the_linear_layer_of_its_matrix(shape):
    conv = partial(F.conv2d, **shape)
    weight, bias = normal(4, 4 // shape.get("groups", 1), 3, 2, seed=1), normal(4, 1, 1, seed=2)
    box = interval_around(normal(2, 4, 6, 5), normal(2, 4, 6, 5, seed=3).abs())
    units = torch.eye(4 * 6 * 5, dtype=torch.float64).reshape(-1, 4, 6, 5)
    matrix = conv(units, weight).flatten(1).T
    flat = affine(monotone(box, lambda x: x.flatten(1)), matrix)
    found = affine(box, weight, bias, apply=conv)
    for end, expected in zip(found, flat, strict=True):
        close(end, expected.reshape(end.shape) + bias)


def test_scaling_turns_the_box_where_the_scale_is_negative():
    box = Interval(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 4.0]]))
    found = affine(box, torch.tensor([3.0, -1.0]), torch.tensor([1.0, 0.0]), apply=torch.mul)
    assert found.lower.tolist() == [[1.0, -4.0]]
    assert found.upper.tolist() == [[7.0, -1.0]]


def test_monotone_functions_and_sums_act_on_both_ends():
    box = Interval(torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 3.0]))
    assert [end.tolist() for end in monotone(box, F.relu)] == [[0.0, 1.0], [2.0, 3.0]]
    assert [end.tolist() for end in add(box, box)] == [[-2.0, 2.0], [4.0, 6.0]]


@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_lower_end_is_never_above_the_upper_one(seed, dtype):
    """Also for tiny boxes around large numbers, where everything is rounded."""
    centre = normal(3, 20, seed=seed).to(dtype) * 1000
    box = Interval(centre, torch.maximum(centre, centre + normal(3, 20, seed=seed + 1).abs().to(dtype) * 1e-3))
    found = affine(box, normal(7, 20, seed=seed + 2).to(dtype), normal(7, seed=seed + 3).to(dtype))
    assert (found.lower <= found.upper).all()


# -- worst log-probabilities -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_worst_log_probs_are_the_least_of_all_corners(classes):
    z, radius = normal(6, classes) * 3, normal(6, classes, seed=1).abs()
    found = worst_log_probs(interval_around(z, radius))
    for row in range(len(z)):
        at_corners = corners(interval_around(z[row], radius[row])).log_softmax(-1)
        close(found[row], at_corners.amin(0))


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_log_prob_bounds_are_the_ends_over_all_corners(classes):
    z, radius = normal(6, classes) * 3, normal(6, classes, seed=1).abs()
    found = log_prob_bounds(interval_around(z, radius))
    for row in range(len(z)):
        at_corners = corners(interval_around(z[row], radius[row])).log_softmax(-1)
        close(found.lower[row], at_corners.amin(0))
        close(found.upper[row], at_corners.amax(0))


def test_worst_log_probs_of_a_point_are_log_probabilities():
    z = normal(5, 1000) * 5
    close(worst_log_probs(Interval(z, z)), z.log_softmax(-1))


@pytest.mark.parametrize("gap", [0.0, 1.0, 30.0, 200.0, 1e4])
def test_worst_log_probs_keep_their_digits_in_float32(gap):
    """One class far above the others: taken out of the sum, it leaves next to nothing."""
    z, radius = torch.tensor([[gap, 0.5, -0.25, 0.0]]), 0.25
    box = interval_around(z, torch.tensor(radius))
    for k in range(4):
        rise = [(z[0, j] - z[0, k]).item() + 2 * radius for j in range(4) if j != k]
        most = max(rise)
        others = most + math.log(sum(math.exp(r - most) for r in rise))
        exact = -math.log1p(math.exp(others)) if others < 0 else -others - math.log1p(math.exp(-others))
        assert worst_log_probs(box)[0, k].item() == pytest.approx(exact, rel=2e-6, abs=1e-40)


def test_worst_log_probs_of_half_precision_are_float32():
    assert (
        worst_log_probs(interval_around(torch.zeros(2, 3, dtype=torch.bfloat16), torch.ones(()))).dtype == torch.float32
    )


def test_worst_log_probs_leave_mass_unassigned_and_fall_with_the_radius():
    z = normal(8, 6)
    values = [worst_log_probs(interval_around(z, torch.tensor(radius))) for radius in (0.0, 0.1, 1.0, 10.0)]
    assert all((wide < narrow).all() for narrow, wide in itertools.pairwise(values))
    assert all((value.exp().sum(-1) < 1).all() for value in values[1:])


@pytest.mark.parametrize("classes", [2, 5])
def test_gradients_of_worst_log_probs(classes):
    z, radius = normal(3, classes).requires_grad_(), normal(3, classes, seed=1).abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, r: worst_log_probs(interval_around(z, r)), (z, radius))


@pytest.mark.parametrize("z", [[[7.0]], [[1e4, 0.0]], [[0.0, 0.0]], [[200.0, -200.0, 0.0]]], ids=str)
def test_gradients_of_worst_log_probs_stay_finite(z):
    z = torch.tensor(z, requires_grad=True)
    worst_log_probs(interval_around(z, torch.tensor(0.5))).sum().backward()
    assert z.grad.isfinite().all()
