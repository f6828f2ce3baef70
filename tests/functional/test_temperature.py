"""Fitted temperatures against a bounded search and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from hilmix.functional.temperature import TEMPERATURE_RANGE, fit_temperature
from tests.functional.draws import draw


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_temperature_equals_bounded_search(sharpness):
    logits, _ = draw(2000)
    target = torch.distributions.Categorical(logits=logits / 2).sample()
    fit = fit_temperature(sharpness * logits, target)

    def nll(log_t: float) -> float:
        return torch.nn.functional.cross_entropy(sharpness * logits / math.exp(log_t), target).item()

    oracle = minimize_scalar(nll, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert fit.temperature == pytest.approx(math.exp(oracle.x), rel=1e-5)
    assert fit.nll_before == pytest.approx(nll(0.0))
    assert fit.nll_after == pytest.approx(oracle.fun)
    assert fit.nll_after <= fit.nll_before


def test_temperature_scales_with_the_logits_and_ignores_shifts():
    logits, target = draw(500, scale=1)
    target = logits.argmax(-1).where(torch.arange(500) % 3 > 0, target)
    base = fit_temperature(logits, target).temperature
    assert fit_temperature(3 * logits + 100, target).temperature == pytest.approx(3 * base, rel=1e-8)
    assert fit_temperature((3 * logits).float(), target).temperature == pytest.approx(3 * base, rel=1e-5)


def test_temperature_of_two_classes_in_closed_form():
    """Equal margins m with hit rate h: softmax gives h at T = m / logit(h)."""
    logits = torch.tensor([[4.0, 0.0]] * 100)
    target = (torch.arange(100) >= 80).long()
    assert fit_temperature(logits, target).temperature == pytest.approx(4 / math.log(0.8 / 0.2))


def test_temperature_on_votes_equals_grid_and_face_value_is_the_label():
    logits, _ = draw(300, 3)
    truth = torch.distributions.Categorical(logits=logits / 3).sample()
    confusion = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]], dtype=torch.float64)
    vote = torch.distributions.Categorical(confusion[truth]).sample()
    evidence = confusion.T[vote].log()
    fit = fit_temperature(logits, evidence)
    grid = np.geomspace(0.05, 20, 4000)
    values = [((logits / t).softmax(-1) * evidence.exp()).sum(-1).log().sum().item() for t in grid]
    assert fit.temperature == pytest.approx(grid[np.argmax(values)], rel=2e-3)
    assert fit.nll_after == pytest.approx(-max(values) / 300, abs=1e-6)
    hard = torch.full((300, 3), -math.inf, dtype=torch.float64).scatter(1, vote[:, None], 0.0)
    assert fit_temperature(logits, hard).temperature == pytest.approx(fit_temperature(logits, vote).temperature)


def test_temperature_stays_one_without_gain():
    logits, target = draw(10)
    assert fit_temperature(logits[:0], target[:0]).temperature == 1
    assert fit_temperature(torch.zeros(10, 5), target).temperature == 1  # no temperature changes anything
    assert fit_temperature(logits, torch.zeros(10, 5)).temperature == 1  # votes that say nothing
    assert fit_temperature(logits * math.nan, target).temperature == 1
    assert fit_temperature(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long)).temperature == 1


def test_temperature_stays_one_where_separable_data_ask_for_certainty():
    fit = fit_temperature(torch.eye(3) * 2, torch.arange(3))
    assert (fit.temperature, fit.determined) == (1, False)
    assert fit.nll_after == fit.nll_before


def test_temperature_goes_to_the_hot_end_where_the_logits_are_wrong():
    fit = fit_temperature(torch.eye(3) * 2, (torch.arange(3) + 1) % 3)
    assert fit.temperature == pytest.approx(TEMPERATURE_RANGE[1], rel=1e-3)
    assert not fit.determined
