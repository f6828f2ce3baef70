"""The calibration suite: fixed sizes, the values of the single functions, batches and ranks that add up."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from hilmix.functional import uncertainty as U
from hilmix.metrics import CalibrationError, CalibrationSuite, HumanCalibration
from tests.functional.draws import draw


def test_suite_equals_single_metrics_and_torchmetrics():
    logits, target = draw()
    probs = logits.softmax(-1)
    suite = CalibrationSuite(5)
    for rows in torch.arange(400).split(64):
        suite.update(probs[rows], target[rows])
    found = suite.compute()
    for key, norm in (("ece", "l1"), ("ece_rms", "l2"), ("ece_max", "max")):
        theirs = multiclass_calibration_error(probs, target, num_classes=5, n_bins=15, norm=norm)
        assert found[key].item() == pytest.approx(theirs.item(), abs=1e-6)
    for key, kind in (("ece_classwise", "classwise"), ("ece_equal_mass", "adaptive")):
        metric = CalibrationError(kind=kind, num_classes=5)
        metric.update(probs, target)
        assert found[key].item() == pytest.approx(metric.compute().item(), abs=2e-3)
    one_hot = torch.eye(5, dtype=torch.float64)[target]
    assert found["brier"].item() == pytest.approx((probs - one_hot).square().sum(-1).mean().item())
    assert found["nll"].item() == pytest.approx(torch.nn.functional.cross_entropy(logits, target).item())
    assert found["acc"].item() == pytest.approx((logits.argmax(-1) == target).double().mean().item())
    parts = found["reliability"] - found["resolution"] + found["uncertainty"] + found["within"]
    torch.testing.assert_close(parts, found["brier_top"])


def test_state_does_not_grow_and_forward_leaves_it():
    suite = CalibrationSuite(5)
    logits, target = draw(32)
    size = sum(v.numel() for v in suite.metric_state.values())
    for _ in range(5):
        suite(logits.softmax(-1), target)
    assert sum(v.numel() for v in suite.metric_state.values()) == size
    assert suite.sums[0] == 160
    assert all(v.dtype == torch.float64 for v in suite.to(torch.bfloat16).metric_state.values())


def test_unknown_targets_and_nothing():
    logits, target = draw(40)
    target[::2] = -1
    some, known = CalibrationSuite(5), CalibrationSuite(5)
    some.update(logits.softmax(-1), target)
    known.update(logits[1::2].softmax(-1), target[1::2])
    torch.testing.assert_close(some.compute(), known.compute())
    empty = CalibrationSuite(5)
    empty.update(logits[:0].softmax(-1), target[:0])
    assert all(value.isnan() for value in empty.compute().values())


def test_a_bin_of_many_samples_keeps_its_digits():
    """torchmetrics is off by a quarter at a million samples in a bin: float32 sums stop growing."""
    suite = CalibrationSuite(2)
    p = torch.tensor([[0.91, 0.09]]).expand(2**20, 2)
    target = torch.zeros(2**20, dtype=torch.long)
    target[: 2**20 // 10] = 1
    for _ in range(4):
        suite.update(p, target)
    accuracy = 1 - (2**20 // 10) / 2**20
    assert suite.compute()["ece"].item() == pytest.approx(abs(float(torch.tensor(0.91)) - accuracy), rel=1e-6)


def test_human_calibration_equals_means_of_single_items():
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(60, 4, generator=generator).double().softmax(-1)
    counts = torch.randint(0, 6, (60, 4), generator=generator)
    counts[0], counts[1] = 0, torch.tensor([1, 0, 0, 0])
    metric = HumanCalibration()
    for rows in torch.arange(60).split(16):
        metric.update(probs[rows], counts[rows])
    found = metric.compute()
    p, n = probs[1:], counts[1:].sum(-1)
    shares = counts[1:] / n[:, None].double()
    assert found["dist_ce"].item() == pytest.approx(U.total_variation(p, shares).mean().item())
    assert found["ent_ce"].item() == pytest.approx(U.entropy_difference(p, shares, n).mean().item())
    assert found["jsd"].item() == pytest.approx(U.jensen_shannon(p, shares).mean().item())
    assert found["squared_distance"].item() == pytest.approx(U.squared_distance(p, shares, n).nanmean().item())
    assert found["soft_nll"].item() == pytest.approx(-(shares * p.log()).sum(-1).mean().item())
    entropies = torch.stack([torch.special.entr(p).sum(-1), U.panel_entropy(shares, n)])
    assert found["entropy_correlation"].item() == pytest.approx(torch.corrcoef(entropies)[0, 1].item())
    assert all(value.isnan() for value in HumanCalibration().compute().values())
