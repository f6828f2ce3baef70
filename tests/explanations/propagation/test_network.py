"""Bounds, parts and bounds of the gradient of whole networks, against the networks themselves."""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from hilmix.backbones import MLP, TimmBackbone
from hilmix.explanations.propagation import Propagation
from hilmix.functional.explanation.intervals import Interval, interval_around

close = torch.testing.assert_close


def mlp() -> nn.Module:
    backbone = MLP(hidden=[16, 12], dropout=0.5).build((2, 3, 4))
    return nn.Sequential(backbone.net, nn.Linear(12, 4))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.Conv2d(8, 8, (3, 2), dilation=2, padding=2, groups=4, bias=False),
        nn.BatchNorm2d(8),
        nn.Tanh(),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Dropout2d(0.3),
        nn.Flatten(),
        nn.LazyLinear(6),
        nn.BatchNorm1d(6, affine=False),
        nn.Sigmoid(),
        nn.Identity(),
        nn.Linear(6, 4, bias=False),
    )


def synchronised(shape: tuple[int, ...]) -> nn.Module:
    """Batch norm as several devices share it."""
    norm = nn.SyncBatchNorm(shape[0])
    return nn.Sequential(norm, nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


def resnet(name: str = "test_resnet", side: int = 12, **kwargs: float) -> nn.Module:
    backbone = TimmBackbone(name, kwargs=kwargs).build((2, side, side))
    return nn.Sequential(backbone.net, nn.Linear(backbone.num_features, 4))


class Handwritten(nn.Module):
    """A residual network of functions and methods, whose layers serve twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.drop = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), 0.5
        self.head = nn.Linear(2 * 6 * 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.add(torch.relu(self.conv(x)), x)
        y = nn.functional.dropout(self.conv(self.act(x)), self.drop, self.training)
        y += x
        z: Tensor = self.head(nn.functional.relu(y + y).flatten(1))
        return z


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(7, 4), (7,)),
    "mlp": (mlp, (2, 3, 4)),
    "cnn": (cnn, (2, 9, 8)),
    "sync_vectors": (lambda: synchronised((3,)), (3,)),
    "sync_images": (lambda: synchronised((3, 2, 5)), (3, 2, 5)),
    "sequences": (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 4)), (3, 2)),
    "test_resnet": (resnet, (2, 12, 12)),
    "resnet10t": (lambda: resnet("resnet10t", drop_rate=0.1, drop_path_rate=0.1), (2, 12, 12)),
    "resnet18": (lambda: resnet("resnet18", side=40), (2, 40, 40)),  # with its max pooling
    "handwritten": (Handwritten, (2, 6, 5)),
}
QUICK = [name for name in NETWORKS if name not in ("resnet10t", "resnet18")]


def made(name: str, rows: int = 3, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network in evaluation mode with random statistics of batch norm, in float64, and inputs for it."""
    torch.manual_seed(seed)
    make, shape = NETWORKS[name]
    network, x = make(), torch.randn(rows, *shape)
    network.eval()(x)  # lazy layers take their size
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2.0)
            if layer.affine:
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias, std=0.3)
    return network.double(), x.double()


def points(box: Interval, number: int) -> Tensor:
    """Random points of a box, a good part of their coordinates on its sides, (number, R, ...)."""
    share = (torch.rand(number, *box.lower.shape, dtype=torch.float64) * 2 - 0.5).clamp(0, 1)
    return torch.lerp(box.lower, box.upper, share)


def input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(network(x).sum(), x)[0]


def enclosed(x: Tensor, box: Interval) -> bool:
    slack = 1e-9 * (1 + box.upper.abs().amax())
    return bool((box.lower <= x + slack).all() and (x <= box.upper + slack).all())


# -- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_bounds_of_a_point_are_the_logits(name):
    network, x = made(name)
    found = Propagation(network).bounds(x, x)
    close(found.lower, network(x))
    close(found.upper, network(x))


