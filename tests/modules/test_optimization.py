"""Schedules of the learning rate."""

import math

import pytest
import torch

from hilmix.modules.optimization import schedule_rates


def test_rates_rise_in_the_warm_up() -> None:
    """By hand: a quarter, a half, three quarters and all of the rate, times the cosine of the step."""
    weight = torch.nn.Parameter(torch.zeros(1))
    cosine = [(1 + math.cos(math.pi * s / 10)) / 2 for s in range(10)]
    for schedule, factor in {"constant": [1.0] * 10, "cosine": cosine}.items():
        optimizer = torch.optim.SGD([weight], lr=2.0)
        rates = schedule_rates(optimizer, lambda: 10, schedule, warmup_steps=4)
        found = []
        for _ in range(10):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            rates.step()
        expected = [2.0 * min(1.0, (s + 1) / 4) * factor[s] for s in range(10)]
        assert found == pytest.approx(expected)
