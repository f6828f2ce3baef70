"""Calibration errors and scores against brute force, outside oracles and closed forms."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from hilmix.functional import calibration as F
from tests.functional.draws import draw


def slow_error(confidence: np.ndarray, correct: np.ndarray, num_bins: int, norm: str) -> float:
    """The textbook loop."""
    gaps, weights = [], []
    for b in range(num_bins):
        low, high = b / num_bins, (b + 1) / num_bins
        inside = (confidence >= low) & ((confidence < high) | (b == num_bins - 1))
        if inside.any():
            gaps.append(abs(confidence[inside].mean() - correct[inside].mean()))
            weights.append(inside.mean())
    if norm == "max":
        return max(gaps)
    power = {"l1": 1, "l2": 2}[norm]
    return float(np.sum(np.array(weights) * np.array(gaps) ** power)) ** (1 / power)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_top_label_error_equals_loop_and_torchmetrics(norm, num_bins):
    logits, target = draw()
    probs = logits.softmax(-1)
    confidence, correct = F.top_label(probs, target)
    found = F.calibration_error(F.bin_sums(confidence, correct, num_bins=num_bins), norm=norm)
    assert found.item() == pytest.approx(slow_error(confidence.numpy(), correct.numpy(), num_bins, norm), abs=1e-12)
    oracle = multiclass_calibration_error(probs.float(), target, num_classes=5, n_bins=num_bins, norm=norm)
    assert found.item() == pytest.approx(oracle.item(), abs=1e-5)


def test_first_and_last_bin_are_closed():
    """torchmetrics puts confidences of exactly 1 into a bin of their own; here they share the last one."""
    sums = F.bin_sums(torch.tensor([0.0, 0.95, 1.0]), torch.tensor([False, True, False]), num_bins=10)
    assert sums.samples.tolist() == [1] + [0] * 8 + [2]
    assert F.calibration_error(sums).item() == pytest.approx(0.95 / 3)


def test_sums_are_exact_where_float32_is_not():
    """20 million equal samples per bin: float32 counters stop at 2**24."""
    part = F.bin_sums(torch.full((1000,), 0.7), torch.arange(1000) < 600, num_bins=15)
    total = F.Bins(*(torch.stack([s] * 20_000).sum(0) for s in part))
    assert total.samples.sum().item() == 20_000_000
    assert F.calibration_error(total).item() == pytest.approx(0.7 - 0.6, abs=1e-7)


def test_classwise_error_is_mean_of_one_against_rest():
    logits, target = draw(classes=4)
    probs = logits.softmax(-1)
    slow = [slow_error(probs[:, k].numpy(), (target == k).numpy(), 15, "l1") for k in range(4)]
    assert F.classwise_calibration_error(F.classwise_bin_sums(probs, target)).item() == pytest.approx(np.mean(slow))


@pytest.mark.parametrize("num_bins", [1, 7, 15, 1000])
def test_adaptive_error_equals_array_split(num_bins):
    logits, target = draw()
    confidence, correct = F.top_label(logits.softmax(-1), target)
    order = confidence.argsort()
    parts = zip(
        np.array_split(confidence[order].numpy(), min(num_bins, len(order))),
        np.array_split(correct[order].numpy(), min(num_bins, len(order))),
        strict=True,
    )
    slow = sum(len(c) * abs(c.mean() - h.mean()) for c, h in parts) / len(order)
    found = F.adaptive_calibration_error(confidence, correct, num_bins=num_bins).item()
    assert found == pytest.approx(slow, abs=0.01 if len(order) % num_bins else 1e-12)


def test_adaptive_error_ignores_order_of_ties():
    confidence = torch.tensor([0.5] * 8 + [0.9] * 5)
    correct = torch.arange(13) % 3 == 0
    values = {
        round(F.adaptive_calibration_error(confidence[p], correct[p], num_bins=4).item(), 12)
        for p in (torch.randperm(13, generator=torch.Generator().manual_seed(s)) for s in range(20))
    }
    assert len(values) == 1


def slow_rms_error(confidence: np.ndarray, correct: np.ndarray, size: int) -> float:
    """The textbook loop, over samples without ties."""
    order, total = np.argsort(confidence), 0.0
    for start in range(0, len(order), size):
        inside = order[start : start + size]
        total += len(inside) / len(order) * (confidence[inside].mean() - correct[inside].mean()) ** 2
    return math.sqrt(total)


@pytest.mark.parametrize("bin_size", [1, 7, 100, 400, 1000])
@pytest.mark.parametrize("soft", [False, True])
def test_rms_error_equals_loop_over_bins_of_one_size(bin_size, soft):
    """400 samples: also with a rest in the last bin, and with fewer samples than a bin takes."""
    logits, target = draw()
    confidence, correct = F.top_label(logits.softmax(-1), target)
    if soft:
        correct = draw(seed=1)[0].softmax(-1).gather(1, logits.argmax(1, keepdim=True)).squeeze(1)
    found = F.rms_calibration_error(confidence, correct, bin_size=bin_size)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(slow_rms_error(confidence.numpy(), correct.numpy(), bin_size), abs=1e-12)


def test_rms_error_counts_the_most_confident_samples():
    """The only wrong ones lie in the last bin, which the published function leaves out."""
    confidence = torch.cat([torch.full((100,), 0.5), torch.full((100,), 0.9)])
    correct = torch.cat([torch.arange(100) < 50, torch.zeros(100, dtype=torch.bool)])
    assert F.rms_calibration_error(confidence, correct).item() == pytest.approx(math.sqrt(0.5) * 0.9)


def test_rms_error_ignores_order_of_ties():
    """A tie that spans bins: each sample counts with 2/5, so the error is that of the tie and not of its order."""
    confidence, correct = torch.full((10,), 0.7), torch.arange(10) % 5 < 2
    orders = (torch.randperm(10, generator=torch.Generator().manual_seed(s)) for s in range(20))
    values = [F.rms_calibration_error(confidence, correct[p], bin_size=3).item() for p in orders]
    assert values == pytest.approx([0.3] * 20, abs=1e-7)


def test_rms_error_of_the_true_probabilities_comes_from_sampling_alone():
    """E[error^2] = mean of p (1 - p) / bin size for votes drawn with the confidences: 1/6 of 1/100 for uniform ones."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(100_000, generator=generator, dtype=torch.float64)
    correct = torch.rand(100_000, generator=generator, dtype=torch.float64) < confidence
    assert F.rms_calibration_error(confidence, correct).item() ** 2 == pytest.approx(1 / 600, rel=0.15)
    assert F.rms_calibration_error(confidence, confidence).item() == pytest.approx(0, abs=1e-12)


