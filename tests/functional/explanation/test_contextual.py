"""Contextual decomposition against closed forms: parts that sum to the whole."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from hilmix.functional.explanation import contextual
from hilmix.functional.explanation.contextual import Parts, affine, elementwise, linear, max_pool

close = torch.testing.assert_close


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def split(*shape: int) -> Parts:
    return Parts(normal(*shape, seed=1), normal(*shape, seed=2))


@pytest.mark.parametrize("apply", [F.linear, partial(F.conv2d, stride=2, padding=1)], ids=["linear", "conv2d"])
def test_the_parts_of_an_affine_layer_sum_to_its_output(apply):
    image = apply is not F.linear
    x = split(2, 3, 5, 5) if image else split(2, 3)
    weight, bias = (normal(4, 3, 3, 3), normal(4, 1, 1)) if image else (normal(4, 3), normal(4))
    found = affine(x, weight, bias, apply=apply)
    close(found.beta + found.gamma, apply(x.beta + x.gamma, weight) + bias)


def test_the_bias_is_divided_by_the_sizes_of_the_parts():
    x = Parts(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, -6.0]]))
    found = affine(x, torch.tensor([[1.0, 1.0]]), torch.tensor([4.0]))
    assert (found.beta.item(), found.gamma.item()) == (2 + 4 * 0.25, -6 + 4 * 0.75)


def test_without_any_input_the_bias_belongs_to_the_rest_and_gradients_are_finite():
    zero = torch.zeros(1, 2, requires_grad=True)
    weight = torch.ones(3, 2, requires_grad=True)
    found = affine(Parts(zero, zero), weight, torch.ones(3))
    assert found.beta.tolist() == [[0.0] * 3]
    assert found.gamma.tolist() == [[1.0] * 3]
    found.beta.sum().backward()
    assert zero.grad.isfinite().all()
    assert weight.grad.isfinite().all()


def test_a_part_that_carries_all_gets_all_of_the_bias():
    x = normal(4, 3)
    found = affine(Parts(x, torch.zeros_like(x)), normal(2, 3, seed=1), normal(2, seed=2))
    close(found.beta, F.linear(x, normal(2, 3, seed=1), normal(2, seed=2)))
    close(found.gamma, torch.zeros(4, 2, dtype=torch.float64))


def test_relu_keeps_what_beta_would_give_alone():
    x = Parts(torch.tensor([1.0, -1.0, 2.0, -1.0]), torch.tensor([2.0, 3.0, -5.0, -1.0]))
    found = elementwise(x, F.relu)
    assert found.beta.tolist() == [1.0, 0.0, 2.0, 0.0]
    assert found.gamma.tolist() == [2.0, 2.0, -2.0, 0.0]


@pytest.mark.parametrize("function", [F.relu, torch.tanh, torch.sigmoid])
def test_the_parts_of_an_activation_sum_to_it_and_nothing_gives_nothing(function):
    x = split(3, 4)
    found = elementwise(x, function)
    close(found.beta + found.gamma, function(x.beta + x.gamma))
    nothing = elementwise(Parts(torch.zeros_like(x.gamma), x.gamma), function)
    assert not nothing.beta.any()


@pytest.mark.parametrize("shape", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}], ids=str)
def test_max_pooling_follows_the_largest_sum(shape):
    x = split(2, 3, 6, 6)
    found = max_pool(x, partial(F.max_pool2d, return_indices=True, **shape))
    close(found.beta + found.gamma, F.max_pool2d(x.beta + x.gamma, **shape))
    assert not torch.equal(found.beta, F.max_pool2d(x.beta, **shape))


def test_max_pooling_picks_one_pixel_for_both_parts():
    x = Parts(torch.tensor([[[[9.0, 0.0]]]]), torch.tensor([[[[-9.0, 1.0]]]]))
    found = max_pool(x, partial(F.max_pool2d, kernel_size=(1, 2), return_indices=True))
    assert (found.beta.item(), found.gamma.item()) == (0.0, 1.0)


def test_linear_maps_and_sums_act_on_each_part():
    x = split(2, 3, 4, 4)
    found = linear(x, partial(F.avg_pool2d, kernel_size=2))
    close(found.beta, F.avg_pool2d(x.beta, 2))
    close(found.gamma, F.avg_pool2d(x.gamma, 2))
    assert torch.equal(contextual.add(x, x).beta, 2 * x.beta)
