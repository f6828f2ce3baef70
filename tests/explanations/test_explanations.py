"""Explanation losses on small networks: closed forms, finite differences, and what must hold of all of them."""

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from hilmix.errors import ConfigError
from hilmix.explanations import RRR, AvgEx, Explanation, PGDEx
from tests.explanations.passes import cross_entropy, mlp, pass_of, rows

ALL = [RRR(3.0), RRR(3.0, norm="l1"), RRR(3.0, of="log_probs"), AvgEx(0.5, weight=2.0), PGDEx(0.5, steps=3, weight=2.0)]


def named(part: Explanation) -> str:
    return f"{type(part).__name__}-{getattr(part, 'norm', '')}-{getattr(part, 'of', '')}"


@pytest.mark.parametrize("part", ALL, ids=named)
def test_an_empty_mask_adds_nothing_new(part: Explanation) -> None:
    """A penalty is 0, and a perturbed loss is that of the data."""
    net, (x, mask, label) = mlp(), rows()
    found = part.term(pass_of(net, x, torch.zeros_like(mask), label))
    plain = cross_entropy(net(x).log_softmax(-1), label)
    torch.testing.assert_close(found, 0 * plain if isinstance(part, RRR) else part.weight * plain)
    (gradient,) = torch.autograd.grad(found, net[0].weight)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("part", ALL, ids=named)
def test_the_weight_does_not_depend_on_the_batch_size(part: Explanation) -> None:
    net, (x, mask, label) = mlp(), rows()
    torch.manual_seed(1)
    once = part.term(pass_of(net, x, mask, label))
    if isinstance(part, AvgEx):  # its noise differs between the copies
        part, once = AvgEx(0.0), pass_of(net, x, mask, label).data_loss(x)
    twice = part.term(pass_of(net, x.repeat(2, 1), mask.repeat(2, 1), label.repeat(2)))
    torch.testing.assert_close(twice, once)


@given(st.integers(0, 1000))
def test_rrr_of_a_linear_model_is_the_norm_of_the_summed_weights_inside_the_mask(seed: int) -> None:
    x, mask, label = rows(seed=seed)
    net = nn.Linear(6, 3).double()
    summed = net.weight.sum(0)
    found = RRR(2.0).term(pass_of(net, x, mask, label))
    torch.testing.assert_close(found, 2 * torch.stack([(m * summed).norm() for m in mask]).mean())
    found = RRR(2.0, norm="l1").term(pass_of(net, x, mask, label))
    torch.testing.assert_close(found, 2 * torch.stack([(m * summed).abs().sum() for m in mask]).mean())


def test_a_number_added_to_all_logits_changes_the_penalty_of_their_sum_only() -> None:
    net, (x, mask, label) = mlp(), rows()
    drift = torch.arange(6.0, dtype=torch.float64)

    def drifting(x: torch.Tensor) -> torch.Tensor:
        return net(x) + (x @ drift)[:, None]

    def penalty(part: RRR, network) -> torch.Tensor:
        return part.term(pass_of(network, x, mask, label))

    of_log_probs = RRR(1.0, of="log_probs")
    torch.testing.assert_close(penalty(of_log_probs, drifting), penalty(of_log_probs, net))
    assert abs(penalty(RRR(1.0), drifting) - penalty(RRR(1.0), net)) > 1


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_gradient_of_the_saliency_penalty(norm: str) -> None:
    """Second order, against finite differences of the penalty in every parameter of the first layer."""
    net, (x, mask, label) = mlp(), rows()
    part = RRR(1.0, norm=norm)
    (found,) = torch.autograd.grad(part.term(pass_of(net, x, mask, label)), net[0].weight)
    step = 1e-6
    for place in [(0, 0), (3, 2), (7, 5)]:
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                net[0].weight[place] += sign * step
            ends.append(part.term(pass_of(net, x, mask, label)).item())
            with torch.no_grad():
                net[0].weight[place] -= sign * step
        assert found[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


@given(st.integers(0, 1000), st.floats(0, 2), st.integers(1, 5))
def test_the_attack_stays_in_its_box_and_does_harm(seed: int, radius: float, steps: int) -> None:
    net, (x, mask, label) = mlp(), rows(seed=seed)
    shown = pass_of(net, x, mask, label)
    moved = PGDEx(radius, steps=steps).attacked(shown)
    assert ((moved - x).abs() <= radius * mask + 1e-9).all()
    assert not moved.requires_grad
    one_step = PGDEx(1e-4, steps=1).attacked(shown)  # so small that the loss is linear
    assert shown.data_loss(one_step) >= shown.data_loss(x)


def test_the_attack_on_a_linear_model_finds_the_worst_corner() -> None:
    x, mask, _ = rows(1)
    mask, label = torch.ones_like(mask).index_fill_(1, torch.tensor([0, 4]), 0), torch.tensor([1])
    net = nn.Linear(6, 2).double()
    shown = pass_of(net, x, mask, label)
    found = shown.data_loss(PGDEx(0.3, steps=4).attacked(shown))
    corners = torch.cartesian_prod(*[torch.tensor([-0.3, 0.3]).double()] * 6) * mask
    worst = max(shown.data_loss(x + corner).item() for corner in corners)
    assert found.item() == pytest.approx(worst)


def test_the_attack_leaves_the_network_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)).double().train()
    x, mask, label = rows()
    shown = pass_of(net, x, mask, label)
    before = net[1].running_mean.clone()
    moved = PGDEx(1.0, steps=2).attacked(shown)
    torch.testing.assert_close(net[1].running_mean, before)
    assert all(part.training for part in net.modules())
    torch.testing.assert_close(PGDEx(1.0, steps=2).attacked(shown), moved)  # no dropout in it


def test_the_attack_reaches_sure_rows_under_fp16() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2)), torch.randn(64, 6)
    with torch.no_grad():
        net[2].bias.copy_(torch.tensor([12.0, 0.0]))  # a loss of 1e-5, whose mean has gradients of 1e-7
    label, mask = torch.zeros(64, dtype=torch.int64), torch.ones(64, 6)
    with torch.autocast("cpu", torch.float16):
        moved = PGDEx(1.0, steps=1).attacked(pass_of(net, x, mask, label))
    assert (moved == x).float().mean() < 0.01


def test_noise_has_the_spread_of_radius_times_mask() -> None:
    seen = []
    x, mask = torch.zeros(4000, 2), torch.tensor([[0.0, 0.5]]).expand(4000, 2)
    net = nn.Linear(2, 2)
    shown = pass_of(lambda x: seen.append(x) or net(x), x, mask, torch.zeros(4000, dtype=torch.int64))
    seen.clear()
    AvgEx(3.0).term(shown)
    assert seen[0][:, 0].abs().max() == 0
    assert seen[0][:, 1].std().item() == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RRR(-1.0), "`RRR.weight` must be"),
        (lambda: RRR(norm="l3"), "`RRR.norm` must be"),
        (lambda: RRR(of="loss"), "`RRR.of` must be"),
        (lambda: AvgEx(radius=float("nan")), "`AvgEx.radius` must be"),
        (lambda: PGDEx(steps=0), "`PGDEx.steps` must be"),
        (lambda: PGDEx(radius=-0.1), "`PGDEx.radius` must be"),
    ],
)
def test_settings_out_of_range_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
