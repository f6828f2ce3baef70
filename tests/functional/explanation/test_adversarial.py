"""Attacks against closed forms of linear and quadratic losses, and what must hold of any attack."""

import pytest
import torch
from torch import nn

from hilmix.errors import ConfigError, DataError
from hilmix.functional.explanation.adversarial import fgsm, pgd

RADIUS = 4 / 255


def images(rows: int = 6, *, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return low + (high - low) * torch.rand(rows, 3, 4, 4, generator=generator, dtype=dtype)


def slope() -> torch.Tensor:
    return torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def linear(x: torch.Tensor) -> torch.Tensor:
    return (x * slope()).sum((1, 2, 3))


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten(), nn.Linear(32, 5))
    return net.eval().to(dtype)


def network_loss(net: nn.Module):
    return lambda x: -net(x).log_softmax(-1)[:, 2]


def host(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fgsm_raises_a_linear_loss_by_the_dual_norm_of_its_slope():
    x = images(low=0.1, high=0.9)
    rise = linear(fgsm(linear, x, radius=RADIUS)) - linear(x)
    torch.testing.assert_close(rise, (RADIUS * slope().abs().sum()).expand(len(x)))


def test_fgsm_is_the_best_of_all_corners_of_the_ball_for_a_linear_loss():
    x, w = torch.tensor([[0.5, 0.02, 0.99]]), torch.tensor([1.0, -2.0, 0.5])
    corners = torch.cartesian_prod(*[torch.tensor([-0.1, 0.1])] * 3)
    best = ((x + corners).clamp(0, 1) @ w).max()
    torch.testing.assert_close(fgsm(lambda x: x @ w, x, radius=0.1) @ w, best[None])


def test_attacked_pixels_are_clipped_to_the_range():
    x = torch.tensor([[0.0, 1.0, 0.5]])
    found = fgsm(lambda x: x @ torch.tensor([-1.0, 1.0, 0.0]), x, radius=0.25)
    assert found.tolist() == x.tolist()  # at the walls, and where the gradient is zero
    wide = pgd(lambda x: x.sum(1), x - 3, radius=0.5, step=0.5, steps=3, low=-3, high=-1.75)
    assert wide.tolist() == [[-2.5, -1.75, -2.0]]


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean])
def test_sum_mean_and_single_losses_give_the_same_attack(reduce):
    x = images()
    loss = network_loss(network())
    torch.testing.assert_close(fgsm(lambda x: reduce(loss(x)), x, radius=RADIUS), fgsm(loss, x, radius=RADIUS))


