"""IBP-Ex, CDEP and R4 on small networks: closed forms, finite differences, and what an empty mask leaves alone."""

import math

import pytest
import torch
from torch import Tensor, nn

from hilmix.annotators import ConfusionMatrices
from hilmix.errors import ConfigError
from hilmix.explanations import CDEP, R4, Explanation, IBPEx
from hilmix.functional.losses import annotation_nll
from tests.explanations.passes import cross_entropy, pass_of, rows

close = torch.testing.assert_close
ALL = [IBPEx(0.5, alpha=0.6), CDEP(2.0), R4(3.0, radius=0.2)]


def mlp(width: int = 6, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, classes)
    return nn.Sequential(*layers).double()


def cnn() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(16, 3)).double()


def built(part: Explanation, network: nn.Module) -> Explanation:
    part.build(network)
    return part


def name(part: Explanation) -> str:
    return type(part).__name__


@pytest.mark.parametrize("part", ALL, ids=name)
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_mask_adds_nothing(part, training):
    """Not even the difference between training and evaluation of the same rows."""
    network, x = cnn().train(training), torch.randn(5, 2, 4, 4).double()
    label = torch.tensor([0, 1, 2, 0, 1])
    shown = pass_of(network, x, torch.zeros(5, 1, 4, 4).double(), label, progress=0.5)
    assert built(part, network).term(shown).item() == 0


@pytest.mark.parametrize("part", ALL, ids=name)
def test_rows_without_a_mask_count_nothing_but_are_counted(part):
    network, (x, mask, label) = mlp(), rows()
    built(part, network)
    alone = part.term(pass_of(network, x[1:], mask[1:], label[1:], progress=0.5))
    assert not mask[0].any()
    close(part.term(pass_of(network, x, mask, label, progress=0.5)), alone * 4 / 5)


@pytest.mark.parametrize("part", ALL, ids=name)
def test_the_weight_does_not_depend_on_the_batch_size(part):
    network, (x, mask, label) = mlp(), rows()
    once = built(part, network).term(pass_of(network, x, mask, label, progress=0.5))
    close(part.term(pass_of(network, x.repeat(2, 1), mask.repeat(2, 1), label.repeat(2), progress=0.5)), once)


@pytest.mark.parametrize("part", ALL, ids=name)
def test_gradients_against_finite_differences(part):
    network, (x, mask, label) = mlp(), rows(20)
    built(part, network)

    def term() -> Tensor:
        return part.term(pass_of(network, x, mask, label, progress=0.5))

    found = torch.autograd.grad(term(), list(network.parameters()), allow_unused=True)
    for parameter, gradient in zip(network.parameters(), found, strict=True):
        flat, step = parameter.detach().view(-1), 1e-6
        for place in (0, parameter.numel() - 1):
            ends = []
            for move in (step, -2 * step):
                flat[place] += move
                ends.append(term().item())
            flat[place] += step
            slope = 0.0 if gradient is None else gradient.view(-1)[place].item()  # r4 ignores the last bias
            assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("part", ALL, ids=name)
@pytest.mark.parametrize("channels", [1, 2])
def test_masks_of_images_have_one_channel_or_all(part, channels):
    network, x = cnn().eval(), torch.randn(3, 2, 4, 4).double()
    mask, label = torch.rand(3, channels, 4, 4).double().round(), torch.tensor([0, 1, 2])
    built(part, network)
    found = part.term(pass_of(network, x, mask, label, progress=0.5))
    close(part.term(pass_of(network, x, mask.expand(3, 2, 4, 4), label, progress=0.5)), found)
    assert found.item() != 0


@pytest.mark.parametrize("part", ALL, ids=name)
def test_a_training_network_is_walked_as_in_evaluation_and_left_alone(part):
    network, x = cnn().train(), torch.randn(3, 2, 4, 4).double()
    mask, label = torch.ones(3, 1, 4, 4).double(), torch.tensor([0, 1, 2])
    shown = pass_of(network, x, mask, label, progress=0.5)
    before = network[1].running_mean.clone()
    close(built(part, network).term(shown), part.term(shown))  # no dropout in it
    assert network.training
    close(network[1].running_mean, before)


