"""Bounds of gradients against autograd, layer by layer."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st

from hilmix.functional.explanation import interval_gradients as rules
from hilmix.functional.explanation.intervals import Interval, interval_around

close = torch.testing.assert_close


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def autograd(function, x: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x, after)[0]


def inside(box: Interval, seed: int) -> torch.Tensor:
    """A point of the box; a fifth of its coordinates on the sides."""
    share = torch.rand(box.lower.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.lerp(box.lower, box.upper, (share * 1.2 - 0.1).clamp(0, 1))


def test_transposed_is_the_transposed_matrix():
    weight = normal(4, 3)
    close(
        rules.transposed(lambda x: x @ weight.T, normal(2, 4, seed=1), torch.empty(2, 3).double()),
        normal(2, 4, seed=1) @ weight,
    )


def test_an_affine_layer_is_bounded_by_its_corners():
    weight, box = normal(3, 5), interval_around(normal(1, 3, seed=1), normal(1, 3, seed=2).abs())
    found = rules.affine_gradient(box, weight, torch.zeros(1, 5).double())
    at_corners = torch.cartesian_prod(*torch.cat(list(box)).T) @ weight
    close(found.lower[0], at_corners.amin(0))
    close(found.upper[0], at_corners.amax(0))


@pytest.mark.parametrize(
    "shape", [{"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}, {"padding": "same"}], ids=str
)
def test_the_gradient_of_a_convolution_at_a_point(shape):
    conv = partial(F.conv2d, **shape)
    x, weight = normal(2, 4, 7, 6), normal(6, 4 // shape.get("groups", 1), 3, 2, seed=1)
    after = normal(*conv(x, weight).shape, seed=2)
    found = rules.affine_gradient(Interval(after, after), weight, x, apply=conv)
    close(found.lower, autograd(lambda x: conv(x, weight), x, after))
    assert torch.equal(found.lower, found.upper)


def test_the_gradient_of_an_average_acts_on_both_ends():
    pool = partial(F.avg_pool2d, kernel_size=3, stride=2, ceil_mode=True, count_include_pad=False)
    x = normal(2, 3, 6, 6)
    after = interval_around(normal(2, 3, 3, 3, seed=1), torch.tensor(0.5))
    found = rules.linear_gradient(after, pool, x)
    for end, expected in zip(found, after, strict=True):
        close(end, autograd(pool, x, expected))


@given(seed=st.integers(0, 10_000), name=st.sampled_from(["relu", "sigmoid", "tanh"]))
def test_slopes_enclose_the_derivatives_of_all_points(seed, name):
    slope = {
        "relu": (rules.rising_slope, lambda x: (x > 0).double()),
        "sigmoid": (rules.bell_slope, lambda x: x.sigmoid() * (1 - x.sigmoid())),
        "tanh": (rules.bell_slope, lambda x: 1 - x.tanh() ** 2),
    }[name]
    box = interval_around(normal(40, seed=seed), normal(40, seed=seed + 1).abs())
    bounds = slope[0](box, slope[1])
    after = interval_around(normal(40, seed=seed + 2), normal(40, seed=seed + 3).abs())
    x, g = inside(box, seed), inside(after, seed + 1)
    derivative = autograd(getattr(torch, name), x, torch.ones_like(x))
    assert (bounds.lower <= derivative + 1e-12).all()
    assert (derivative <= bounds.upper + 1e-12).all()
    found = rules.slope_gradient(after, bounds)
    assert (found.lower <= g * derivative + 1e-12).all()
    assert (g * derivative <= found.upper + 1e-12).all()


def test_the_slope_of_relu_is_0_or_1_or_either():
    box = Interval(torch.tensor([-2.0, -1.0, 1.0, 0.0]), torch.tensor([-1.0, 1.0, 2.0, 0.0]))
    found = rules.rising_slope(box, lambda x: (x > 0).float())
    assert list(zip(*(end.tolist() for end in found), strict=True)) == [(0, 0), (0, 1), (1, 1), (0, 0)]


POOLS = [
    {"kernel_size": (2, 2), "stride": (2, 2)},
    {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": (2, 2), "stride": (1, 1), "dilation": (2, 3)},
    {"kernel_size": (2, 2), "stride": (3, 3)},
    {"kernel_size": (3, 3), "stride": (2, 2), "ceil_mode": True},
    {"kernel_size": (3, 3), "stride": (3, 3), "padding": (1, 1), "ceil_mode": True},
]


@pytest.mark.parametrize("shape", POOLS, ids=str)
def test_the_gradient_of_max_pooling_at_a_point(shape):
    pool, x = partial(F.max_pool2d, **shape), normal(2, 3, 8, 7)
    after = interval_around(normal(*pool(x).shape, seed=1), torch.tensor(0.25))
    windows = {name: size for name, size in shape.items() if name != "ceil_mode"}
    found = rules.max_pool_gradient(after, Interval(x, x), **windows)
    for end, expected in zip(found, after, strict=True):
        close(end, autograd(pool, x, expected))


@given(seed=st.integers(0, 10_000), shape=st.sampled_from(POOLS), radius=st.sampled_from([0.01, 0.3, 3.0]))
def test_the_gradient_of_max_pooling_is_enclosed(seed, shape, radius):
    pool, box = partial(F.max_pool2d, **shape), interval_around(normal(2, 2, 8, 7, seed=seed), torch.tensor(radius))
    after = interval_around(normal(*pool(box.lower).shape, seed=seed + 1), torch.tensor(0.5))
    windows = {name: size for name, size in shape.items() if name != "ceil_mode"}
    found = rules.max_pool_gradient(after, box, **windows)
    gradient = autograd(pool, inside(box, seed), inside(after, seed + 1))
    assert (found.lower <= gradient + 1e-12).all()
    assert (gradient <= found.upper + 1e-12).all()


def test_max_pooling_of_equal_pixels_may_go_either_way():
    x, one = torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 1)
    found = rules.max_pool_gradient(Interval(one, one), Interval(x, x), kernel_size=(1, 2), stride=(1, 2))
    assert [end.flatten().tolist() for end in found] == [[0.0, 0.0], [1.0, 1.0]]