@given(
    name=st.sampled_from(QUICK),
    seed=st.integers(0, 1000),
    radius=st.sampled_from([1e-3, 0.1, 1.0]),
    share=st.sampled_from([0.1, 1.0]),
)
def test_bounds_enclose_the_logits_of_the_whole_box(name, seed, radius, share):
    network, x = made(name, seed=seed)
    box = interval_around(x, radius * (torch.rand_like(x) < share))
    found = Propagation(network).bounds(*box)
    assert all(enclosed(network(point), found) for point in points(box, 5))


@pytest.mark.parametrize("name", QUICK)
def test_bounds_grow_with_the_radius(name):
    network, x = made(name)
    found = [Propagation(network).bounds(*interval_around(x, torch.tensor(radius))) for radius in (0, 0.01, 0.1, 1)]
    for narrow, wide in itertools.pairwise(found):
        assert (wide.lower < narrow.lower).all()
        assert (narrow.upper < wide.upper).all()


def test_bounds_of_a_linear_network_are_exact():
    network, x = made("linear")
    radius = torch.rand_like(x)
    found = Propagation(network).bounds(*interval_around(x, radius))
    reach = radius @ network.weight.abs().T
    close(found.lower, network(x) - reach)
    close(found.upper, network(x) + reach)


# -- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_parts_sum_to_the_logits(name, kind):
    network, x = made(name)
    mask = torch.rand_like(x)
    mask = mask.round() if kind == "binary" else mask
    beta, gamma = Propagation(network).decompose(mask * x, (1 - mask) * x)
    close(beta + gamma, network(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_an_empty_mask_carries_nothing(name):
    network, x = made(name)
    beta, gamma = Propagation(network).decompose(torch.zeros_like(x), x)
    assert not beta.any()
    close(gamma, network(x))


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_full_mask_carries_all(name):
    network, x = made(name)
    beta, gamma = Propagation(network).decompose(x, torch.zeros_like(x))
    close(beta, network(x))
    close(gamma, torch.zeros_like(gamma))


def test_parts_of_a_linear_network_in_closed_form():
    network, x = made("linear")
    mask = torch.rand_like(x).round()
    own, other = (mask * x) @ network.weight.T, ((1 - mask) * x) @ network.weight.T
    beta, _ = Propagation(network).decompose(mask * x, (1 - mask) * x)
    close(beta, own + network.bias * own.abs() / (own.abs() + other.abs()))


# -- bounds of the gradient ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_bounds_of_a_point_are_the_gradient(name):
    network, x = made(name)
    found = Propagation(network).gradient_bounds(x, x)
    close(found.lower, input_gradient(network, x))
    close(found.upper, input_gradient(network, x))


@given(name=st.sampled_from(QUICK), seed=st.integers(0, 1000), radius=st.sampled_from([1e-3, 0.1, 1.0]))
def test_gradient_bounds_enclose_the_gradients_of_the_whole_box(name, seed, radius):
    network, x = made(name, seed=seed)
    box = interval_around(x, radius * torch.rand_like(x))
    found = Propagation(network).gradient_bounds(*box)
    assert (found.lower <= found.upper).all()
    assert all(enclosed(input_gradient(network, point), found) for point in points(box, 4))


def test_the_gradient_of_a_linear_network_is_a_point_however_wide_the_box():
    network, x = made("linear")
    found = Propagation(network).gradient_bounds(x - 5, x + 5)
    close(found.lower, network.weight.sum(0).expand_as(x))
    assert torch.equal(found.lower, found.upper)


def test_gradient_bounds_start_from_any_gradient_of_the_logits():
    """Here that of half the sum of their squares: the logits themselves."""
    network, x = made("mlp")
    found = Propagation(network).gradient_bounds(x, x, start=lambda logits: logits)
    x.requires_grad_()
    (expected,) = torch.autograd.grad(network(x).square().sum() / 2, x)
    close(found.lower, expected)
    close(found.upper, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18"])
def test_bounds_of_a_resnet_with_its_large_stem(name):
    network, x = made(name)
    box = interval_around(x, torch.tensor(0.02))
    walk = Propagation(network)
    values, slopes = walk.bounds(*box), walk.gradient_bounds(*box)
    for point in points(box, 4):
        assert enclosed(network(point), values)
        assert enclosed(input_gradient(network, point), slopes)


# -- what training needs ---------------------------------------------------------------------------------------------


def spread(walk: Propagation, x: Tensor) -> Tensor:
    """A number that all three walks have a part in."""
    bounds, slopes = walk.bounds(x - 0.1, x + 0.1), walk.gradient_bounds(x - 0.1, x + 0.1)
    beta, _ = walk.decompose(0.5 * x, 0.5 * x)
    return (bounds.upper - bounds.lower).sum() + slopes.upper.square().sum() + beta.square().sum()


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_gradients_with_respect_to_the_parameters(name):
    network, x = made(name)
    walk = Propagation(network)
    spread(walk, x).backward()
    for parameter in network.parameters():
        place = int(parameter.grad.abs().argmax())
        flat, step, ends = parameter.detach().view(-1), 1e-6, []
        for sign in (1, -2):
            flat[place] += sign * step
            ends.append(spread(walk, x).item())
        flat[place] += step
        assert parameter.grad.view(-1)[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("name", ["mlp", "cnn", "test_resnet"])
def test_training_mode_neither_matters_nor_changes(name):
    network, x = made(name)
    before = Propagation(network).bounds(x - 0.1, x + 0.1)
    network.train()
    network[0].eval()
    modes, statistics = [layer.training for layer in network.modules()], copy.deepcopy(network.state_dict())
    after = Propagation(network).bounds(x - 0.1, x + 0.1)
    close(after, before)
    assert [layer.training for layer in network.modules()] == modes
    close(network.state_dict(), statistics)


def test_the_walk_follows_the_network():
    """New parameters, another type, a copy with its owner: the trace refers to the live layers."""
    network, x = made("cnn")
    walk, other = Propagation(network), made("cnn", seed=1)[0]
    network.load_state_dict(other.state_dict())
    close(walk.bounds(x, x).lower, other(x))
    walk_copy, network_copy = copy.deepcopy((walk, network))
    nn.init.zeros_(network_copy[-1].weight)
    assert not walk_copy.bounds(x, x).lower.any()
    close(walk.bounds(x, x).lower, other(x))
    network.float()
    assert walk.bounds(x.float(), x.float()).lower.dtype == torch.float32


def test_a_module_that_owns_a_walk_has_its_parameters_once():
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = made("mlp")[0]
            self.walk = Propagation(self.network)

    owner = Owner()
    assert list(owner.state_dict()) == [f"network.{name}" for name in owner.network.state_dict()]
    twin = copy.deepcopy(owner)
    assert twin.walk.network is twin.network


@pytest.mark.parametrize("name", ["mlp", "cnn", "test_resnet"])
def test_the_walk_runs_on_another_device(name):
    network, x = made(name)
    walk = Propagation(network)
    network.to("meta")
    x = x.to("meta")
    assert walk.bounds(x, x).lower.shape == (3, 4)
    assert walk.decompose(x, x).beta.device.type == "meta"
    assert walk.gradient_bounds(x, x).upper.shape == x.shape


@pytest.mark.parametrize("name", ["mlp", "cnn", "test_resnet"])
def test_under_autocast_values_are_near_and_in_order(name):
    network, x = made(name)
    network, x = network.float(), x.float()
    walk = Propagation(network)
    with torch.autocast("cpu", torch.bfloat16):
        bounds, parts, slopes = walk.bounds(x, x + 0.01), walk.decompose(x, 0 * x), walk.gradient_bounds(x, x + 0.01)
        (bounds.upper.sum() + parts.beta.sum() + slopes.upper.sum()).backward()
    assert (bounds.lower <= bounds.upper).all()
    assert (slopes.lower <= slopes.upper).all()
    close(parts.beta + parts.gamma, network(x), rtol=0.05, atol=0.05, check_dtype=False)
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