def test_no_samples_give_nan():
    empty = F.bin_sums(torch.empty(0), torch.empty(0, dtype=torch.bool))
    assert all(F.calibration_error(empty, norm=n).isnan() for n in ("l1", "l2", "max"))
    assert F.adaptive_calibration_error(torch.empty(0), torch.empty(0)).isnan()
    assert F.rms_calibration_error(torch.empty(0), torch.empty(0, dtype=torch.bool)).isnan()


def test_scores_equal_sklearn():
    logits, target = draw()
    probs = logits.softmax(-1)
    nll = F.negative_log_likelihood(probs, target).mean().item()
    assert nll == pytest.approx(log_loss(target.numpy(), probs.numpy()))
    brier = F.brier_score(probs, target).mean().item()
    assert brier == pytest.approx(brier_score_loss(target.numpy(), probs.numpy(), scale_by_half=False))


def test_scores_of_certain_predictions():
    probs = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    target = torch.tensor([0, 1])
    assert F.brier_score(probs, target).tolist() == [0, 2]
    assert F.negative_log_likelihood(probs, target).tolist() == pytest.approx([0, 126 * math.log(2)])


def test_scores_in_half_precision_are_summed_in_float64():
    probs = torch.tensor([[0.25, 0.75]], dtype=torch.bfloat16)
    assert F.brier_score(probs, torch.tensor([0])).dtype == torch.float64
    assert F.brier_score(probs, torch.tensor([0])).item() == pytest.approx(2 * 0.75**2)