@pytest.mark.parametrize("part", ALL, ids=name)
def test_a_network_without_rules_is_refused_with_the_remedy(part):
    with pytest.raises(ConfigError, match=rf"^{name(part)}: .*'1' \(GELU\).*RRR.*AvgEx.*PGDEx"):
        part.build(nn.Sequential(nn.Linear(3, 3), nn.GELU()))


@pytest.mark.parametrize("part", ALL, ids=name)
def test_parts_are_saved_by_their_settings_alone(part):
    spec = part.spec()
    assert built(type(part).from_spec(spec), mlp()).spec() == spec


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IBPEx(-1.0), "`IBPEx.radius` must be"),
        (lambda: IBPEx(radius_start=math.inf), "`IBPEx.radius_start` must be"),
        (lambda: IBPEx(alpha=1.5), "`IBPEx.alpha` must be"),
        (lambda: CDEP(-2.0), "`CDEP.weight` must be"),
        (lambda: R4(weight=-1.0), "`R4.weight` must be"),
        (lambda: R4(radius=math.nan), "`R4.radius` must be"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# -- IBP-Ex ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("progress", "alpha", "radius"), [(0.0, 0.8, 0.1), (0.5, 0.6, 0.3), (0.75, 0.5, 0.4)])
def test_ibp_ex_of_a_linear_model(progress, alpha, radius):
    """The worst case is closed: every class's margin over another falls by ``radius * (m @ (|w_k| + |w_j|))``."""
    x, mask, label = rows()
    network = nn.Linear(6, 3).double()
    part = built(IBPEx(0.5, radius_start=0.1, alpha=0.8), network)
    found = part.term(pass_of(network, x, mask, label, progress=progress))
    z, reach = network(x), radius * mask @ network.weight.abs().T
    true = torch.nn.functional.one_hot(label, 3).bool()
    worst = cross_entropy(torch.where(true, z - reach, z + reach).log_softmax(-1), label)
    close(found, (1 - alpha) * (worst - cross_entropy(z.log_softmax(-1), label)))


def test_ibp_ex_with_the_data_loss_is_the_published_mixture():
    network, (x, mask, label) = mlp(), rows()
    mask[0] = mask[1]
    shown = pass_of(network, x, mask, label, progress=0.5)
    worst_only = built(IBPEx(0.3, radius_start=0.3, alpha=0.0), network).term(shown)
    plain = cross_entropy(shown.log_probs, label)
    found = plain + built(IBPEx(0.3, radius_start=0.3, alpha=1.0), network).term(shown)
    close(found, 0.75 * plain + 0.25 * (plain + worst_only))


def test_ibp_ex_starts_as_the_plain_loss():
    network, (x, mask, label) = mlp(), rows()
    assert built(IBPEx(2.0), network).term(pass_of(network, x, mask, label, progress=0.0)).item() == 0


def test_ibp_ex_asks_for_the_worst_case_of_any_loss():
    """With annotators who confuse classes, the loss of the bounds is at least that of any input in the box."""
    network, (x, mask, label) = mlp().float(), rows()
    x, mask = x.float(), mask.float()
    annotators = ConfusionMatrices().build(num_features=6, num_classes=3, num_annotators=2, num_annotator_features=0)
    who, row = torch.tensor([0, 1, 0, 1, 0]), torch.arange(5)

    def losses(log_probs: Tensor, label: Tensor) -> Tensor:
        label_log_probs, _ = annotators(x, log_probs, who)
        return annotation_nll(label_log_probs, label, None, row)

    shown = pass_of(network, x, mask, label, losses=losses)
    loss = shown.data_loss_of
    worst = loss(shown.log_probs) + built(IBPEx(0.5, radius_start=0.5, alpha=0.0), network).term(shown)
    for _ in range(20):
        moved = x + 0.5 * mask * (2 * torch.rand_like(x) - 1).sign()
        assert loss(network(moved).log_softmax(-1)) <= worst + 1e-6


# -- CDEP ------------------------------------------------------------------------------------------------------------


def test_cdep_of_a_linear_model():
    x, mask, label = rows()
    network = nn.Linear(6, 3).double()
    found = built(CDEP(2.0), network).term(pass_of(network, x, mask, label))
    beta, gamma = (mask * x) @ network.weight.T, ((1 - mask) * x) @ network.weight.T
    share = beta.abs() / (beta.abs() + gamma.abs())
    split = torch.stack([beta + share * network.bias, gamma + (1 - share) * network.bias])
    close(found, 2 * split.softmax(0)[0][1:].mean(1).sum() / 5)


def test_cdep_penalises_the_marked_side():
    """The same logits, once carried by the marked inputs and once by the others."""
    x, mask = torch.ones(1, 2), torch.tensor([[1.0, 0.0]])
    values = []
    for weight in ([3.0, 1.0], [1.0, 3.0]):
        network = nn.Linear(2, 2)
        network.weight.data = torch.tensor([weight, weight])
        nn.init.zeros_(network.bias)
        values.append(built(CDEP(), network).term(pass_of(network, x, mask, torch.zeros(1).long())).item())
    assert values == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])


