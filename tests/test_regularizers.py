import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hilmix.errors import ConfigError
from hilmix.regularizers import EntropyPenalty, PriorPenalty, Regularizer, VolumePenalty

PENALTIES = [
    EntropyPenalty(0.7),
    EntropyPenalty(-0.7),
    PriorPenalty(0.9),
    PriorPenalty(0.9, prior=[0.5, 0.3, 0.2]),
    VolumePenalty(0.8),
]
ROWS_PER_RANK = (5, 2)


def log_probs(rows: int, classes: int = 3, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(rows, classes).log_softmax(-1)


def test_entropy_is_that_of_torch_distributions():
    x = log_probs(6)
    expected = torch.distributions.Categorical(logits=x).entropy().mean()
    torch.testing.assert_close(EntropyPenalty(2.0).penalty(x), 2 * expected)
    torch.testing.assert_close(EntropyPenalty(-2.0).penalty(x), -2 * expected)


def test_entropy_of_uniform_and_of_certain_predictions():
    assert EntropyPenalty(1.0).penalty(torch.full((2, 4), -math.log(4))).item() == pytest.approx(math.log(4))
    certain = torch.tensor([[0.0, -math.inf]], requires_grad=True)
    EntropyPenalty(1.0).penalty(certain).backward()
    assert EntropyPenalty(1.0).penalty(certain).item() == 0
    assert torch.isfinite(certain.grad).all()


def test_prior_penalty_is_the_divergence_from_the_mean_prediction():
    x, prior = log_probs(6), torch.tensor([0.5, 0.3, 0.2])
    mean = torch.distributions.Categorical(probs=x.exp().mean(0))
    for given, reference in ((None, torch.full((3,), 1 / 3)), (prior.tolist(), prior)):
        expected = torch.distributions.kl_divergence(torch.distributions.Categorical(probs=reference), mean)
        torch.testing.assert_close(PriorPenalty(1.0, given).penalty(x), expected)


def test_prior_penalty_is_zero_where_the_mean_is_the_prior_and_finite_where_a_class_died():
    assert PriorPenalty(1.0).penalty(torch.eye(3).log()).item() == pytest.approx(0, abs=1e-6)
    assert math.isfinite(PriorPenalty(1.0).penalty(torch.tensor([[0.0, -math.inf]])).item())
    assert PriorPenalty(1.0, [1.0, 0.0]).penalty(torch.tensor([[0.0, -math.inf]])).item() == 0


def test_volume_is_that_of_the_paper_up_to_a_constant():
    """-log det P'P of geo-reg-f, by cofactors in plain Python; the mean in place of the sum adds K log R."""
    x = 3 * log_probs(6)
    P = x.log_softmax(-1).exp().tolist()
    (a, b, c), (d, e, f), (g, h, i) = ([sum(row[j] * row[k] for row in P) for k in range(3)] for j in range(3))
    det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    expected = 0.5 * (-math.log(det) + 3 * math.log(6))
    assert VolumePenalty(0.5).penalty(x.log_softmax(-1)).item() == pytest.approx(expected, abs=1e-3)


def test_volume_is_smallest_for_confident_predictions_of_every_class():
    best = VolumePenalty(1.0).penalty(torch.eye(3).log())
    assert best.item() == pytest.approx(3 * math.log(3), abs=1e-4)
    for seed in range(5):
        assert VolumePenalty(1.0).penalty(log_probs(7, seed=seed)) > best


@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (4, 1), (1, 3), (5, 100), (200, 100)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_volume_is_finite_for_few_rows_equal_rows_and_dead_classes(rows: int, classes: int, scale: float):
    logits = (scale * log_probs(rows, classes)).requires_grad_()
    penalty = VolumePenalty(1.0).penalty(logits.log_softmax(-1))
    penalty.backward()
    assert -1e-3 <= penalty.item() <= 14 * classes
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("classes", [10, 100, 300])
def test_volume_of_equal_predictions_is_that_of_the_ridge_also_in_float32(classes: int):
    """Of one distribution p in all rows the eigenvalues are |p|^2 and zeros, of which float32 would make 1e-7 K."""
    row = (8 * torch.rand(classes, generator=torch.Generator().manual_seed(0))).log_softmax(0)
    size = float(row.exp().double().square().sum())
    expected = -math.log(size + 1e-6) - (classes - 1) * math.log(1e-6)
    assert VolumePenalty(1.0).penalty(row.expand(64, classes)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
def test_a_volume_weight_that_is_no_strength_is_refused(weight: float):
    with pytest.raises(ConfigError, match=r"`VolumePenalty.weight` must be"):
        VolumePenalty(weight)


@pytest.mark.parametrize("part", PENALTIES)
def test_autocast_does_not_round_a_penalty(part: Regularizer):
    x = log_probs(6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = part.penalty(x)
    torch.testing.assert_close(rounded, part.penalty(x))


@pytest.mark.parametrize("part", PENALTIES)
def test_no_rows_give_a_zero_with_zero_gradients(part: Regularizer):
    x = torch.zeros(0, 3, requires_grad=True)
    penalty = part.penalty(x)
    penalty.backward()
    assert penalty.item() == 0
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("part", PENALTIES)
def test_gradients_are_those_of_finite_differences(part: Regularizer):
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def penalty(z: Tensor) -> Tensor:  # in float64, which gradcheck needs and `penalty` leaves
        return part.weight * part.of_mean(part.sum_statistics(z.log_softmax(-1)) / len(z))

    assert torch.autograd.gradcheck(penalty, logits)


def test_half_precision_is_computed_in_single():
    assert PriorPenalty(1.0).penalty(log_probs(4).half()).dtype == torch.float32


@pytest.mark.parametrize("prior", [[0.5, 0.6], [1.5, -0.5], []])
def test_a_prior_that_is_no_distribution_is_refused(prior):
    with pytest.raises(ConfigError, match="prior"):
        PriorPenalty(1.0, prior)


def test_a_prior_of_the_wrong_length_is_refused():
    with pytest.raises(ConfigError, match="2 entries, the model 3 classes"):
        PriorPenalty(1.0, [0.5, 0.5]).penalty(log_probs(2))


@pytest.mark.parametrize("part", PENALTIES)
def test_parts_are_rebuilt_from_their_spec(part: Regularizer):
    assert Regularizer.from_spec(part.spec()).spec() == part.spec()


def model_and_rows() -> tuple[nn.Linear, list[Tensor]]:
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()  # a log-determinant in float32 differs by 1e-6 between processors
    return model, list(torch.randn(sum(ROWS_PER_RANK), 4, dtype=torch.float64).split(ROWS_PER_RANK))


def values_and_gradients(rank: int) -> list[tuple[Tensor, Tensor]]:
    results = []
    for part in PENALTIES:
        model, rows = model_and_rows()
        parallel = DistributedDataParallel(model)
        penalty = part.penalty(parallel(rows[rank]).log_softmax(-1))
        penalty.backward()
        results.append((penalty.detach(), model.weight.grad))
    return results


def test_two_processes_have_the_value_and_gradient_of_one(run_ranks):
    by_rank = run_ranks(values_and_gradients)
    for k, part in enumerate(PENALTIES):
        model, rows = model_and_rows()
        expected = part.penalty(model(torch.cat(rows)).log_softmax(-1))
        expected.backward()
        for rank in range(2):
            value, gradient = by_rank[rank][k]
            torch.testing.assert_close(value, expected.detach(), rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(gradient, model.weight.grad, rtol=1e-12, atol=1e-13)
