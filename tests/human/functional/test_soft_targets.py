"""Scores against distributions, against scipy and closed forms."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, strategies as st

from hilmix.functional.calibration import negative_log_likelihood
from hilmix.human.functional.soft_targets import (
    entropy,
    entropy_correlation,
    kl_divergence,
    soft_cross_entropy,
    total_variation,
)


def draw(rows: int = 50, classes: int = 6, seed: int = 0, *, votes: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions, and the shares of votes drawn from them, many of them zero."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.5), rows).reshape(rows, classes) + 1e-6
    probs /= probs.sum(1, keepdims=True)
    return torch.from_numpy(probs), torch.from_numpy(rng.multinomial(votes, probs) / votes)


@given(st.integers(0, 20), st.integers(1, 7), st.integers(0, 10**6))
def test_scores_equal_scipy(rows, classes, seed):
    probs, target = draw(rows, classes, seed)
    p, t = probs.numpy(), target.numpy()
    kl, own = scipy.stats.entropy(t, p, axis=1), scipy.stats.entropy(t, axis=1)
    np.testing.assert_allclose(entropy(target), own, atol=1e-12)
    np.testing.assert_allclose(kl_divergence(probs.log(), target), kl, atol=1e-12)
    np.testing.assert_allclose(soft_cross_entropy(probs.log(), target), kl + own, atol=1e-12)
    np.testing.assert_allclose(total_variation(probs, target), np.abs(p - t).sum(1) / 2, atol=1e-12)


def test_total_variation_is_the_wasserstein_distance_of_two_classes_one_apart():
    probs, target = draw(classes=2)
    slow = [scipy.stats.wasserstein_distance([0, 1], [0, 1], p, t) for p, t in zip(probs, target, strict=True)]
    np.testing.assert_allclose(total_variation(probs, target), slow, atol=1e-12)


def test_total_variation_is_the_largest_difference_over_all_sets_of_classes():
    probs, target = draw(classes=4)
    sets = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    torch.testing.assert_close(total_variation(probs, target), ((probs - target) @ sets.T).abs().amax(1))


def test_one_hot_targets_give_the_likelihood_of_the_class():
    probs, _ = draw()
    label = torch.arange(50) % 6
    one_hot = torch.nn.functional.one_hot(label, 6)
    nll = negative_log_likelihood(probs, label)
    torch.testing.assert_close(soft_cross_entropy(probs.log(), one_hot), nll)
    torch.testing.assert_close(kl_divergence(probs.log(), one_hot), nll)
    torch.testing.assert_close(total_variation(probs, one_hot), 1 - probs.gather(1, label[:, None])[:, 0])


def test_classes_without_target_mass_cost_nothing_and_others_everything():
    log_probs = torch.tensor([[0.0, -math.inf], [0.0, -math.inf]])
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert soft_cross_entropy(log_probs, target).tolist() == [0, math.inf]
    assert kl_divergence(log_probs, target).tolist() == [0, math.inf]


@pytest.mark.parametrize("score", [soft_cross_entropy, kl_divergence, total_variation])
@pytest.mark.parametrize("side", [0, 1])
def test_missing_numbers_are_not_hidden(score, side):
    pair = [torch.tensor([[-0.5, -1.0]]), torch.tensor([[0.5, 0.5]])]
    pair[side][0, 0] = math.nan
    assert score(*pair).isnan().all()


def test_the_target_itself_is_the_best_prediction():
    probs, target = draw(400)
    torch.testing.assert_close(soft_cross_entropy(target.log(), target), entropy(target))
    assert (kl_divergence(probs.log(), target) > 0).all()
    assert (kl_divergence(target.log(), target) == 0).all()


def test_cross_entropy_is_a_loss():
    """Gradient p - t in the logits, of the logits' type whatever the target's, finite where a class has no mass."""
    logits = torch.tensor([[2.0, -1.0, 0.5], [300.0, 0.0, -300.0]], requires_grad=True)
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    loss = soft_cross_entropy(logits.log_softmax(-1), target)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(logits.grad, logits.softmax(-1).detach() - target.float())
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target.float(), reduction="none"))


def test_entropy_lies_between_certain_and_uniform():
    assert entropy(torch.eye(4)).tolist() == [0] * 4
    torch.testing.assert_close(entropy(torch.full((1, 7), 1 / 7)), torch.tensor([math.log(7)]).double())
    assert entropy(torch.ones(3, 1)).tolist() == [0] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entropy_correlation_equals_scipy(dtype):
    probs, target = (x.to(dtype) for x in draw(200))
    by_hand = scipy.stats.pearsonr(*(scipy.stats.entropy(x.double().numpy(), axis=1) for x in (probs, target)))
    found = entropy_correlation(probs, target)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(by_hand.statistic, abs=1e-12 if dtype == torch.float64 else 1e-6)
    assert entropy_correlation(target, probs).item() == pytest.approx(found.item())


def test_entropy_correlation_needs_no_right_class():
    probs, _ = draw()
    assert entropy_correlation(probs, probs.flip(1)).item() == pytest.approx(1)


def smoothed(dtype: torch.dtype) -> torch.Tensor:
    """One distribution with its classes in many orders: the entropies differ by rounding only."""
    logits = torch.tensor([0.3, 1.7, -2.2, 0.9, 0.1, 4.0, -0.7], dtype=dtype)
    return torch.stack([logits[torch.randperm(7, generator=torch.Generator().manual_seed(s))] for s in range(50)])


@pytest.mark.parametrize(
    "constant",
    [
        torch.eye(7, dtype=torch.float64)[torch.arange(50) % 7],
        smoothed(torch.float64).softmax(1),
        smoothed(torch.float32).softmax(1),
        torch.full((50, 7), 1 / 7),
    ],
    ids=["one-hot", "smoothed", "smoothed in float32", "uniform"],
)
def test_constant_entropies_have_no_correlation(constant):
    probs, _ = draw(50, 7)
    assert entropy_correlation(probs, constant).isnan()
    assert entropy_correlation(constant, probs).isnan()


def test_small_differences_of_entropy_count():
    """The entropies of a confident network differ by little, but by more than rounding."""
    share = torch.linspace(1e-9, 2e-9, 30)
    sure = torch.stack([1 - share, share], 1)
    assert entropy_correlation(sure, sure.flip(0)).item() == pytest.approx(-1, abs=0.01)
    assert entropy_correlation(sure, sure.flip(1)).item() == pytest.approx(1)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_samples_have_no_correlation(rows):
    assert entropy_correlation(*draw(rows)).isnan()
