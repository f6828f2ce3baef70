"""Noise on and off the masks, batch by batch, without a Trainer."""

import pytest
import torch
from scipy.stats import norm

from hilmix.diagnostics import MaskSensitivityTracker
from hilmix.diagnostics.mask_sensitivity import standard_noise
from hilmix.types import Batch

N = 2000


def batch(items: torch.Tensor, mask: bool = True) -> Batch:
    """Vectors (s, s) of sign s = 2 y - 1, whose first number is marked; every other item has no mask."""
    target = items % 4 // 2
    x = (2.0 * target - 1)[:, None].repeat(1, 2)
    marked = torch.tensor([1.0, 0.0]) * (items % 2 == 0)[:, None]
    none = torch.empty(0, dtype=torch.int64)
    return Batch(x, items, target, none, none, none, mask=marked if mask else None)


def logits(column: int):
    return lambda x: torch.stack([-x[:, column], x[:, column]], 1)


@pytest.mark.parametrize(("column", "noisy", "clean"), [(0, "irrelevant", "core"), (1, "core", "irrelevant")])
def test_accuracy_falls_as_the_normal_distribution_says(column: int, noisy: str, clean: str) -> None:
    tracker = MaskSensitivityTracker(sigma=2.0, seed=3)
    for part in torch.arange(N).split(300):
        tracker.update(logits(column), batch(part), torch.tensor([0.5, 0.5]))
    found = tracker.compute()
    assert found[f"acc_noise_{clean}"] == 1
    p = norm.cdf(1.0)  # the sign of 1 + 2 * 0.5 n
    assert found[f"acc_noise_{noisy}"].item() == pytest.approx(p, abs=4 * (p * (1 - p) / (N / 2)) ** 0.5)
    assert found["rcs"].item() == pytest.approx(1 if column == 1 else -1)


def test_without_masks_nothing_is_computed() -> None:
    tracker = MaskSensitivityTracker()
    tracker.update(logits(0), batch(torch.arange(8), mask=False), torch.ones(2))
    tracker.update(logits(0), batch(torch.tensor([1, 3])), torch.ones(2))  # without explanations
    assert tracker.compute() == {}


@pytest.mark.parametrize("size", [1, 3, 64])
def test_an_item_has_its_own_noise_whatever_its_batch(size: int) -> None:
    x, index = torch.zeros(64, 2, 3), torch.randperm(100, generator=torch.Generator().manual_seed(0))[:64]
    whole = standard_noise(x, index, 5)
    parts = torch.cat([standard_noise(x[some], index[some], 5) for some in torch.arange(64).split(size)])
    assert torch.equal(parts, whole)
    assert len(whole.unique()) == whole.numel()
    assert [whole.mean(), whole.std()] == pytest.approx([0, 1], abs=0.1)  # 384 draws: standard errors 0.05 and 0.04
    assert not (standard_noise(x, index, 6) == whole).any()