# -- R4 --------------------------------------------------------------------------------------------------------------


def loss_gradient(network: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    losses = torch.nn.functional.cross_entropy(network(x), label, reduction="sum")
    return torch.autograd.grad(losses, x)[0]


def test_r4_at_radius_0_is_twice_the_l1_norm_of_the_loss_gradient_and_grows_with_the_radius():
    network, (x, mask, label) = mlp(), rows()
    shown = pass_of(network, x, mask, label)
    values = [built(R4(2.0, radius=radius), network).term(shown).item() for radius in (0.0, 0.1, 1.0)]
    clean = (mask * loss_gradient(network, x, label)).abs().sum(1).mean()
    assert values[0] == pytest.approx(2 * 2 * clean.item())
    assert values[0] < values[1] < values[2]


def test_r4_bounds_the_loss_gradient_of_the_whole_box():
    network, (x, mask, label) = mlp(), rows()
    found = built(R4(1.0, radius=0.7), network).term(pass_of(network, x, mask, label))
    reached = torch.zeros_like(x)
    for _ in range(50):
        moved = x + 0.7 * mask * (2 * torch.rand_like(x) - 1)
        reached = torch.maximum(reached, loss_gradient(network, moved, label).abs())
    assert found >= (mask * reached).sum(1).mean()


def test_r4_of_a_linear_model():
    """Its slopes are known; what is not is how sure of its label the model is inside the box."""
    x, mask, label = rows(classes=2)
    network = nn.Linear(6, 2).double()
    found = built(R4(1.0, radius=0.7), network).term(pass_of(network, x, mask, label))
    slope = network.weight[1] - network.weight[0]
    margin = (2 * label - 1) * (network(x)[:, 1] - network(x)[:, 0])
    weight = network.weight.abs()
    reach = 0.7 * mask @ (weight[0] + weight[1])  # of both logits as if they moved freely
    # p(wrong) with opposite signs on both logits; its spread is not known to be the same on both
    low, high = torch.sigmoid(-margin - reach)[:, None], torch.sigmoid(-margin + reach)[:, None]
    centre, spread = (low + high) / 2 * slope.abs(), (high - low) / 2 * (weight[0] + weight[1])
    ends = (centre - spread).abs() + (centre + spread).abs()
    close(found, (mask * ends).sum(1).mean())


def test_r4_counts_every_answer_of_an_item():
    """Two people who disagree: the loss's gradient pulls both ways."""
    network, (x, mask, _) = mlp(), rows(4)
    mask[0] = mask[1]

    def losses(log_probs: Tensor, label: Tensor) -> Tensor:
        return -(log_probs[:, 0] + log_probs[:, 2]) / 2

    shown = pass_of(network, x, mask, torch.zeros(4).long(), losses=losses)
    (gradient,) = torch.autograd.grad(losses(shown.log_probs, shown.batch.label).mean(), shown.x)
    close(built(R4(radius=0.0, weight=1.0), network).term(shown), 2 * (mask * gradient).abs().sum())