def test_every_row_is_attacked_for_itself():
    x, loss = images(), network_loss(network())
    together = pgd(loss, x, radius=RADIUS, step=RADIUS / 4, steps=5)
    alone = torch.cat([pgd(loss, row, radius=RADIUS, step=RADIUS / 4, steps=5) for row in x.split(1)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("step", [RADIUS / 10, RADIUS, 5 * RADIUS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pgd_stays_in_the_ball_and_in_the_range(seed, step, dtype):
    x = images(dtype=dtype).round(decimals=1)  # some pixels on the walls
    generator = None if seed is None else host(seed)
    found = pgd(network_loss(network(dtype)), x, radius=RADIUS, step=step, steps=7, generator=generator)
    assert found.dtype == dtype
    assert (found - x).abs().max().item() <= RADIUS * (1 + 1e-5)
    assert found.min().item() >= 0
    assert found.max().item() <= 1


def test_one_full_step_from_the_centre_is_the_sign_of_the_gradient():
    x, net = images().requires_grad_(), network()
    (gradient,) = torch.autograd.grad(network_loss(net)(x).sum(), x)
    expected = (x + RADIUS * gradient.sign()).clamp(0, 1)
    torch.testing.assert_close(pgd(network_loss(net), x, radius=RADIUS, step=RADIUS, steps=1), expected)
    torch.testing.assert_close(fgsm(network_loss(net), x, radius=RADIUS), expected)


@pytest.mark.parametrize(("step", "steps", "seed"), [(1.0, 1, None), (0.25, 4, None), (0.3, 4, None), (0.25, 8, 3)])
def test_pgd_that_can_cross_the_ball_equals_fgsm_on_a_linear_loss(step, steps, seed):
    x = images()
    generator = None if seed is None else host(seed)
    found = pgd(linear, x, radius=RADIUS, step=step * RADIUS, steps=steps, generator=generator)
    torch.testing.assert_close(found, fgsm(linear, x, radius=RADIUS))


def test_pgd_finds_what_one_step_overshoots():
    """The loss peaks half a radius away: the steps of PGD end within one step of the peak, FGSM goes past it."""
    x = torch.full((1, 2), 0.5, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return -(x - 0.55).square().sum(1)

    assert loss(fgsm(loss, x, radius=0.1)).item() == pytest.approx(2 * -(0.05**2))
    assert (pgd(loss, x, radius=0.1, step=0.02, steps=9) - 0.55).abs().max().item() <= 0.02


def test_an_attack_on_a_network_raises_its_loss():
    x, loss = images(40), network_loss(network())
    rise = [loss(a) - loss(x) for a in (fgsm(loss, x, radius=RADIUS), pgd(loss, x, radius=RADIUS, step=0.004, steps=9))]
    assert all((r > 0).all() for r in rise)


def test_the_start_is_drawn_from_the_generator_and_fills_the_ball():
    x = torch.full((5000, 1), 0.5, dtype=torch.float64)

    def start(seed: int) -> torch.Tensor:
        return pgd(lambda x: x.sum(1), x, radius=0.1, step=0.0, steps=1, generator=host(seed))

    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    moved = (start(0) - x) / 0.1
    assert moved.mean().item() == pytest.approx(0, abs=4 / (3 * 5000) ** 0.5)
    assert moved.var().item() == pytest.approx(1 / 3, abs=0.02)
    assert moved.abs().max().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("attack", [fgsm, lambda *a, **k: pgd(*a, **k, step=0.01, steps=3, generator=host(0))])
def test_a_zero_radius_returns_the_inputs(attack):
    x = images()
    assert torch.equal(attack(network_loss(network()), x, radius=0.0), x)


@pytest.mark.parametrize("with_grad", [False, True])
def test_nothing_but_the_result_is_left_behind(with_grad):
    """Parameters get no gradients, the inputs stay as they are, the result belongs to no graph; also under no_grad."""
    x, net = images().requires_grad_(), network()
    before, state = x.detach().clone(), {k: v.clone() for k, v in net.state_dict().items()}
    with torch.set_grad_enabled(with_grad):
        found = pgd(network_loss(net), x, radius=RADIUS, step=RADIUS, steps=2)
        assert torch.is_grad_enabled() is with_grad
    assert not found.requires_grad
    assert not torch.equal(found, before)
    assert x.grad is None
    assert torch.equal(x, before)
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_no_inputs_are_legal():
    assert fgsm(linear, images(0), radius=RADIUS).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("bad", [{"radius": -0.1}, {"step": -0.1}, {"steps": 0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError, match=rf"`{next(iter(bad))}`.*got {next(iter(bad.values()))}\."):
        pgd(linear, images(), **{"radius": 0.1, "step": 0.1, "steps": 1, **bad})


def test_normalised_inputs_are_refused():
    with pytest.raises(DataError, match=r"from -\S+ to \S+; give un-normalised ones in \[0, 1\]"):
        fgsm(linear, images() * 4 - 2, radius=0.1)
    with pytest.raises(DataError, match=r"nan"):
        fgsm(linear, images() * torch.nan, radius=0.1)
    with pytest.raises(DataError, match=r"torch.uint8; give floats in \[0, 1\]"):
        fgsm(linear, torch.zeros(1, 3, 4, 4, dtype=torch.uint8), radius=0.1)


def test_a_mask_bounds_what_may_move():
    x, mask = images(), torch.rand(6, 1, 4, 4, generator=host(3), dtype=torch.float64).round(decimals=1)
    moved = pgd(linear, x, radius=0.3, step=0.1, steps=6, mask=mask, low=None, high=None)
    torch.testing.assert_close(moved - x, (0.3 * mask * slope().sign()))


def test_without_a_range_inputs_may_leave_it():
    x = torch.full((1, 3), 5.0)
    assert pgd(lambda x: x.sum(1), x, radius=1.0, step=1.0, steps=1, low=None, high=None).tolist() == [[6.0] * 3]
    assert pgd(lambda x: x.sum(1), x, radius=1.0, step=1.0, steps=1, low=None, high=5.5).tolist() == [[5.5] * 3]
